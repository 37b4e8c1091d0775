// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/segments.h"

#include <algorithm>

namespace model_prep {
namespace {

constexpr Bytes kMiB = 1024 * 1024;
constexpr std::int64_t kMaxRequests = 128;  // requests per file, see segment_size
// Unless that takes too many requests: about a second of a fast line.
constexpr Bytes kMaxUsualSegment = 32 * kMiB;
// A smaller request costs more than it brings.
constexpr Bytes kMinSegment = 4 * kMiB;

}  // namespace

std::optional<ByteRange> SegmentMap::take() {
  const Bytes mark = watermark();
  const Bytes limit = size_ - mark > window_ ? mark + window_ : size_;
  auto range = busy_.gap(mark, limit);
  if (!range) return std::nullopt;
  range->end = std::min(range->end, range->begin + segment_);
  busy_.add(*range);
  return range;
}

void SegmentMap::give_back(ByteRange range) {
  // Only what is not on disk is free again.
  for (auto missing = have_.gap(range.begin, range.end); missing;
       missing = have_.gap(missing->end, range.end))
    busy_.remove(*missing);
}

Bytes segment_size(Bytes size, int connections) {
  const std::int64_t abreast = std::max(1, connections);
  const std::int64_t most = std::max<std::int64_t>(1, kMaxRequests / abreast);
  const std::int64_t rounds = std::min(size / (kMaxUsualSegment * abreast) + 1, most);
  return std::max(size / (rounds * abreast) + 1, kMinSegment);
}

}  // namespace model_prep
