// SPDX-License-Identifier: Apache-2.0
// What of a repository in the cache is to be removed.
//
// Kept is what the manifest pins in it, over all keys and variants whatever models were asked for:
// the commits, and what the refs point to that the manifest names (`ref`, and a `revision` that is
// a name). Such a ref moves with `download`; until then services read what it points to. In a
// repository that the manifest does not name, kept is what any ref points to.
//
// Every other snapshot goes, whoever made it, and with it the refs that point to it, `refs/pr/1` as
// well as `refs/<commit>`: a ref without its snapshot makes huggingface_hub call the repository
// broken. Then the blobs that nothing links to any more, and the leftovers of downloads that are
// dead. All stays if
//
//   - somebody is filling the repository: the links of what comes are not made yet;
//   - nothing of what is kept is there (then only leftovers and blobs without a link go): a cache
//   is not emptied by a
//     manifest that is ahead of it or mistyped.
//
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model_prep/base/digest.h"
#include "model_prep/base/model_spec.h"

namespace model_prep {

/// A file of a download that did not end (io/leftovers.h).
struct Leftover {
  std::string path;
  Digest blob;
  std::int64_t bytes{0};
  std::int64_t mtime_ns{0};
  bool dead{false};
  bool old{false};  ///< and so dead whatever locks say
};

/// What the cache holds of a repository.
struct RepoContents {
  struct Snapshot {
    std::set<Digest> links;
    std::int64_t bytes{0};  ///< of files that lie in it themselves
  };
  std::map<CommitId, Snapshot> snapshots;
  std::set<Digest> other_links;          ///< of what is in `snapshots/` and is no snapshot
  std::map<std::string, CommitId> refs;  ///< `main`, `refs/pr/1`
  std::map<Digest, std::int64_t>
      blobs;  ///< and their sizes; 0: a link into the store that repositories share
  std::vector<Leftover> leftovers;
  std::int64_t pending_bytes{0};      ///< of what a cleanup that was killed had begun to remove
  std::optional<std::string> writer;  ///< who is filling it
};

/// What is to be kept of it.
struct Pins {
  std::set<CommitId> commits;
  std::set<std::string> refs;
  bool of_manifest{false};
};

struct SnapshotRemoval {
  CommitId commit;
  std::vector<std::string> refs;
  std::int64_t bytes{
      0};  ///< of its files, and of blobs that neither what is kept nor an earlier removal has
};

struct PrunePlan {
  std::vector<SnapshotRemoval> revisions;
  std::vector<Digest> blobs;       ///< nothing that stays links to them
  std::int64_t unlinked_bytes{0};  ///< of those that nothing linked to in the first place
  std::vector<Leftover> leftovers;
  std::int64_t pending_bytes{0};
  std::string kept_because;  ///< why more stays than one would think
  bool empty() const {
    return revisions.empty() && blobs.empty() && leftovers.empty() && pending_bytes == 0;
  }
};

PrunePlan make_prune_plan(const RepoContents& view, const Pins& pins);

/// What of the plan was done, if this is left of it.
PrunePlan completed_part(const PrunePlan& plan, const PrunePlan& left);
std::int64_t bytes_of(const PrunePlan& cleanup, const RepoContents& view);

}  // namespace model_prep
