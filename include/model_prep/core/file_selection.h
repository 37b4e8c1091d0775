// SPDX-License-Identifier: Apache-2.0
// From the listing of a commit to the files that the user wants, held to the manifest's lock.
//
// The patterns of the manifest or of the command line decide (base/glob.h); without any, the names
// of the files do (core/weight_selection.h). Errors name the repository and the file. Pure.
#pragma once

#include "model_prep/base/error.h"
#include "model_prep/base/glob.h"
#include "model_prep/base/listing.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/core/weight_selection.h"

namespace model_prep {

/// Whether an include pattern matches and no exclude pattern does.
class PathSelector {
 public:
  explicit PathSelector(const FileFilter& filter)
      : include_(filter.include), exclude_(filter.exclude) {}
  bool operator()(const RepoPath& path) const { return (*this)(path.text()); }
  bool operator()(std::string_view path) const {
    return include_.matches(path) && !exclude_.matches(path);
  }

 private:
  PatternSet include_;
  PatternSet exclude_;
};

/// `not_found`: the filter keeps no file at all.
Error nothing_selected_error(const ModelSpec& spec);

/// The spec with a variant that the repository has. It changes only if the files are selected
/// automatically: what a manifest describes is not second-guessed.
ModelSpec with_available_variant(ModelSpec spec, const Listing& listing);

/// A larger shard index is not read, since it is held in memory. Bytes.
inline constexpr Bytes kMaxIndexSize = Bytes{16} * 1024 * 1024;

/// The shard indexes that must be read before `select_files` can tell which shards are wanted.
std::vector<RemoteFile> required_indexes(const Listing& listing, const ModelSpec& spec);

/// The files to fetch, in the order of the listing. Fails with `gated` if the Hub hides the digest
/// of one of them, with `protocol` if no directory here can hold one, and with `not_found` if no
/// file is left, or only half of an OpenVINO model or of a sharded one.
Result<std::vector<RemoteFile>> select_files(const Listing& listing, const ModelSpec& spec,
                                             const ShardIndexes& indexes = {});

/// Compares the selected files with the lock, and marks those that it names. Fails with
/// `lock_mismatch` if a size or digest differs, or if a file of a fully locked variant is missing.
Status apply_lock(std::vector<RemoteFile>& files, const ModelSpec& spec);

/// The files that the lock names, which needs no listing.
std::vector<RemoteFile> locked_files(const ModelSpec& spec);

}  // namespace model_prep
