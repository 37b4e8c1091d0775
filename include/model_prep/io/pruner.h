// SPDX-License-Identifier: Apache-2.0
// Inspects a repository in the cache and removes what `core/prune_plan.h` says.
//
// Readers never see half of anything. In this order, each step synced before the next:
//
//   1. the refs of a snapshot;
//   2. its directory, by one rename out of readers' sight; then its listing, its record and its
//      `.no_exist`;
//   3. blobs that nothing links to, each under its lock, by a rename too;
//   4. leftovers of downloads, under their blobs' locks.
//
// What has been renamed is then deleted. A run killed in between leaves a valid cache that holds a
// little more, and files under names of ours that the next run deletes. A file that a service has
// open stays readable.
//
// Together with other programs: a repository that somebody is filling is left alone
// (`RepoContents::writer`). Our downloads share a lock for as long as they need what exists; here
// it is taken exclusively. Where locks do not work, and for programs that do not know this lock:
// huggingface_hub checks for a blob and links to it under the blob's lock, and under that lock we
// check whether anything links to the blob, so that it finds the blob or fetches it. Our own
// downloads check again once links and refs are made (`Cache::publish`), and we check for links and
// refs again after the rename and put back what somebody wants by then. One of the two sees the
// other.
//
// Nothing outside the repository's directory is touched. A blob that is a link into the store that
// newer huggingface_hub shares between repositories loses only that link. One thread.
#pragma once

#include "model_prep/core/prune_plan.h"
#include "model_prep/io/repository.h"

namespace model_prep {

/// Changes nothing. An error means that it cannot be known what links where.
Result<RepoContents> read_contents(const Repository& repository);

/// Adds the items of the plan to `done` as they are removed. What is not in it at the end stayed:
/// because of an error or `stop`, or because somebody wants it by now. `stop` is called between
/// steps.
Status remove_planned(const Repository& repository, const PrunePlan& plan, PrunePlan& done,
                      const std::function<bool()>& stop);

}  // namespace model_prep
