// SPDX-License-Identifier: Apache-2.0
// Which files an ONNX model keeps its data in.
//
// An ONNX model is a protobuf message. A tensor whose data is too large for it names a file beside
// the model, as the entry `location` of `TensorProto.external_data`. Source: onnx.proto3 in the
// repository onnx/onnx.
//
// Pure. Reads bytes of any origin: bounded in depth, time and memory.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace model_prep {

/// The locations, relative to the model's directory, as they are written. Nothing if the bytes are
/// no ONNX model.
std::optional<std::set<std::string>> external_data_of(std::string_view onnx);

}  // namespace model_prep
