// SPDX-License-Identifier: Apache-2.0
// Which files an ONNX model keeps its data in, and how long they must be.
//
// An ONNX model is a protobuf message. A tensor whose data is too large for it names a file beside
// the model, as the entry `location` of `TensorProto.external_data`, with `offset` and `length` in
// bytes. Source: onnx.proto3 in the repository onnx/onnx.
//
// Pure. Reads bytes of any origin: bounded in depth, time and memory. The tensors that are in the
// model itself are skipped, and at most 64 MiB of all else are read.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "model_prep/core/range_reader.h"

namespace model_prep {

/// By location, relative to the model's directory, as it is written: how many bytes its tensors
/// need, as far as they say.
using ExternalData = std::map<std::string, std::uint64_t>;

/// Nothing if the bytes are no ONNX model.
std::optional<ExternalData> external_data_of(const FileRange& onnx);

}  // namespace model_prep
