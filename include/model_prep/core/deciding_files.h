// SPDX-License-Identifier: Apache-2.0
// What the small files of a repository say about which of its files belong to a model. That goes
// before what the names of the files suggest.
//
//   file                          says
//   *.index.json                  which shards there are
//   model_index.json              which directories a diffusers pipeline consists of
//   modules.json                  which directories are modules of sentence-transformers
//   config.json                   the file in `transformers_weights`; that it is CTranslate2's
//   an .onnx file                 which files hold its data (core/onnx_model.h)
//
// core/builds.h tells which of them must be read before the files of a build are known. Those that
// cannot be read (offline, or too large) leave it to the names.
//
// Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"

namespace model_prep {

/// A file of the repository, whether or not its digest is known.
struct ListedFile {
  RepoPath path;
  Bytes size{0};
};

/// What the files that have been read say.
struct DecidingFacts {
  /// By index, and by ONNX model: the files that it names.
  std::map<RepoPath, std::set<RepoPath>> shards{};
  std::map<RepoPath, std::set<RepoPath>> external_data{};

  /// Of sentence-transformers, the modules after the first: `2_Dense/`.
  std::optional<std::set<std::string, std::less<>>> later_modules{};

  /// Of a pipeline: `unet/`.
  std::optional<std::set<std::string>> pipeline_folders{};

  /// What config.json asks for by name.
  std::set<RepoPath> named_weights{};

  /// config.json is CTranslate2's.
  bool is_ctranslate2{false};
};

/// Adds what `text` says. Fails with `protocol`, and names `object`, if it is an index and not of
/// transformers' format. Anything else that cannot be read says nothing.
Status read_deciding_file(DecidingFacts& facts, const RepoPath& path, std::string_view text,
                          const std::vector<ListedFile>& all, std::string_view object);

}  // namespace model_prep
