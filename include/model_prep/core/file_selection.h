// SPDX-License-Identifier: Apache-2.0
// Which files of a commit a variant wants.
//
// Patterns are those of base/glob.h.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/base/listing.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/core/weight_selection.h"

namespace model_prep {

/// An include matches and no exclude does.
bool is_selected(const FileFilter& filter, const RepoPath& path);

/// What to say where the filter keeps nothing at all.
Error nothing_selected_error(const ModelSpec& spec);

/// With the variant that the repository has, where the general rule (core/weight_selection.h)
/// chooses its files.
ModelSpec with_available_variant(ModelSpec spec, const Listing& listing);

/// An index that is larger is not read.
inline constexpr std::int64_t kMaxIndexSize = std::int64_t{16} * 1024 * 1024;
/// The files that have to be read before the general rule knows what a settled variant wants.
std::vector<RemoteFile> required_indexes(const Listing& listing, const ModelSpec& spec);

/// The files that the filter, or the general rule, keeps, in the order of the listing. Fails with
/// `gated` if one of them is masked, with `not_found` if nothing is left, or half of an OpenVINO
/// model or of a sharded one.
Result<std::vector<RemoteFile>> select_files(const Listing& listing, const ModelSpec& spec,
                                             const ShardIndexes& indexes = {});

/// Holds what was selected to the lock: equal size and digest for each locked file, and every fully
/// locked file there. Marks the locked files. Fails with `lock_mismatch`.
Status apply_lock(std::vector<RemoteFile>& files, const ModelSpec& spec);

/// The files of a fully locked variant, without asking anybody.
std::vector<RemoteFile> locked_files(const ModelSpec& spec);

}  // namespace model_prep
