// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/prune_plan.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace model_prep {

PrunePlan make_prune_plan(const RepoContents& view, const Pins& pins) {
  PrunePlan plan;
  if (view.writer) {
    plan.kept_because = fmt::format("in use by {}", *view.writer);
    return plan;
  }

  std::set<CommitId> kept = pins.commits;
  for (const auto& [name, commit] : view.refs)
    if (!pins.of_manifest || pins.refs.contains(name)) kept.insert(commit);

  const bool none_there = std::none_of(kept.begin(), kept.end(), [&](const CommitId& commit) {
    return view.snapshots.contains(commit);
  });
  if (none_there && !view.snapshots.empty())
    plan.kept_because = "no pinned revision is in the cache";

  std::set<Digest> linked = view.other_links;
  for (const auto& [commit, snapshot] : view.snapshots)
    if (none_there || kept.contains(commit))
      linked.insert(snapshot.links.begin(), snapshot.links.end());

  for (const auto& [commit, snapshot] : view.snapshots) {
    if (none_there || kept.contains(commit)) continue;

    SnapshotRemoval removal{commit, {}, snapshot.bytes};
    for (const auto& [name, target] : view.refs)
      if (target == commit) removal.refs.push_back(name);
    // A blob counts for the first removal that frees it.
    for (const Digest& link : snapshot.links)
      if (const auto blob = view.blobs.find(link);
          blob != view.blobs.end() && linked.insert(link).second) {
        plan.blobs.push_back(link);
        removal.bytes += blob->second;
      }
    plan.revisions.push_back(std::move(removal));
  }

  for (const auto& [blob, bytes] : view.blobs)
    if (!linked.contains(blob)) plan.blobs.push_back(blob);

  std::copy_if(view.leftovers.begin(), view.leftovers.end(), std::back_inserter(plan.leftovers),
               [](const Leftover& left) { return left.dead; });
  plan.pending_bytes = view.pending_bytes;
  return plan;
}

std::int64_t bytes_of(const PrunePlan& plan, const RepoContents& view) {
  std::int64_t bytes = plan.pending_bytes;
  for (const SnapshotRemoval& removal : plan.revisions)
    bytes += view.snapshots.at(removal.commit).bytes;
  for (const Digest& blob : plan.blobs) bytes += view.blobs.at(blob);
  for (const Leftover& left : plan.leftovers) bytes += left.bytes;
  return bytes;
}

}  // namespace model_prep
