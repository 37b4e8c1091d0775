// SPDX-License-Identifier: Apache-2.0
// The cache on disk: look at it, prepare a repository, publish a snapshot. Names come from
// `core/cache_layout.h`; blobs come into being in `io/staging.h`; nothing is written through a
// symlink (`io/directory.h`).
//
// Where the file system has no symlinks a snapshot holds its files themselves, moved there from
// `blobs/`, as huggingface_hub leaves them (docs/developing/hub-protocol.md, section 1.4). Such
// files are found and verified like blobs, whoever left them.
//
// What a crash leaves at any line: blobs are whole and verified, or not there under their name; a
// snapshot's links lead to blobs that are there; a ref is written when all links of its snapshot
// are there. Everything else is a `*.tmp`, a staging file or a lock file, which no reader of the
// cache looks at. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model_prep/base/model_spec.h"
#include "model_prep/core/cache_layout.h"
#include "model_prep/core/fetch_plan.h"
#include "model_prep/core/snapshot_record.h"
#include "model_prep/io/directory.h"

namespace model_prep {

/// What a snapshot's publishing could not do but can be lived with, a line each.
using Warnings = std::vector<std::string>;

struct Publication {
  Warnings warnings;
  /// Something that was there when it was looked at is not any more: somebody removes files beside
  /// us (`cleanup`, or huggingface_hub's `cache prune`, which takes no locks). To be looked at and
  /// fetched again.
  bool lost{false};
};

class Cache {
 public:
  /// `legacy_dirs`: folders in which older services look for `models--…` (docs/cache-layout.md),
  /// canonical, none of them the cache itself.
  Cache(const std::string& root, std::vector<std::string> legacy_dirs);

  /// Where this repository really lies: the cache, or an older place that holds a real folder for
  /// it and could not be linked to from the cache.
  const CacheLayout& layout(const RepoId& repo) const { return home(repo).layout; }
  /// The folder through which it is written, and the one of its locks.
  const Directory& folder(const RepoId& repo) const { return home(repo).folder; }
  const Directory& lock_folder() const { return home_.folder; }
  struct Content {
    std::string path;                 ///< where the bytes of a file are, or would be
    std::optional<FileInfo> there{};  ///< what is there, links followed
  };
  Content content(const RepoId& repo, const CommitId& commit, const RemoteFile& file) const;

  enum class Writing : std::uint8_t { allowed, forbidden };
  /// If an older place holds a real folder for this repository and the cache nothing, that folder
  /// stays the real one and the cache gets a link to it.
  void adopt_existing(const RepoId& repo, Writing writing);

  std::optional<SnapshotRecord> record(const RepoId& repo, const CommitId& commit) const;
  /// The listing that huggingface_hub left.
  std::optional<std::vector<RemoteFile>> tree(const RepoId& repo, const CommitId& commit) const;
  std::optional<CommitId> ref(const RepoId& repo, const std::string& name) const;
  /// `known`: the record of this commit, which is worth reading once only.
  SnapshotView inspect(const ResolvedSnapshot& snapshot,
                       const std::optional<SnapshotRecord>& known) const;

  /// Can we write where we shall have to? Leaves nothing but folders.
  Status probe_writing(const RepoId& repo) const;
  /// The repository's folder, complete enough for other tools (`snapshots/` from the first moment),
  /// and its lock folder; leftovers of killed runs that nobody will go on with are swept away.
  Status create_repo_dirs(const RepoId& repo) const;

  /// All blobs are there: links, tree listing, record, refs last. `sha256` holds the digest of each
  /// blob of the snapshot that was verified in this run or before. Idempotent: what is right is not
  /// written again. Others may remove what is found here, and locks do not keep all of them from
  /// it; so it is looked for once more between links and refs, and after the refs: who removes
  /// (`io/pruner.h`) looks for links and refs after the removal, and one of the two sees the other.
  Result<Publication> publish(const ResolvedSnapshot& snapshot,
                              const std::map<Digest, Digest>& sha256) const;
  /// The record vouches for these blobs no more: the next look hashes them. They stay, since nobody
  /// who reads them is helped by a file that is not there, until a fetched one takes their place.
  Status distrust(const RepoId& repo, const CommitId& commit, const std::set<Digest>& blobs) const;
  /// Moves something out of readers' sight, and says where to. What is gone by then is none of
  /// ours.
  Result<std::string> quarantine(const RepoId& repo, const std::string& path) const;

  /// Keeps a relative link to the repository in each older place.
  Warnings link_legacy_dirs(const RepoId& repo) const;

 private:
  struct Home {
    CacheLayout layout;
    Directory folder;
  };
  const Home& home(const RepoId& repo) const;
  Status probe(const Directory& in, const std::string& folder) const;
  void sweep(const RepoId& repo) const;
  bool is_whole(const ResolvedSnapshot& snapshot) const;
  Status publish_links(const ResolvedSnapshot& snapshot, Warnings& warnings) const;
  Status check_names(const ResolvedSnapshot& snapshot) const;
  Status publish_tree(const ResolvedSnapshot& snapshot) const;
  Status publish_record(const ResolvedSnapshot& snapshot,
                        const std::map<Digest, Digest>& sha256) const;
  Status publish_refs(const ResolvedSnapshot& snapshot) const;
  bool refs_correct(const ResolvedSnapshot& snapshot) const;

  Home home_;
  std::vector<std::string> legacy_dirs_;
  std::map<RepoId, Home> elsewhere_;
};

}  // namespace model_prep
