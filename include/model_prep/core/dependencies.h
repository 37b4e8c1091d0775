// SPDX-License-Identifier: Apache-2.0
// What a model needs beyond its own repository, as its small files say.
//
//   file                                              names
//   config.json, tokenizer_config.json,               in `auto_map`, as `org/name--module.Class`:
//   processor_config.json, preprocessor_config.json   Python code, for trust_remote_code=True
//   config.json                                       in `hf_model_name_or_path`, at any depth: the
//                                                     config of a text tower (jina-clip); in
//                                                     `text_model_id` and `audio_model_id`: the
//                                                     models of which it consists (Ultravox)
//   adapter_config.json                               in `base_model_name_or_path`: the base model
//   gliner_config.json                                in `model_name`: where the tokenizer is,
//                                                     unless the model has its own, and
//                                                     `encoder_config`; in `labels_encoder`: that
//                                                     of the labels
//   config.yaml of a pyannote pipeline                segmentation and embedding models
//
// They count in any folder: each module of a sentence-transformers model has its own. But a whole
// model, with config.json and weights in the root, does without an adapter in a folder. A name that
// is no repository's, such as the path of a folder, is none here either, and a file that cannot be
// read names nothing: whoever loads the model reports it better. transformers' list of kernels is
// in its code, not in a repository, so kernels are never named.
//
// The files come from others, so at most 64 names of a model count. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "model_prep/base/model_spec.h"
#include "model_prep/core/manifest.h"

namespace model_prep {

struct Dependency {
  RepoId repo;

  /// What a library asks for: `main`, unless the file names another one.
  Revision revision;

  /// In words: `the base model of an adapter`.
  std::string reason;

  /// The first file that names it.
  RepoPath file;

  /// It is Python code, which will run.
  bool code{false};

  /// Files without which it is of no use.
  std::set<RepoPath> needed{};

  /// Patterns of the files to fetch; empty: what the model's own variant has.
  Strings include{};

  /// The model's own file names it, not one of another dependency.
  bool direct{true};

  /// Whether it is in the cache; for those to say who can look there.
  bool present{false};

  /// As it is named on the command line: `org/name[@revision]`.
  std::string key() const;
};

/// More names than this do not count.
inline constexpr std::size_t kMaxDependencies = 64;

/// Whether a file of this name can name a dependency of the model.
bool may_name_dependencies(const RepoPath& path, const ModelSpec& model);

/// A larger file of that name is not read. Bytes.
inline constexpr Bytes kMaxDependencyFile = Bytes{4} * 1024 * 1024;

/// The texts of small files, by their path.
using FileTexts = std::map<RepoPath, std::string>;

/// What these files of the model name, without code if its build runs none. Two names of one
/// repository are one dependency, unless only one of them is code.
std::vector<Dependency> find_dependencies(const FileTexts& texts, const ModelSpec& model,
                                          const std::vector<RemoteFile>& files);

/// The dependency as a model of the run, in the variant of the model that needs it, and held to the
/// same policy. If `manifest` describes a model of that repository whose ref is asked for, or whose
/// revision, that one's pin, locked files, signer and policy count.
ModelSpec dependency_spec(const Dependency& dependency, const ModelSpec& needed_by,
                          const Manifest& manifest = {});

}  // namespace model_prep
