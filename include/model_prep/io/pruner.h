// SPDX-License-Identifier: Apache-2.0
// Inspects a repository in the cache and removes what `core/prune_plan.h` says.
//
// In this order, each step synced before the next:
//
//   1. the refs of a snapshot;
//   2. its listing, its record and its `.no_exist`;
//   3. its directory, by one rename out of readers' sight, and where a directory cannot be renamed
//      (the lower layer of an image), link by link;
//   4. blobs that nothing links to, each under its lock;
//   5. leftovers of downloads, under their blobs' locks.
//
// A run that is killed in between leaves a valid cache that holds a little more, for the next one.
// A file that a service has open stays readable.
//
// Together with other programs: the repository's lock is held alone, from the moment when the plan
// is made until the last blob is gone. Our downloads share it for as long as they need what exists,
// and wait for a cleanup that is at work, a minute at most.
// huggingface_hub, which does not know that lock, checks for a blob and links to it under the
// blob's lock; under that lock we check whether anything links to the blob, so that it finds the
// blob or fetches it. Where locks exclude nobody, and for a run that does not have the lock, a
// download that is writing is still seen by its resume record (`RepoContents::writer`), and our
// downloads check again once links and refs are made (`Cache::publish`). But a blob that was there
// before and is linked in the very moment of its removal is then missing until the next download.
//
// Nothing outside the repository's directory is touched. A blob that is a link into the store that
// newer huggingface_hub shares between repositories loses only that link. One thread.
#pragma once

#include "model_prep/core/prune_plan.h"
#include "model_prep/io/file_lock.h"
#include "model_prep/io/leftovers.h"

namespace model_prep {

/// Nothing if a download or another cleanup has it.
Result<std::optional<FileLock>> lock_alone(const Repository& repository);

/// Changes nothing. An error means that it cannot be known what links where.
Result<RepoContents> read_contents(const Repository& repository, RepoLock lock);

/// Call it with the repository's lock. Adds the items of the plan to `done` as they are removed.
/// What is not in it at the end stayed: because of an error or `stop`, or because somebody wants it
/// by now. `stop` is called between steps.
Status remove_planned(const Repository& repository, const PrunePlan& plan, PrunePlan& done,
                      const std::function<bool()>& stop);

}  // namespace model_prep
