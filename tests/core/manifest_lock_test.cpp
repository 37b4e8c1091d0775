// SPDX-License-Identifier: Apache-2.0
#include <chrono>

#include "core/builders.h"
#include "model_prep/core/file_selection.h"
#include "model_prep/core/manifest.h"
#include "model_prep/core/model_selection.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

namespace {

ModelSpec with_lock(std::map<RepoPath, LockedFile> lock, bool fully) {
  ModelSpec model = spec("m", "org/name");
  model.lock = std::move(lock);
  model.fully_locked = fully;
  return model;
}

}  // namespace

TEST_CASE("reading and applying a lock takes linear time") {
  constexpr int kFiles = 50'000;  // quadratic time would be minutes
  const auto begun = std::chrono::steady_clock::now();
  ResolvedSnapshot snapshot{spec("m", "org/m", std::string(40, 'c')), commit('c'), {}, {}};
  for (int i = 0; i < kFiles; ++i)
    snapshot.files.push_back(plain_file(std::to_string(i) + ".json", 1, '1'));
  const auto manifest = parse_manifest(lock_text({snapshot}), "lock");
  REQUIRE(manifest);
  const auto specs = select_models(*manifest, {}, Build::fp32);
  REQUIRE(specs);
  CHECK(specs->front().fully_locked);
  auto files = locked_files(specs->front());
  CHECK(files.size() == kFiles);
  CHECK(apply_lock(files, specs->front()));
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(20));
}

TEST_CASE("a file that matches the lock is marked as locked and gets the lock's second digest") {
  std::vector<RemoteFile> files = {plain_file("config.json", 5, '1'), lfs_file("model.bin", 9, '2'),
                                   plain_file("vocab.txt", 3, '3')};
  REQUIRE(apply_lock(files, with_lock({{path("config.json"), {5, sha256('a'), git_sha1('1')}},
                                       {path("model.bin"), {9, sha256('2'), std::nullopt}}},
                                      false)));
  CHECK(files[0].locked);
  CHECK(files[0].locked_sha256 == sha256('a'));
  CHECK(files[1].locked);
  CHECK_FALSE(files[2].locked);
}

TEST_CASE("a size other than the lock's is a lock mismatch that names both") {
  std::vector<RemoteFile> files = {plain_file("config.json", 5, '1')};
  const Status status =
      apply_lock(files, with_lock({{path("config.json"), {6, {}, git_sha1('1')}}}, false));
  REQUIRE_FALSE(status);
  CHECK(status.error().kind == ErrorKind::lock_mismatch);
  CHECK(status.error().message == "org/name config.json: the Hub lists size 5, the lock says 6");
  CHECK_FALSE(status.error().hint.empty());
}

TEST_CASE("a digest other than the lock's is a lock mismatch") {
  std::vector<RemoteFile> files = {plain_file("config.json", 5, '1')};
  const LockedFile lock =
      GENERATE(LockedFile{5, {}, git_sha1('2')}, LockedFile{5, sha256('1'), {}});
  const Status status = apply_lock(files, with_lock({{path("config.json"), lock}}, false));
  REQUIRE_FALSE(status);
  CHECK(status.error().kind == ErrorKind::lock_mismatch);
}

TEST_CASE(
    "a locked file that the hub does not list is a mismatch only if the variant is fully locked") {
  std::vector<RemoteFile> files = {plain_file("config.json", 5, '1')};
  const std::map<RepoPath, LockedFile> lock = {{path("model.bin"), {9, sha256('2'), std::nullopt}}};
  CHECK(apply_lock(files, with_lock(lock, false)));
  const Status status = apply_lock(files, with_lock(lock, true));
  REQUIRE_FALSE(status);
  CHECK(status.error().kind == ErrorKind::lock_mismatch);
  CHECK(status.error().message ==
        "org/name model.bin: the lock contains this file, but the Hub does not list it");
}

TEST_CASE("a fully locked variant needs no listing") {
  const auto files =
      locked_files(with_lock({{path("model.bin"), {9, sha256('2'), std::nullopt}},
                              {path("config.json"), {5, sha256('a'), git_sha1('1')}}},
                             true));
  REQUIRE(files.size() == 2);
  CHECK(files[0].path.text() == "config.json");
  CHECK(files[0].blob == git_sha1('1'));
  CHECK(files[0].oid == git_sha1('1'));
  CHECK(files[0].locked_sha256 == sha256('a'));
  CHECK(files[1].blob == sha256('2'));
  CHECK(files[1].size == 9);
  CHECK(files[1].locked);
}

// docs/cache-layout.md: "an LFS file's `blob_id` is the git sha1 of its canonical pointer, so a
// locked `all` needs no listing". That sha1 takes a hash function, which this layer does not have:
// commands/resolve.cpp fills it in.
TEST_CASE("the git id of a locked LFS file stays unknown") {
  CHECK_FALSE(locked_files(with_lock({{path("model.bin"), {9, sha256('2'), std::nullopt}}}, true))
                  .front()
                  .oid);
}
