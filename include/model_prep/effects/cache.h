// SPDX-License-Identifier: Apache-2.0
// The cache on disk: look at it, stage a blob, publish a snapshot. Names come from `decisions/cache_layout.h`.
//
// What a crash leaves at any line: blobs are whole and verified, or not there under their name; a snapshot's links lead
// to blobs that are there; a ref is written when all links of its snapshot are there. Everything else is a `*.tmp`, a
// staging file or a lock file, which no reader of the cache looks at. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model_prep/decisions/cache_layout.h"
#include "model_prep/decisions/plan.h"
#include "model_prep/decisions/record.h"
#include "model_prep/decisions/segments.h"
#include "model_prep/effects/posix.h"
#include "model_prep/values/model_spec.h"

namespace model_prep {

/// A blob on its way: the staging file, the record of what is in it, and the rename that makes it a blob. The blob's
/// lock must be held.
class Staging {
 public:
  enum class Begin : std::uint8_t { resume, fresh };
  static Result<Staging> open(const CacheLayout& layout, const RepoId& repo, const Digest& blob, std::int64_t size,
                              const std::string& owner, Begin begin);

  const RangeSet& have() const { return have_; }  ///< what was there when it was opened
  Status write(std::span<const char> bytes, std::int64_t offset) { return write_at(fd_.get(), bytes, offset, path_); }
  /// One line, one pwrite. A hint: if it is torn, the digest decides.
  Status save(const RangeSet& have);
  Result<UniqueFd> reader() const;
  /// The bytes are verified and synced: gives them the blob's name. False: somebody removed the staging file.
  Result<bool> publish();
  Status drop();

 private:
  Staging() = default;
  std::string path_;
  std::string resume_path_;
  std::string blob_path_;
  std::string owner_;
  std::int64_t size_{0};
  UniqueFd fd_;
  RangeSet have_;
};

/// Who is writing a staging file, as its resume record says; for those who wait.
std::string staging_owner(const CacheLayout& layout, const RepoId& repo, const Digest& blob);

/// What a snapshot's publishing could not do but can be lived with, a line each.
using Warnings = std::vector<std::string>;

class Cache {
 public:
  /// `views`: folders in which older services look for `models--…` (product.md section 3), canonical, none of them the
  /// cache itself.
  Cache(std::string root, std::vector<std::string> views);

  /// Where this repository really lies: the cache, or an older place that holds a real folder for it and could not be
  /// linked to from the cache.
  const CacheLayout& layout(const RepoId& repo) const;

  enum class Writing : std::uint8_t { allowed, forbidden };
  /// If an older place holds a real folder for this repository and the cache nothing, that folder stays the real one
  /// and the cache gets a link to it.
  void adopt(const RepoId& repo, Writing writing);

  std::optional<Record> record(const RepoId& repo, const CommitId& commit) const;
  /// The listing that huggingface_hub left.
  std::optional<std::vector<RemoteFile>> tree(const RepoId& repo, const CommitId& commit) const;
  std::optional<CommitId> ref(const RepoId& repo, const std::string& name) const;
  SnapshotView look(const ResolvedSnapshot& snapshot) const;

  /// Can we write where we shall have to? Leaves nothing but folders.
  Status probe_writing(const RepoId& repo) const;
  /// The repository's folder, complete enough for other tools (`snapshots/` from the first moment), and its lock
  /// folder.
  Status make_repo(const RepoId& repo) const;

  /// All blobs are there: links, tree listing, record, refs last. `sha256` holds the digest of each blob of the
  /// snapshot that was verified in this run or before. Idempotent: what is right is not written again.
  Result<Warnings> publish(const ResolvedSnapshot& snapshot, const std::map<Digest, Digest>& sha256) const;
  /// Keeps a relative link to the repository in each older place.
  Warnings link_views(const RepoId& repo) const;

 private:
  Status publish_links(const ResolvedSnapshot& snapshot) const;
  Status publish_tree(const ResolvedSnapshot& snapshot) const;
  Status publish_record(const ResolvedSnapshot& snapshot, const std::map<Digest, Digest>& sha256) const;
  Status publish_refs(const ResolvedSnapshot& snapshot) const;
  bool refs_right(const ResolvedSnapshot& snapshot) const;

  CacheLayout layout_;
  std::vector<std::string> views_;
  std::map<RepoId, CacheLayout> elsewhere_;
};

}  // namespace model_prep
