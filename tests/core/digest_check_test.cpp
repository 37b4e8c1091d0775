// SPDX-License-Identifier: Apache-2.0
// The comparison of digests, and the error for a connection without a response (both in
// response_check.h).
#include "model_prep/core/digest_check.h"
#include "core/builders.h"
#include "model_prep/core/response_check.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

namespace {

const std::string kObject = "org/name x";

BlobSpec lfs() { return {sha256('a'), 100}; }
BlobSpec plain() { return {git_sha1('1'), 100}; }
HashResult hashes(char sha, char git) {
  return {.sha256 = sha256(sha), .git_sha1 = git_sha1(git), .error = {}};
}

}  // namespace

TEST_CASE("equal digests and sizes pass") {
  CHECK_FALSE(check_digests(hashes('a', '9'), kObject, lfs()));
  CHECK_FALSE(check_digests(hashes('9', '1'), kObject, plain()));
}

TEST_CASE("a differing digest is named next to the expected one") {
  const auto error = check_digests(hashes('b', '1'), kObject, lfs());
  REQUIRE(error);
  CHECK(error->kind == ErrorKind::digest_mismatch);
  CHECK(error->message ==
        "org/name x: its bytes hash to " + sha256('b').hex() + ", expected " + sha256('a').hex());
  CHECK(check_digests(hashes('a', '2'), kObject, plain())->message ==
        "org/name x: its bytes hash to " + git_sha1('2').hex() + ", expected " +
            git_sha1('1').hex());
}

TEST_CASE("no digest at all means a wrong size") {
  CHECK(check_digests({}, kObject, lfs())->message == "org/name x: its size is not 100 bytes");
}

TEST_CASE("a locked file with other bytes is a lock mismatch") {
  BlobSpec locked = lfs();
  locked.locked = true;
  CHECK(check_digests(hashes('b', '1'), kObject, locked)->kind == ErrorKind::lock_mismatch);
  CHECK(check_digests({}, kObject, locked)->kind == ErrorKind::lock_mismatch);
}

TEST_CASE("a plain git file must also have the lock's sha256") {
  BlobSpec locked = plain();
  locked.locked = true;
  locked.locked_sha256 = sha256('a');
  CHECK_FALSE(check_digests(hashes('a', '1'), kObject, locked));
  const auto error = check_digests(hashes('b', '1'), kObject, locked);
  REQUIRE(error);
  CHECK(error->kind == ErrorKind::lock_mismatch);
  CHECK(error->message ==
        "org/name x: its sha256 is " + sha256('b').hex() + ", the lock says " + sha256('a').hex());
}

TEST_CASE(
    "a transport error names the object and the host, but neither path nor secret of the URL") {
  const RequestContext asked{"org/name x", "org/name"};
  const Error error = describe_transport_error({ErrorKind::network, "connection reset", {}}, asked,
                                               url("https://cdn.example/x?Signature=secret"));
  CHECK(error.kind == ErrorKind::network);
  CHECK(error.message == "cannot download org/name x from https://cdn.example: connection reset");
  CHECK(error.hint == "check the network, the proxy variables and HF_ENDPOINT");
}

TEST_CASE("a transport error that has a hint keeps it") {
  const RequestContext asked{"org/name x", "org/name"};
  CHECK(describe_transport_error({ErrorKind::protocol, "certificate not trusted", "use --ca-file"},
                                 asked, url("https://a/b"))
            .hint == "use --ca-file");
  CHECK(describe_transport_error({ErrorKind::disk_full, "no space", {}}, asked, url("https://a/b"))
            .hint.empty());
}
