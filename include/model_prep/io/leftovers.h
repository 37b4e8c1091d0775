// SPDX-License-Identifier: Apache-2.0
// What downloads that did not end have left in a repository, and whether somebody may still be at
// it.
//
//   in blobs/                                     whose it is                  it is dead if
//   <blob>.<tag>.model-prep.incomplete            a process of this program's  that process is of
//   this kernel, and its <blob>.model-prep.resume blob's lock is free; or a day is gone by
//   <blob>.incomplete, <blob>.<8 hex>.incomplete  huggingface_hub's            its blob's lock is
//   free, where locks
//                                                                              exclude; or a day is
//                                                                              gone by
//
// A living writer of ours saves its record every two seconds, so a day without is its death
// wherever it ran. A name that is none of these is nobody's leftover. One thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model_prep/core/prune_plan.h"
#include "model_prep/io/staging.h"

namespace model_prep {

struct Repository {
  const Directory& folder;
  const Directory& lock_folder;
  const CacheLayout& layout;
  RepoId repo;
};

/// Removes staging files that no record names, and records whose blob is published, if they are
/// dead. What a record names is left for the next run to go on with.
void sweep_staging(const Repository& repository, const WriterIdentity& self);

/// All of them. Writes nothing.
std::vector<Leftover> leftovers_in(const Repository& repository, const WriterIdentity& self);

/// Who is filling this repository, for a message: a lock is held, or a leftover may be alive.
/// Nothing: nobody.
std::optional<std::string> writer_in(const Repository& repository,
                                     const std::vector<Leftover>& leftovers);

}  // namespace model_prep
