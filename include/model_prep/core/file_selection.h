// SPDX-License-Identifier: Apache-2.0
// From the listing of a commit to the files that the user wants, held to the manifest's lock.
//
// The patterns of the manifest or of the command line decide (base/glob.h); without any, the names
// of the files do (core/builds.h). Errors name the repository and the file. Pure.
#pragma once

#include "model_prep/base/error.h"
#include "model_prep/base/glob.h"
#include "model_prep/base/listing.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/core/deciding_files.h"

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

/// A larger file is not read, since it is held in memory. Bytes.
inline constexpr Bytes kMaxDecidingFile = Bytes{16} * 1024 * 1024;

/// All files of a commit, those of a gated repository included.
std::vector<ListedFile> listed_files(const Listing& listing);

/// The files that must be read before `select_files` can tell which files are wanted.
std::vector<RemoteFile> deciding_files(const Listing& listing, const ModelSpec& spec);

struct Selection {
  /// A variant that the repository has. It differs from the spec's only if the files are selected
  /// automatically: what a manifest describes is not second-guessed.
  Variant variant;

  /// In the order of the listing.
  std::vector<RemoteFile> files;
};

/// The files to fetch. Fails with `gated` if the Hub hides the digest of one of them, with
/// `protocol` if no directory here can hold one, and with `not_found` if the repository does not
/// have the build, if no file is left, or only half of an OpenVINO model or of a sharded one.
Result<Selection> select_files(const Listing& listing, const ModelSpec& spec,
                               const DecidingFacts& facts = {});

/// Compares the selected files with the lock, and marks those that it names. Fails with
/// `lock_mismatch` if a size or digest differs, or if a file of a fully locked variant is missing.
Status apply_lock(std::vector<RemoteFile>& files, const ModelSpec& spec);

/// The files that the lock names, which needs no listing.
std::vector<RemoteFile> locked_files(const ModelSpec& spec);

}  // namespace model_prep
