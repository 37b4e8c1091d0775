// SPDX-License-Identifier: Apache-2.0
// Reads a file from front to back, or wherever a header points, through one small window: so a
// parser of headers skips what it does not need, and its memory does not depend on the file.
//
//   RangeReader reader(size, read);
//   reader.skip(8);
//   const auto count = reader.number<std::uint64_t>(std::endian::little);
//
// Reading beyond the end gives nothing. The window is 4 KiB where the reader has jumped to, and up
// to 64 KiB where it reads on. Pure: the bytes come from a function.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "model_prep/base/types.h"

namespace model_prep {

/// The bytes of a file from an offset on: at most `size`, and fewer only at its end or if it cannot
/// be read.
using ReadRange = std::function<std::string(Bytes offset, std::size_t size)>;

/// A file whose header is to be read.
struct FileRange {
  Bytes size{0};
  ReadRange read;
};

/// Bytes in memory, as a file. They must outlive it.
FileRange range_of(std::string_view bytes);

class RangeReader {
 public:
  explicit RangeReader(const FileRange& file) : RangeReader(file, 0, file.size) {}

  /// Only the bytes from `begin` to `end`, which lie in the file.
  RangeReader(const FileRange& file, Bytes begin, Bytes end)
      : file_(&file), position_(begin), end_(end) {}

  Bytes position() const { return position_; }
  Bytes left() const { return end_ - position_; }

  /// How many bytes were read into the window, for bounds of time.
  Bytes loaded() const { return loaded_; }

  /// Whether bytes that should be there could not be read.
  bool has_failed() const { return has_failed_; }

  /// The next byte.
  std::optional<unsigned char> byte();

  /// The next bytes; nothing if there are fewer.
  std::optional<std::string> bytes(std::size_t size);

  /// False if there are fewer: then it stays where it is.
  bool skip(std::uint64_t size);

  /// Continues there. `position` lies in the range.
  void seek(Bytes position) { position_ = position; }

  template <std::unsigned_integral Number>
  std::optional<Number> number(std::endian order) {
    const auto read = bytes(sizeof(Number));
    if (!read) return std::nullopt;

    Number number = 0;
    for (std::size_t i = 0; i < sizeof(Number); ++i) {
      const std::size_t at = order == std::endian::big ? i : sizeof(Number) - 1 - i;
      number = static_cast<Number>(std::uint64_t{number} << 8U |
                                   static_cast<unsigned char>((*read)[at]));
    }
    return number;
  }

 private:
  /// Makes the byte at the position part of the window.
  bool load();

  const FileRange* file_;
  Bytes position_;
  Bytes end_;
  std::string window_;
  Bytes window_begin_{0};
  Bytes loaded_{0};
  bool has_failed_{false};
};

}  // namespace model_prep
