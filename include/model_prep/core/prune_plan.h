// SPDX-License-Identifier: Apache-2.0
// Decides what `cleanup` removes from a repository in the cache.
//
// Kept is what the manifest pins in it, over all its keys and variants, whatever models were named
// on the command line: the commits, and what the refs that the manifest names point to (`ref`, and
// a `revision` that is a name). Such a ref moves with `download`; until then services read what it
// points to. What its models need of other repositories in the cache is kept as well. In a
// repository that the manifest does not name, whatever any ref points to is kept.
//
// Every other snapshot goes, whoever made it, and with it the refs that point to it, `refs/pr/1` as
// well as `refs/<commit>`: a ref without its snapshot makes huggingface_hub call the repository
// broken. Then the blobs that nothing links to any more go, and the leftovers of dead downloads.
// There are two exceptions:
//
//   - While somebody is filling the repository nothing goes: the links to what arrives are not made
//     yet.
//   - If no pinned commit exists, only leftovers and blobs without a link go: a manifest that is
//     ahead of the cache, or mistyped, must not empty it. Where names alone are pinned, what they
//     point to counts.
//
// Pure.
#pragma once

#include <set>

#include "model_prep/base/digest.h"
#include "model_prep/base/model_spec.h"

namespace model_prep {

/// A file of an unfinished download (`io/leftovers.h`).
struct Leftover {
  std::string path;
  Digest blob;
  Bytes bytes{0};
  std::int64_t mtime_ns{0};
  bool dead{false};
  bool old{false};  ///< so old that it is dead whatever the locks say
};

/// What the cache holds of a repository.
struct RepoContents {
  struct Snapshot {
    std::set<Digest> links;
    Bytes bytes{0};  ///< of regular files in it
  };
  std::map<CommitId, Snapshot> snapshots;
  std::set<Digest> other_links;          ///< of anything in `snapshots/` that is not a snapshot
  std::map<std::string, CommitId> refs;  ///< `main`, `refs/pr/1`

  /// With their sizes; 0 for a link into the store that repositories share.
  std::map<Digest, Bytes> blobs;
  std::vector<Leftover> leftovers;
  std::optional<Bytes> pending_bytes;  ///< of what a killed cleanup had begun to remove
  std::optional<std::string> writer;   ///< who is filling it
};

/// What must be kept of it.
struct Pins {
  std::set<CommitId> commits;
  std::set<std::string> refs;
  bool of_manifest{false};
  std::set<CommitId> needed{};  ///< by models of other repositories, whatever is pinned
};

struct SnapshotRemoval {
  CommitId commit;
  Strings refs;

  /// Of its files, and of blobs that nothing kept and no earlier removal uses.
  Bytes bytes{0};
};

struct PrunePlan {
  std::vector<SnapshotRemoval> revisions;
  std::vector<Digest> blobs;  ///< those that nothing kept links to
  std::vector<Leftover> leftovers;
  std::optional<Bytes> pending_bytes;
  std::string kept_because;  ///< why more stays than expected; for a message

  /// What was begun before counts as one.
  std::size_t items() const {
    return revisions.size() + blobs.size() + leftovers.size() + (pending_bytes ? 1 : 0);
  }
  bool empty() const { return items() == 0; }
};

PrunePlan make_prune_plan(const RepoContents& contents, const Pins& pins);

Bytes bytes_of(const PrunePlan& plan, const RepoContents& contents);

}  // namespace model_prep
