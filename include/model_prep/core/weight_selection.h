// SPDX-License-Identifier: Apache-2.0
// The general rule: which files of a repository that no manifest describes a service needs, told by
// their names.
//
// Small files (configs, tokenizers, `1_Pooling/`, `modules.json`) belong to every variant. Of the
// weights
//
// - `fp32` takes PyTorch's, never another framework's. Directory by folder: a pickle
// (`pytorch_model.bin`) is left out
//   where the same folder has the same weights as safetensors (`model.safetensors`), and stays
//   where it has not
//   (`2_Dense/pytorch_model.bin`). Of one file and shards of the same weights it takes the one
//   file, as transformers does; of shards exactly those that the index names; of
//   `model.safetensors` and `model.fp16.safetensors` the first. Left out are a trainer's leftovers
//   (`optimizer.pt`), a maker's own copy (`consolidated.*` beside `model.*`), and what lies at the
//   root of a pipeline of diffusers, whose parts have folders of their own.
// - `onnx` takes `onnx/model.onnx`, else `model.onnx`, with its external data;
// - `onnx` and `openvino-int8` take the weights of sentence-transformers' later modules
// (`2_Dense/`) as `fp32` does:
//   only the first module has other builds;
// - `openvino-int8` takes `openvino/openvino_model_qint8_quantized.xml` and `.bin`, or what a
// repository holds that is
//   an OpenVINO model itself (`openvino_*.xml` and `.bin` at its root).
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

/// What each index that has been read names.
using ShardIndexes = std::map<RepoPath, std::set<RepoPath>>;
/// The shards that an index (`model.safetensors.index.json`) names, as paths of the repository.
Result<std::set<RepoPath>> parse_shard_index(std::string_view text, const RepoPath& path,
                                             std::string_view object);

/// The variant that a repository with these files has: the one that is wanted, else `fp32`.
Variant available_variant(const std::vector<RepoPath>& all, Variant wanted);

struct SelectedFiles {
  std::set<RepoPath> files;
  std::set<RepoPath>
      indexes;  ///< those of `files` whose contents decide about others; not read, names have to do
};
/// Fails where a variant's half is missing, and where the repository has no weights but other
/// frameworks': `not_found`.
Result<SelectedFiles> select_weights(const std::vector<RepoPath>& all, Variant variant,
                                     const ShardIndexes& indexes, std::string_view object);

/// An OpenVINO model is an `.xml` and a `.bin`: where such a variant has only one of them it fails
/// with `not_found`. What the user's patterns choose is the user's business.
Status check_openvino(const std::vector<RemoteFile>& files, const ModelSpec& spec);

/// What to say of files that run code when they are loaded, if there are such: one line.
std::optional<std::string> pickle_warning(const ResolvedSnapshot& snapshot);

}  // namespace model_prep
