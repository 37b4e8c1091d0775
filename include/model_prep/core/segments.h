// SPDX-License-Identifier: Apache-2.0
// A file as a set of byte ranges: which bytes are on disk, which are on their way, which to ask for
// next.
//
// Not thread-safe; pure. Offsets and sizes are bytes.
#pragma once

#include <cstdint>
#include <optional>

#include "model_prep/base/byte_range.h"

namespace model_prep {

class SegmentMap {
 public:
  /// `segment` is the most that one transfer takes, `window` how far ahead of the watermark taking
  /// may run.
  SegmentMap(std::int64_t size, RangeSet have, std::int64_t segment, std::int64_t window);

  /// The lowest bytes that nobody has or fetches: at most one segment, none beyond `watermark() +
  /// window`.
  std::optional<ByteRange> take();
  /// These bytes are on disk. Taken bytes stay busy until they are on disk or given back.
  void wrote(ByteRange range);
  /// These were taken and will not come.
  void give_back(ByteRange range);

  std::int64_t size() const { return size_; }
  /// Every byte below is on disk.
  std::int64_t watermark() const { return have_.prefix(); }
  bool complete() const { return watermark() == size_; }
  const RangeSet& have() const { return have_; }

 private:
  std::int64_t size_;
  std::int64_t segment_;
  std::int64_t window_;
  RangeSet have_;
  RangeSet busy_;  // have or being fetched
};

/// How much one transfer takes of a file of `size` when `connections` may be used: large enough
/// that the Hub is asked at most about 128 times per file (it allows 3,000 `/resolve/` requests in
/// five minutes, docs/developing/hub-protocol.md, section 4.3), small enough that a single large
/// file still uses all connections, and such that all of them have the same to do: else the last
/// round would be a few segments, and most connections idle.
std::int64_t segment_size(std::int64_t size, int connections);

}  // namespace model_prep
