// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/segments.h"

#include <algorithm>

namespace model_prep {
namespace {

constexpr std::int64_t kMiB = 1024 * 1024;
constexpr std::int64_t kMaxRequests = 128;  // requests per file, see segment_size
// Unless that takes too many requests: about a second of a fast line.
constexpr std::int64_t kMaxUsualSegment = 32 * kMiB;
// A smaller request costs more than it brings.
constexpr std::int64_t kMinSegment = 4 * kMiB;

}  // namespace

std::optional<ByteRange> SegmentMap::take() {
  const std::int64_t mark = watermark();
  const std::int64_t limit = size_ - mark > window_ ? mark + window_ : size_;
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

std::int64_t segment_size(std::int64_t size, int connections) {
  const std::int64_t abreast = std::max(1, connections);
  const std::int64_t most = std::max<std::int64_t>(1, kMaxRequests / abreast);
  const std::int64_t rounds = std::min(size / (kMaxUsualSegment * abreast) + 1, most);
  return std::max(size / (rounds * abreast) + 1, kMinSegment);
}

}  // namespace model_prep
