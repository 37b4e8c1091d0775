// SPDX-License-Identifier: Apache-2.0
// From what is wanted and what is there to what is to be done: one list of jobs over all models of
// the run.
//
// A blob that several files, revisions or models of a repository share is one job. Jobs run largest
// first, so that the last minute is not one big file on one connection. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model_prep/base/clock.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/core/snapshot_record.h"

namespace model_prep {

enum class BlobState : std::uint8_t {
  missing,
  unverified,  ///< something is there under the name, and nobody of ours vouches for it
  trusted,     ///< the record vouches for it, by size and modification time
};

/// What the cache holds of one file of a snapshot.
struct FileView {
  BlobState state{BlobState::missing};
  std::optional<Digest> sha256;  ///< if trusted
  bool linked{false};            ///< the snapshot's link leads to this blob
  std::int64_t staged{0};        ///< bytes of an interrupted download
};

/// What the cache holds of a snapshot; `files` in the order of `ResolvedSnapshot::files`.
struct SnapshotView {
  std::vector<FileView> files;
  bool refs_correct{false};
  bool tree_correct{false};  ///< trees/<commit>.json is as it should be: there for a whole commit
  bool recorded{false};      ///< our record holds all that it should
  bool satisfied() const;
};

struct FetchJob {
  RepoId repo;
  CommitId commit;
  RemoteFile file;  ///< one of the files with this blob: where it is asked for
  bool check_existing{false};
  std::int64_t staged{0};
  std::vector<std::size_t> models;  ///< indices of the models that want it
};

struct FetchPlan {
  std::vector<FetchJob> jobs;
  std::int64_t bytes{0};   ///< to come over the network if every unverified blob proves right
  std::int64_t staged{0};  ///< of those, on disk already
};

enum class FileStatus : std::uint8_t { reused, fetched, failed, cancelled };

struct FileOutcome {
  FileStatus status{FileStatus::failed};
  std::int64_t bytes_fetched{0};
  int attempts{0};
  Duration took{};
  std::optional<Digest> sha256;
  std::optional<Error> error;
};

/// A model that goes on to be fetched; `model` is its index in the run.
struct PlannedModel {
  std::size_t model;
  const ResolvedSnapshot* snapshot;
  const SnapshotView* view;
};

FetchPlan make_plan(std::span<const PlannedModel> wanted);

/// Two models that would set one ref of one repository to different revisions: a fault of the
/// manifest (`usage`).
Status check_ref_conflicts(std::span<const ModelSpec> specs);

/// The refs that a snapshot gets: the manifest's, the revision itself if it is a name, and the
/// commit (docs/developing/hub-protocol.md, section 1.5: old Rust hf-hub looks up a commit there
/// too).
std::vector<std::string> refs_to_write(const ModelSpec& spec, const CommitId& commit);

}  // namespace model_prep
