// SPDX-License-Identifier: Apache-2.0
// Whether the library safetensors would open a file, from its header alone.
//
//   8 bytes                 n, the size of the header, little-endian, at most 100,000,000
//   n bytes                 JSON: {"name": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
//   the rest                the tensors, without holes and without overlaps, up to the last byte
//
// The rules are those of `SafeTensors::read_metadata` in the crate and PyPI package safetensors
// 0.8.0, whose JSON parser is serde_json: what it accepts is sound, what it refuses is malformed.
// So a structure may also be an array of its members in their order, a member that is not known is
// skipped, and of two tensors of one name the last one counts.
//
// Pure. The header is read through a window. A header with a text of more than 4 MiB or with more
// than 250,000 tensors is not judged, so its size does not decide how much memory it takes.
#pragma once

#include <vector>

#include "model_prep/core/format_check.h"
#include "model_prep/core/range_reader.h"

namespace model_prep {

struct Safetensors {
  FormatCheck check;

  /// The `tensor_key` of each tensor, sorted.
  std::vector<std::uint64_t> tensors;

  bool has(std::string_view tensor) const;
};

/// A hash in place of the name: a file may have a million of them.
std::uint64_t tensor_key(std::string_view name);

Safetensors read_safetensors(const FileRange& file);

}  // namespace model_prep
