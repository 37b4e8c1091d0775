// SPDX-License-Identifier: Apache-2.0
// Turns wanted files and the state of the cache into one list of jobs for all models of the run.
//
// A blob that several files, revisions or models of a repository share is one job. Without
// symlinks, files that share a blob are copies: the job hashes each of them that our record does
// not cover, and one that is wrong or missing makes it fetch the blob, which replaces them all. The
// largest jobs run first: otherwise the last minute would be one large file on few connections.
// Pure.
#pragma once

#include "model_prep/base/clock.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/core/snapshot_record.h"

namespace model_prep {

enum class BlobState : std::uint8_t {
  missing,
  unverified,  ///< a blob exists, but our record does not cover it
  trusted,     ///< our record covers it, with size and modification time
};

/// What the cache holds of one file of a snapshot.
struct FileView {
  BlobState state{BlobState::missing};
  std::optional<VerifiedBlob> verified;  ///< if trusted: what the record says
  bool linked{false};                    ///< the snapshot's link points to this blob
  Bytes staged{0};                       ///< bytes of an interrupted download
  bool hidden{false};   ///< a marker in .no_exist/ tells libraries that there is no such file
  bool is_copy{false};  ///< the snapshot holds the bytes themselves, because there is no blob
};

/// What the cache holds of a snapshot; `files` in the order of `ResolvedSnapshot::files`.
struct SnapshotView {
  std::vector<FileView> files;
  bool refs_correct{false};  ///< also if refs/<commit> is missing, which few libraries read
  bool tree_correct{false};  ///< for a whole commit, trees/<commit>.json has the snapshot's listing
  bool recorded{false};      ///< our record is complete

  /// No signature is wanted, or our record says that these files have it.
  bool is_signed{true};

  /// Whether libraries find each file, verified or not: it has its blob and its link.
  bool has_every_file() const;
  bool satisfied() const;
};

/// A file that may hold the wanted bytes, in a folder that `--from` names (io/import_folder.h).
struct NearbyFile {
  std::string folder;  ///< canonical
  std::string path;    ///< below it, absolute
};

struct FetchJob {
  RepoId repo;
  CommitId commit;
  RemoteFile file;  ///< one of the files with this blob, where it is requested
  bool check_existing{false};
  Bytes staged{0};
  std::vector<std::size_t> models{};  ///< indices of the models that want it

  /// Further files to hash: other copies of the bytes.
  std::vector<std::pair<CommitId, RemoteFile>> copies{};

  /// Tried in this order before the network.
  std::vector<NearbyFile> nearby{};
};

struct FetchPlan {
  std::vector<FetchJob> jobs;
  Bytes bytes{0};   ///< to fetch, if every unverified blob is right
  Bytes staged{0};  ///< of those, already on disk
  Bytes nearby{0};  ///< of the others, in files nearby: not to be downloaded
};

enum class FileStatus : std::uint8_t { reused, fetched, failed, cancelled };

struct FileOutcome {
  FileStatus status{FileStatus::failed};
  Bytes bytes_fetched{0};
  int attempts{0};
  Duration took{};
  std::optional<Digest> sha256;
  std::vector<FileStamp> stamps;  ///< as in `HashResult`, of the file and of each copy
  std::optional<Error> error;

  /// If fetched: the folder of the nearby file, or the names of the endpoints, separated by commas.
  /// Empty if an earlier run had all of it.
  std::string source{};
};

/// A model to fetch; `model` is its index in the run.
struct PlannedModel {
  std::size_t model;
  const ResolvedSnapshot* snapshot;
  const SnapshotView* view;
};

/// A blob is held to the strictest lock of all files that have it, so a model that trusts the blob
/// waits for the job of one that does not.
FetchPlan make_plan(std::span<const PlannedModel> wanted);

/// For each model that has one: why no content can satisfy its lock together with another one's.
std::map<std::size_t, Error> lock_conflicts(std::span<const PlannedModel> wanted);

/// Refuses (`usage`) two models that would set one ref of one repository to different revisions, or
/// of which one has a ref that is a directory of the other's: a tag `v1` and a branch `v1/fix`.
Status check_ref_conflicts(std::span<const ModelSpec> specs);

/// `v1` and `v1/a` of `v1/a/b`: the directories of that ref in the cache.
Strings parents_of_ref(std::string_view name);
Error nested_refs_error(const RepoId& repo, std::string_view ref, std::string_view parent);

/// The refs that a snapshot gets: the manifest's, the revision, and the commit itself, because old
/// versions of the Rust hf-hub look up a commit as a ref (docs/developing/hub-protocol.md, section
/// 1.5).
Strings refs_to_write(const ModelSpec& spec, const CommitId& commit);

}  // namespace model_prep
