// SPDX-License-Identifier: Apache-2.0
// The cache on disk: inspects it, prepares a repository, publishes a snapshot. Names come from
// `core/cache_layout.h`, blobs are made by `io/staging.h`, records and refs are files of
// `io/documents.h`, and nothing is written through a symlink (`io/directory.h`).
//
// Where the file system has no symlinks, a snapshot holds the files themselves, moved there from
// `blobs/`, as huggingface_hub leaves them (docs/developing/hub-protocol.md, section 1.4). Such
// files are found and verified like blobs, whoever left them.
//
// A crash at any line leaves this: blobs are whole and verified, or do not exist under their name;
// the links of a snapshot lead to blobs that exist; a ref is written when all links of its snapshot
// exist. Everything else is a `*.tmp`, a staging file or a lock file, which no reader of the cache
// opens. One thread.
#pragma once

#include <set>

#include "model_prep/base/model_spec.h"
#include "model_prep/core/fetch_plan.h"
#include "model_prep/core/snapshot_record.h"
#include "model_prep/core/weight_checks.h"
#include "model_prep/io/repository.h"

namespace model_prep {

/// What publishing could not do but the snapshot does not need, a line each.
using Warnings = Strings;

struct Publication {
  Warnings warnings;

  /// Refs that led to another commit until now, a line each.
  Strings moved_refs;

  /// Something that existed when it was inspected is gone or has changed since it was hashed:
  /// another process removes files (`cleanup`, or huggingface_hub's `cache prune`, which takes no
  /// locks) or replaces them. Inspect and fetch again.
  bool files_vanished{false};
};

/// What was hashed, now or in an earlier run.
using VerifiedBlobs = std::map<Digest, VerifiedBlob>;

/// Where times never stay the same, a changed file has to be left to the next run: the record has
/// it as it was hashed.
enum class IfChanged : std::uint8_t { report, ignore };

class Cache {
 public:
  /// `legacy_dirs`: directories in which older services look for `models--…`
  /// (docs/cache-layout.md), canonical, none of them the cache itself.
  Cache(const std::string& root, const Strings& legacy_dirs)
      : root_(root), legacy_dirs_(legacy_dirs.begin(), legacy_dirs.end()) {}
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  /// The repository where it really lies: in the cache, or in an older place that holds a real
  /// directory for it (`adopt_existing`). Valid as long as the cache.
  const Repository& repository(const RepoId& repo) const;

  struct Content {
    std::string path;                 ///< where the bytes of a file are, or would be
    std::optional<FileInfo> there{};  ///< what is there, links followed
  };
  Content content(const RepoId& repo, const CommitId& commit, const RemoteFile& file) const;

  enum class Writing : std::uint8_t { allowed, forbidden };

  /// If an older place holds a real directory for this repository and the cache has none, the
  /// repository stays there and the cache gets a link to it.
  void adopt_existing(const RepoId& repo, Writing writing);

  /// Reads from the snapshot, 64 bytes at most. Refers to both.
  FirstBytes first_bytes_of(const ResolvedSnapshot& snapshot) const;

  std::optional<SnapshotRecord> record(const RepoId& repo, const CommitId& commit) const;

  /// The listing that huggingface_hub left, or that somebody else put there.
  std::optional<std::vector<RemoteFile>> tree(const RepoId& repo, const CommitId& commit) const;
  std::optional<CommitId> ref(const RepoId& repo, const std::string& name) const;

  /// If the snapshot's ref counts only where it is unset, and leads to another commit that is here,
  /// the snapshot gets its own revision as its ref.
  void settle_ref(ResolvedSnapshot& snapshot) const;

  /// `known`: the record of this commit, so that it is read only once.
  SnapshotView inspect(const ResolvedSnapshot& snapshot,
                       const std::optional<SnapshotRecord>& known) const;

  /// Checks that we can write where we will have to. Leaves nothing but directories. The error may
  /// concern this repository only (`Error::of_one_item`).
  Status probe_writing(const RepoId& repo) const;

  /// Creates the repository's directory, complete enough for other tools (`snapshots/` from the
  /// first moment), and its lock directory. Removes temporary files of killed runs.
  Status create_repo_dirs(const RepoId& repo) const;

  /// Call it when all blobs exist: writes links, tree listing, record, and refs last, and
  /// removes markers that hide the files. `verified` has each blob of the snapshot. Idempotent:
  /// what is correct is not written again.
  ///
  /// Others may remove or change files at any time, and locks do not stop all of them. So the files
  /// are checked again between links and refs, and after the refs. A cleanup of ours excludes runs
  /// by the repository's lock (`io/pruner.h`).
  Result<Publication> publish(const ResolvedSnapshot& snapshot, const VerifiedBlobs& verified,
                              IfChanged if_changed = IfChanged::report) const;

  /// Whether readers find every file of the snapshot, in its size, and as it was when it was
  /// hashed.
  bool is_as_verified(const ResolvedSnapshot& snapshot, const VerifiedBlobs& verified,
                      IfChanged if_changed) const;

  /// Drops these blobs from the record, so that the next inspection hashes them. The blobs stay
  /// until a fetched one replaces them: a missing file would help no reader.
  Status distrust(const RepoId& repo, const CommitId& commit, const std::set<Digest>& blobs) const;

  /// Moves a file or directory out of readers' sight and returns its new path.
  Result<std::string> quarantine(const RepoId& repo, const std::string& path) const;

  /// Keeps a relative link to the repository in each older place.
  Warnings link_legacy_dirs(const RepoId& repo) const;

 private:
  Directory root_;
  std::vector<Directory> legacy_dirs_;
  mutable std::map<RepoId, Repository> repositories_;  // those that were asked for
};

}  // namespace model_prep
