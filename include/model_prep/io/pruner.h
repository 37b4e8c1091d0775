// SPDX-License-Identifier: Apache-2.0
// Looks at a repository in the cache and removes what `core/prune_plan.h` says.
//
// Readers never see half of anything. In this order, each step synced before the next:
//
//   1. the refs of a snapshot;
//   2. its folder, by one rename out of readers' sight; then its listing, its record and its
//   `.no_exist`;
//   3. blobs that nothing links to, each under its lock, by a rename likewise;
//   4. leftovers of downloads, under their blobs' locks.
//
// What has been renamed is then destroyed. Killed in between, a run leaves a valid cache that holds
// a little more, and files under a name of ours that the next one destroys. A file that a service
// has open stays readable.
//
// Beside other programs. A repository that somebody is filling is left alone
// (`RepoContents::writer`): our downloads share a lock for as long as they need what is there,
// which is taken here alone. Where locks do not work, and beside others: huggingface_hub looks for
// a blob and links to it under the blob's lock, and under that lock is looked here whether anything
// links to the blob; so it finds the blob, or fetches it. Our own downloads look once more when
// links and refs are made (`Cache::publish`), and here links and refs are looked for once more
// after the rename, and what somebody wants by then is put back. One of the two sees the other.
//
// Nothing outside of the repository's folder is touched; a blob that is a link into the store that
// newer huggingface_hub shares between repositories loses that link only. One thread.
#pragma once

#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "model_prep/core/prune_plan.h"
#include "model_prep/io/cache.h"
#include "model_prep/io/leftovers.h"

namespace model_prep {

class Pruner {
 public:
  Pruner(const Cache& cache, const RepoId& repo);

  /// Changes nothing. An error: what links where cannot be known.
  Result<RepoContents> look() const;

  /// Takes the plan's items off as they are done, so that what is left in it was not: by an error,
  /// by `stop`, or because somebody wants it by now. `stop` is asked between steps.
  Status remove(PrunePlan& plan, const std::function<bool()>& stop) const;

 private:
  struct PendingRemoval {
    std::string path;
    std::optional<CommitId> snapshot{};
    std::optional<Digest> blob{};
  };
  std::vector<PendingRemoval> pending_removals() const;
  std::map<std::string, CommitId> refs() const;
  Status read_links(const std::string& folder, RepoContents::Snapshot& into) const;
  Result<std::set<Digest>> links() const;
  Status finish_pending() const;
  Result<bool> remove_snapshot(const SnapshotRemoval& removal) const;
  Status remove_metadata(const CommitId& commit) const;
  Result<std::set<Digest>> remove_blobs(std::span<const Digest> blobs) const;
  Result<bool> remove_leftover(const Leftover& left) const;
  Status destroy(const std::string& path) const;
  Status destroy_once(const std::string& path) const;
  std::string trash_name(std::string_view kind, const std::string& hex) const;

  RepoId repo_;
  const CacheLayout& at_;
  const Directory& folder_;
  const Directory& lock_folder_;
  WriterIdentity self_;
};

}  // namespace model_prep
