// SPDX-License-Identifier: Apache-2.0
// A file as a set of byte ranges: on disk, in flight, and next.
//
// Pure; not thread-safe. Offsets and sizes are bytes.
#pragma once

#include <utility>

#include "model_prep/base/byte_range.h"

namespace model_prep {

class SegmentMap {
 public:
  /// `segment` is the most that one transfer takes, `window` how far it may be ahead of the
  /// watermark.
  SegmentMap(Bytes size, RangeSet have, Bytes segment, Bytes window)
      : size_(size), segment_(segment), window_(window), have_(std::move(have)), busy_(have_) {}

  /// The lowest bytes that are neither on disk nor in flight: at most one segment, none beyond
  /// `watermark() + window`. They are in flight until they are on disk or given back.
  std::optional<ByteRange> take();

  /// These bytes are on disk.
  void wrote(ByteRange range) {
    have_.add(range);
    busy_.add(range);
  }

  /// These were taken and will not arrive.
  void give_back(ByteRange range);

  Bytes size() const { return size_; }

  /// Every byte below is on disk.
  Bytes watermark() const { return have_.prefix(); }
  bool complete() const { return watermark() == size_; }
  const RangeSet& have() const { return have_; }

 private:
  Bytes size_;
  Bytes segment_;
  Bytes window_;
  RangeSet have_;
  RangeSet busy_;  // on disk or in flight
};

/// How much of a file of `size` one transfer takes. Large enough that the Hub gets at most about
/// 128 requests per file: it allows 3,000 `/resolve/` requests in five minutes
/// (docs/developing/hub-protocol.md, section 4.3). Small enough that a single large file uses all
/// connections. And an equal share for each of them: otherwise most would idle in the last round.
Bytes segment_size(Bytes size, int connections);

}  // namespace model_prep
