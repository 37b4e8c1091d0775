// SPDX-License-Identifier: Apache-2.0
// Made-up files that are what their names promise: a head that the format's library accepts, in
// front of bytes that mean nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace model_prep::testing {

/// A format that the program looks into.
enum class FileFormat : std::uint8_t { any, safetensors, gguf, onnx };

/// By the end of its name.
FileFormat format_of(std::string_view path);

/// The first bytes of a file of that size. Throws std::invalid_argument if it has no room for them.
std::string head_of(FileFormat format, std::int64_t size);

}  // namespace model_prep::testing
