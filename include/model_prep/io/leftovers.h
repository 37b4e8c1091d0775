// SPDX-License-Identifier: Apache-2.0
// What unfinished downloads left in a repository, and whether somebody may still be writing it.
//
//   in blobs/                                     written by        dead if
//   <blob>.<tag>.model-prep.incomplete and its    this program      the writer ran on this kernel
//   <blob>.model-prep.resume                                        and the locks of blob and
//                                                                   staging file are free; or it is
//                                                                   a day old
//   <blob>.incomplete, <blob>.<8 hex>.incomplete  huggingface_hub   the blob's lock is free, where
//                                                                   locks exclude; or it is a day
//                                                                   old
//
// The writer of what a record names is the process that has the claim. One that had the file before
// has lost it and would notice that, so it does not matter where it ran. A living writer of ours
// saves its record every two seconds, so that after a day without it is dead wherever it ran. Files
// with other names are not leftovers. Beside a record that cannot be read only a day settles it.
// One thread.
#pragma once

#include "model_prep/core/prune_plan.h"
#include "model_prep/io/repository.h"
#include "model_prep/io/staging.h"

namespace model_prep {

/// A file, or a directory of `Cache::create_repo_dirs`. What cannot be removed is left to another
/// run.
void remove_temporary(const Directory& owner, const std::string& path);

/// Removes temporary files that a SIGKILL left. Those of a running process are not a day old.
void sweep_temporary_files(const Directory& owner, const std::string& directory);

/// Removes dead staging files that no record names, and dead records whose blob is published. What
/// a record names is left for the next run to resume.
void sweep_staging(const Repository& repository, const WriterIdentity& self);

/// All of them. Writes nothing.
std::vector<Leftover> find_leftovers(const Repository& repository, const WriterIdentity& self);

/// Whether the repository's own lock may be anybody's, or we have it.
enum class RepoLock : std::uint8_t { anybodys, ours };

/// Who is filling this repository, for a message: a lock is held, or a leftover may be alive.
/// Nothing if nobody is.
std::optional<std::string> find_writer(const Repository& repository,
                                       const std::vector<Leftover>& leftovers, RepoLock repo_lock);

}  // namespace model_prep
