// SPDX-License-Identifier: Apache-2.0
// Which files of a repository a service needs if no manifest describes it, judged by their names
// (docs/variants.md).
//
// Small files (configuration, tokenizer, `1_Pooling/`, `modules.json`) belong to every variant. The
// weights depend on it:
//
// - `fp32` takes the weights of PyTorch and never those of another framework. In each directory,
//   a pickle (`pytorch_model.bin`) is left out if the same weights are there as safetensors
//   (`model.safetensors`), and taken if they are not (`2_Dense/pytorch_model.bin`). Of a single
//   file and shards of the same weights it takes the single file, as transformers does; of shards
//   exactly those that the index names; of `model.safetensors` and `model.fp16.safetensors` the
//   first. Left out are the state of a trainer (`optimizer.pt`), the vendor's duplicate
//   (`consolidated.*` next to `model.*`), and weights in the root of a diffusers pipeline, whose
//   parts have their own directories.
// - `onnx` takes `onnx/model.onnx`, else `model.onnx`, with its external data.
// - `openvino-int8` takes `openvino/openvino_model_qint8_quantized.xml` and `.bin`. If the
//   repository is an OpenVINO model itself, it takes `openvino_*.xml` and `.bin` from the root.
// - `onnx` and `openvino-int8` take the weights of the later modules of sentence-transformers
//   (`2_Dense/`) as `fp32` does, because only the first module is published in other builds.
//
// Pure.
#pragma once

#include <set>

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"

namespace model_prep {

/// The shards that each index names, for the indexes that have been read.
using ShardIndexes = std::map<RepoPath, std::set<RepoPath>>;

/// Reads an index such as `model.safetensors.index.json`. Its shards are returned as paths in the
/// repository. Fails with `protocol`, and names `object` in the message.
Result<std::set<RepoPath>> parse_shard_index(std::string_view text, const RepoPath& path,
                                             std::string_view object);

/// The wanted variant if a repository with these files has it, else `fp32`.
Variant available_variant(const std::vector<RepoPath>& all, Variant wanted);

struct SelectedFiles {
  std::set<RepoPath> files;

  /// Those of `files` that are shard indexes. For an index that is not in `ShardIndexes` the names
  /// of the shards decide.
  std::set<RepoPath> indexes;
};

/// Fails with `not_found` if an index names a shard that is not there, and if the repository has
/// weights of other frameworks only.
Result<SelectedFiles> select_weights(const std::vector<RepoPath>& all, Variant variant,
                                     const ShardIndexes& indexes, std::string_view object);

}  // namespace model_prep
