// SPDX-License-Identifier: Apache-2.0
// Which files of a commit a variant wants.
//
// Patterns follow huggingface_hub's `allow_patterns`/`ignore_patterns` to the letter (hub-protocol.md section 6):
// Python's fnmatch on the whole path, case-sensitive, `*` also matches `/`, a pattern that ends in `/` means all below
// it.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "model_prep/values/error.h"
#include "model_prep/values/model_spec.h"

namespace model_prep {

bool matches_pattern(std::string_view pattern, std::string_view path);

/// What the Hub lists of a commit. `masked` are the files of a gated repository whose digests are hidden from this
/// token (64 asterisks, models.md section 6).
struct Listing {
  std::vector<RemoteFile> files;
  std::vector<RepoPath> masked;
};

/// Refuses what no repository can hold and no folder can take: a path twice, or one that is file and folder at once.
/// Sorts the files by path.
Status check_listing(Listing& listing, std::string_view object);

/// An include matches and no exclude does.
bool keeps(const FileFilter& filter, const RepoPath& path);

/// What to say where the filter keeps nothing at all.
Error nothing_selected(const ModelSpec& spec);

/// The files that the filter keeps, sorted by path; fails with `gated` if one of them is masked, with `not_found` if
/// nothing is left. The general rule, for repositories that no manifest describes, is what PyTorch services load:
/// safetensors where there are any, else PyTorch's own pickles; no other framework's weights.
Result<std::vector<RemoteFile>> select_files(const Listing& listing, const ModelSpec& spec);

/// Holds what was selected to the lock: equal size and digest for each locked file, and every fully locked file there.
/// Marks the locked files. Fails with `lock_mismatch`.
Status apply_lock(std::vector<RemoteFile>& files, const ModelSpec& spec);

/// The files of a fully locked variant, without asking anybody.
std::vector<RemoteFile> locked_files(const ModelSpec& spec);

}  // namespace model_prep
