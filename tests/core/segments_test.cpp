// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/segments.h"

#include <random>
#include <vector>

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;
using testing::kMiB;

namespace {

RangeSet ranges(std::initializer_list<ByteRange> list) {
  RangeSet set;
  for (const ByteRange& range : list) set.add(range);
  return set;
}

}  // namespace

TEST_CASE("a segment map hands out the lowest free bytes first, a segment at a time") {
  SegmentMap map(25, {}, 10, 100);
  CHECK(map.take() == ByteRange{0, 10});
  CHECK(map.take() == ByteRange{10, 20});
  CHECK(map.take() == ByteRange{20, 25});
  CHECK_FALSE(map.take());
}

TEST_CASE("segments do not get further ahead of the watermark than the window") {
  SegmentMap map(1000, {}, 10, 20);
  map.take();
  map.take();
  CHECK_FALSE(map.take());
  map.wrote({10, 20});
  CHECK_FALSE(map.take());
  map.wrote({0, 5});
  CHECK(map.watermark() == 5);
  CHECK(map.take() == ByteRange{20, 25});
}

TEST_CASE("returned bytes are handed out again, except those on disk") {
  SegmentMap map(100, {}, 10, 100);
  map.take();
  map.take();
  map.wrote({0, 4});
  map.wrote({6, 8});
  map.give_back({0, 10});
  CHECK(map.take() == ByteRange{4, 6});
  CHECK(map.take() == ByteRange{8, 10});
  CHECK(map.take() == ByteRange{20, 30});
}

TEST_CASE("a map resumes with the gaps between the bytes on disk") {
  SegmentMap map(100, ranges({{0, 30}, {50, 95}}), 40, 100);
  CHECK(map.watermark() == 30);
  CHECK(map.take() == ByteRange{30, 50});
  CHECK(map.take() == ByteRange{95, 100});
  CHECK_FALSE(map.take());
}

TEST_CASE("an empty file is complete and has no segments") {
  SegmentMap map(0, {}, 10, 100);
  CHECK(map.complete());
  CHECK_FALSE(map.take());
}

TEST_CASE("segments are few, not small, and leave work for every connection") {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const std::int64_t size =
        static_cast<std::int64_t>(random() >> (24 + random() % 40)) % 1'000'000'000'001;
    const int connections = 1 + static_cast<int>(random() % 64);
    CAPTURE(size, connections);
    const std::int64_t segment = segment_size(size, connections);
    const std::int64_t requests = (size + segment - 1) / segment;
    const bool good =
        segment >= 4 * kMiB && requests <= 129 &&
        (segment == 4 * kMiB || requests >= std::min(connections, 16) || size < 4 * kMiB);
    if (!good) FAIL("size " << size << ", connections " << connections << ", segment " << segment);
  }
}

TEST_CASE("the last round of segments is as full as the others, and none is larger than usual") {
  for (const int connections : {1, 3, 8})
    for (std::int64_t size = 40 * kMiB * connections; size < 4'000 * kMiB; size += 7'654'321) {
      const std::int64_t segment = segment_size(size, connections);
      const std::int64_t requests = (size + segment - 1) / segment;
      const bool good = requests % connections == 0 && segment <= 32 * kMiB + 1;
      if (!good)
        FAIL("size " << size << ", connections " << connections << ", segment " << segment);
    }
}

TEST_CASE("segment sizes have a minimum and a maximum") {
  CHECK(segment_size(0, 8) == 4 * kMiB);
  CHECK(segment_size(1, 1) == 4 * kMiB);
  CHECK(segment_size(100 * kMiB, 0) == 25 * kMiB + 1);
  CHECK(segment_size(1'000'000'000'000, 8) == 1'000'000'000'000 / 128 + 1);
  CHECK(segment_size(1'100'000'000, 8) == 1'100'000'000 / 40 + 1);
  CHECK(segment_size(90'868'376, 8) == 90'868'376 / 8 + 1);
}
