// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/prune_plan.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace model_prep {

PrunePlan make_prune_plan(const RepoContents& contents, const Pins& pins) {
  PrunePlan plan;
  if (contents.writer) {
    plan.kept_because = fmt::format("in use by {}", *contents.writer);
    return plan;
  }

  std::set<CommitId> of_refs;
  for (const auto& [name, commit] : contents.refs)
    if (!pins.of_manifest || pins.refs.contains(name)) of_refs.insert(commit);

  // Almost every cache has what `main` points to, so only without any pin can a ref stand for one.
  const std::set<CommitId>& pinned = pins.commits.empty() ? of_refs : pins.commits;
  const bool none_there = std::ranges::none_of(
      pinned, [&](const CommitId& commit) { return contents.snapshots.contains(commit); });
  if (none_there && !contents.snapshots.empty())
    plan.kept_because = "no pinned revision is in the cache";

  std::set<CommitId> kept = pins.commits;
  kept.insert(of_refs.begin(), of_refs.end());
  kept.insert(pins.needed.begin(), pins.needed.end());

  std::set<Digest> linked = contents.other_links;
  for (const auto& [commit, snapshot] : contents.snapshots)
    if (none_there || kept.contains(commit))
      linked.insert(snapshot.links.begin(), snapshot.links.end());

  for (const auto& [commit, snapshot] : contents.snapshots) {
    if (none_there || kept.contains(commit)) continue;

    SnapshotRemoval removal{commit, {}, snapshot.bytes};
    for (const auto& [name, target] : contents.refs)
      if (target == commit) removal.refs.push_back(name);
    // A blob counts for the first removal that frees it.
    for (const Digest& link : snapshot.links)
      if (const auto blob = contents.blobs.find(link);
          blob != contents.blobs.end() && linked.insert(link).second) {
        plan.blobs.push_back(link);
        removal.bytes += blob->second;
      }
    plan.revisions.push_back(std::move(removal));
  }

  for (const auto& [blob, bytes] : contents.blobs)
    if (!linked.contains(blob)) plan.blobs.push_back(blob);

  std::ranges::copy_if(contents.leftovers, std::back_inserter(plan.leftovers), &Leftover::dead);
  plan.pending_bytes = contents.pending_bytes;
  return plan;
}

Bytes bytes_of(const PrunePlan& plan, const RepoContents& contents) {
  Bytes bytes = plan.pending_bytes.value_or(0);
  for (const SnapshotRemoval& removal : plan.revisions)
    bytes += contents.snapshots.at(removal.commit).bytes;
  for (const Digest& blob : plan.blobs) bytes += contents.blobs.at(blob);
  for (const Leftover& left : plan.leftovers) bytes += left.bytes;
  return bytes;
}

}  // namespace model_prep
