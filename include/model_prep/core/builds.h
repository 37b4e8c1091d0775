// SPDX-License-Identifier: Apache-2.0
// Which builds of a model a repository has, and which files the wanted one needs
// (docs/variants.md).
//
// A build is a set of weights: PyTorch's (core/torch_weights.h), or an export or quantisation
// (core/exported_builds.h). With it go the small files of the repository, and for the builds
// without PyTorch the weights that only exist for it: the later modules of sentence-transformers
// (`2_Dense/`), of which only the first is exported, and a few that every build needs.
// core/build_table.h has the names, and what is taken if the repository lacks a build.
//
// Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/base/variant.h"
#include "model_prep/core/deciding_files.h"

namespace model_prep {

struct SelectedFiles {
  /// The wanted one, or what is taken instead.
  Variant variant;

  std::set<RepoPath> files{};

  /// What has to be read before `files` can be relied on, whether it has been read or not.
  std::set<RepoPath> deciding{};
};

/// Fails with `not_found` if the repository has neither the build nor what may be taken instead, or
/// several that could be meant, and lists those that it has; and if a file names another that is
/// not there. `object` names the repository.
Result<SelectedFiles> select_build(const std::vector<ListedFile>& all, const Variant& wanted,
                                   const DecidingFacts& facts, std::string_view object);

/// One build of a repository, for a table.
struct AvailableBuild {
  Variant variant;

  /// Of its weights, each file counted once.
  Bytes size{0};
  Strings files{};
};

/// In the order of the documentation; `fp32` first. The plain exports have no name.
std::vector<AvailableBuild> available_builds(const std::vector<ListedFile>& all,
                                             const DecidingFacts& facts);

}  // namespace model_prep
