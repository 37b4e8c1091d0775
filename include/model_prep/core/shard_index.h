// SPDX-License-Identifier: Apache-2.0
// Whether the index of a sharded model (`model.safetensors.index.json`) and its shards agree: each
// tensor of `weight_map` is in the shard that it names.
//
// transformers trusts the index, so a tensor that is not there is missing in the model. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "model_prep/core/safetensors.h"

namespace model_prep {

/// Safetensors files that are sound, by their path.
using Shards = std::map<std::string, Safetensors, std::less<>>;

/// A larger index is not read. Bytes.
inline constexpr std::size_t kMaxShardIndex = std::size_t{64} * 1024 * 1024;

bool is_shard_index(std::string_view path);

/// One line, with the first tensor that is missing. Shards that are not among these do not count:
/// whether they were selected is checked elsewhere (`core/deciding_files.h`).
std::optional<std::string> shard_index_fault(std::string_view text, std::string_view path,
                                             const Shards& shards);

}  // namespace model_prep
