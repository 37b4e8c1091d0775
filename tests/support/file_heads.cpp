// SPDX-License-Identifier: Apache-2.0
#include "support/file_heads.h"

#include <stdexcept>

namespace model_prep::testing {
namespace {

template <class Number>
std::string little_endian(Number number) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof number; ++i)
    bytes += static_cast<char>(static_cast<std::uint64_t>(number) >> (8 * i) & 0xffU);
  return bytes;
}

/// One tensor with all bytes that follow.
std::string safetensors_head(std::int64_t size) {
  constexpr std::int64_t kHeader = 120;
  const std::string count = std::to_string(size - 8 - kHeader);
  std::string json =
      R"({"w":{"dtype":"U8","shape":[)" + count + R"(],"data_offsets":[0,)" + count + "]}}";
  json.resize(kHeader, ' ');
  return little_endian(std::uint64_t{kHeader}) + json;
}

/// Version 3, no pairs, one tensor of type I8.
std::string gguf_head(std::int64_t size) {
  constexpr std::int64_t kHeader = 64;
  std::string head = "GGUF" + little_endian(std::uint32_t{3}) + little_endian(std::uint64_t{1}) +
                     little_endian(std::uint64_t{0});
  head += little_endian(std::uint64_t{1}) + "w" + little_endian(std::uint32_t{1}) +
          little_endian(static_cast<std::uint64_t>(size - kHeader)) +
          little_endian(std::uint32_t{24}) + little_endian(std::uint64_t{0});
  head.resize(kHeader, '\0');
  return head;
}

/// IR version 8, an empty graph, and a `doc_string` with all bytes that follow.
std::string onnx_head(std::int64_t size) {
  // A varint may be longer than it must be.
  constexpr std::size_t kDigits = 8;
  std::string head("\x08\x08\x3a\x00\x32", 5);
  auto left = static_cast<std::uint64_t>(size) - head.size() - kDigits;
  for (std::size_t i = 0; i < kDigits; ++i, left >>= 7U)
    head += static_cast<char>((left & 0x7fU) | (i + 1 < kDigits ? 0x80U : 0U));
  return head;
}

}  // namespace

FileFormat format_of(std::string_view path) {
  if (path.ends_with(".safetensors")) return FileFormat::safetensors;
  if (path.ends_with(".gguf")) return FileFormat::gguf;
  return path.ends_with(".onnx") ? FileFormat::onnx : FileFormat::any;
}

std::string head_of(FileFormat format, std::int64_t size) {
  constexpr std::int64_t kLongest = 128;
  if (format == FileFormat::any) return {};
  if (size < kLongest)
    throw std::invalid_argument("a made-up file of this format has at least 128 bytes");
  if (format == FileFormat::safetensors) return safetensors_head(size);
  return format == FileFormat::gguf ? gguf_head(size) : onnx_head(size);
}

}  // namespace model_prep::testing
