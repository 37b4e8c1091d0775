// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/model_run.h"

#include "builders.h"
#include "support/catch.h"

namespace model_prep {
namespace {

using testing::commit;
using testing::lfs_file;
using testing::repo;

const FetchJob kExisting{.repo = repo("org/name"),
                         .commit = commit('c'),
                         .file = lfs_file("a", 4, 'a'),
                         .check_existing = true};
const FetchJob kMissing{
    .repo = repo("org/name"), .commit = commit('c'), .file = lfs_file("a", 4, 'a')};

FileOutcome with_status(FileStatus status, Bytes fetched = 0) {
  FileOutcome outcome;
  outcome.status = status;
  outcome.bytes_fetched = fetched;
  return outcome;
}

/// A model that changed too often, with this outcome of its last round.
ModelRun often_lost(const FetchJob& job, FileStatus outcome) {
  ModelRun model{.spec = testing::spec("name", "org/name"), .begun = {}};
  model.times_vanished = kMaxLosses;
  add_outcome(model, job, with_status(outcome));
  return model;
}

}  // namespace

TEST_CASE(
    "a file whose time never stays the same is accepted in the end, one with wrong bytes not") {
  CHECK(accepts_changes(often_lost(kExisting, FileStatus::reused)));
  CHECK(accepts_changes(often_lost(kMissing, FileStatus::fetched)));

  ModelRun written_to = often_lost(kExisting, FileStatus::fetched);
  CHECK_FALSE(accepts_changes(written_to));
  CHECK(keeps_changing(written_to).message ==
        "another process keeps writing to files of org/name in the cache");
  add_outcome(written_to, kExisting, with_status(FileStatus::reused));
  CHECK_FALSE(accepts_changes(written_to));
}

TEST_CASE("a change is reported until the last round, and damage of an earlier run is no writer") {
  ModelRun model{.spec = testing::spec("name", "org/name"), .begun = {}};
  add_outcome(model, kExisting, with_status(FileStatus::fetched));
  CHECK_FALSE(accepts_changes(model));
  model.times_vanished = kMaxLosses - 1;
  CHECK_FALSE(accepts_changes(model));
  model.times_vanished = kMaxLosses;
  CHECK(accepts_changes(model));
}

TEST_CASE("the bytes of a blob that is fetched again are added up") {
  ModelRun model{.spec = testing::spec("name", "org/name"), .begun = {}};
  model.pending.insert(kMissing.file.blob);
  add_outcome(model, kMissing, with_status(FileStatus::fetched, 4));
  CHECK(model.pending.empty());
  add_outcome(model, kMissing, with_status(FileStatus::fetched, 3));
  CHECK(model.outcomes.at(kMissing.file.blob).bytes_fetched == 7);
}

}  // namespace model_prep
