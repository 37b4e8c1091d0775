// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/error.h"

#include "support/catch.h"

using namespace model_prep;

namespace {

struct Row {
  ErrorKind kind;
  const char* name;
  Disposition disposition;
};

// docs/summary.md for the names and their order, docs/developing/architecture.md, section 8 for
// what they mean.
constexpr Row kKinds[] = {
    {ErrorKind::usage, "usage", Disposition::abort_run},
    {ErrorKind::network, "network", Disposition::retry},
    {ErrorKind::timeout, "timeout", Disposition::retry},
    {ErrorKind::rate_limited, "rate_limited", Disposition::retry},
    {ErrorKind::server, "server", Disposition::retry},
    {ErrorKind::not_found, "not_found", Disposition::fail_item},
    {ErrorKind::revision_not_found, "revision_not_found", Disposition::fail_item},
    {ErrorKind::gated, "gated", Disposition::fail_item},
    {ErrorKind::unauthorized, "unauthorized", Disposition::fail_item},
    {ErrorKind::disabled, "disabled", Disposition::fail_item},
    {ErrorKind::protocol, "protocol", Disposition::fail_item},
    {ErrorKind::digest_mismatch, "digest_mismatch", Disposition::fail_item},
    {ErrorKind::lock_mismatch, "lock_mismatch", Disposition::fail_item},
    {ErrorKind::offline_missing, "offline_missing", Disposition::fail_item},
    {ErrorKind::dependency_missing, "dependency_missing", Disposition::fail_item},
    {ErrorKind::not_loadable, "not_loadable", Disposition::fail_item},
    {ErrorKind::malformed, "malformed", Disposition::fail_item},
    {ErrorKind::pickle_forbidden, "pickle_forbidden", Disposition::fail_item},
    {ErrorKind::license_not_allowed, "license_not_allowed", Disposition::fail_item},
    {ErrorKind::unsafe, "unsafe", Disposition::fail_item},
    {ErrorKind::not_scanned, "not_scanned", Disposition::fail_item},
    {ErrorKind::signature_missing, "signature_missing", Disposition::fail_item},
    {ErrorKind::signature_mismatch, "signature_mismatch", Disposition::fail_item},
    {ErrorKind::disk_full, "disk_full", Disposition::abort_run},
    {ErrorKind::permission, "permission", Disposition::abort_run},
    {ErrorKind::io, "io", Disposition::abort_run},
    {ErrorKind::deadline, "deadline", Disposition::abort_run},
    {ErrorKind::interrupted, "interrupted", Disposition::abort_run},
    {ErrorKind::internal, "internal", Disposition::abort_run},
};

}  // namespace

TEST_CASE("every error kind has its documented name and disposition") {
  int value = 0;
  for (const Row& row : kKinds) {
    CAPTURE(row.name);
    CHECK(static_cast<int>(row.kind) == value++);  // none is left out of the table
    CHECK(to_string(row.kind) == row.name);
    CHECK(disposition(row.kind) == row.disposition);
  }
  CHECK(static_cast<int>(ErrorKind::internal) + 1 == value);
}

TEST_CASE("a result holds a value or an error") {
  const Result<int> good = 7;
  REQUIRE(good);
  CHECK(good.has_value());
  CHECK(*good == 7);

  const Result<int> bad = Error{ErrorKind::io, "cannot read x", "try again"};
  REQUIRE_FALSE(bad);
  CHECK(bad.error() == Error{ErrorKind::io, "cannot read x", "try again"});
}

TEST_CASE("a value can be moved out of a result") {
  Result<std::string> result = std::string("content");
  const std::string taken = *std::move(result);
  CHECK(taken == "content");
}

TEST_CASE("a status that is ok holds no error") { CHECK(ok()); }

TEST_CASE("a fatal error shows its message") {
  const FatalError fatal({ErrorKind::internal, "the map is upside down", {}});
  CHECK(std::string(fatal.what()) == "the map is upside down");
  CHECK(fatal.error.kind == ErrorKind::internal);
}
