// SPDX-License-Identifier: Apache-2.0
// Byte ranges of a file, and sets of them. Offsets and sizes are bytes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "model_prep/base/types.h"

namespace model_prep {

/// Half-open: `begin` is in it, `end` is not.
struct ByteRange {
  Bytes begin{0};
  Bytes end{0};
  Bytes size() const { return end - begin; }
  bool empty() const { return begin >= end; }
  bool operator==(const ByteRange&) const = default;
};

/// Disjoint ranges. Ranges that touch are merged, so equal sets have equal texts.
class RangeSet {
 public:
  void add(ByteRange range);
  void remove(ByteRange range);
  bool contains(ByteRange range) const;
  /// The end of the range that begins at 0, or 0 if no range does.
  Bytes prefix() const;
  Bytes total() const;
  /// The first gap at or after `from` and below `limit`.
  std::optional<ByteRange> gap(Bytes from, Bytes limit) const;
  bool empty() const { return begins_.empty(); }
  /// The lowest range.
  std::optional<ByteRange> first() const;
  bool operator==(const RangeSet&) const = default;

  /// `0-33554432,67108864-70000000`, as resume records hold it.
  std::string text() const;
  /// Empty for ranges that are not sorted, disjoint and within [0, size].
  static std::optional<RangeSet> parse(std::string_view text, Bytes size);

 private:
  std::map<Bytes, Bytes> begins_;  // end → begin
};

}  // namespace model_prep
