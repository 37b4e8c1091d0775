// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/segments.h"

#include <array>
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

/// A set of numbers below 64, as naive as can be.
struct Bitmap {
  static constexpr std::int64_t kSize = 64;
  std::array<bool, kSize> bits{};

  void fill(ByteRange range, bool value) {
    for (std::int64_t at = range.begin; at < range.end; ++at)
      bits[static_cast<std::size_t>(at)] = value;
  }
  bool at(std::int64_t index) const { return bits[static_cast<std::size_t>(index)]; }
  std::int64_t prefix() const {
    std::int64_t count = 0;
    while (count < kSize && at(count)) ++count;
    return count;
  }
  std::int64_t total() const { return std::count(bits.begin(), bits.end(), true); }
  bool contains(ByteRange range) const {
    for (std::int64_t i = range.begin; i < range.end; ++i)
      if (!at(i)) return false;
    return true;
  }
  std::optional<ByteRange> gap(std::int64_t from, std::int64_t limit) const {
    while (from < limit && at(from)) ++from;
    if (from >= limit) return std::nullopt;
    std::int64_t end = from;
    while (end < limit && !at(end)) ++end;
    return ByteRange{from, end};
  }
  std::string text() const {
    std::string text;
    for (std::int64_t i = 0; i < kSize; ++i) {
      if (!at(i) || (i > 0 && at(i - 1))) continue;
      const auto next = gap(i, kSize);
      text += (text.empty() ? "" : ",") + std::to_string(i) + "-" +
              std::to_string(next ? next->begin : kSize);
    }
    return text;
  }
};

ByteRange random_range(std::mt19937& random) {
  std::uniform_int_distribution<std::int64_t> place(0, Bitmap::kSize);
  const std::int64_t a = place(random);
  const std::int64_t b = place(random);
  return {std::min(a, b), std::max(a, b)};
}

}  // namespace

TEST_CASE("a set of ranges behaves like a bitmap under random operations") {
  for (unsigned seed = 0; seed < 2'000; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    RangeSet set;
    Bitmap model;
    for (int step = 0; step < 40; ++step) {
      const ByteRange range = random_range(random);
      const bool add = random() % 3 != 0;
      add ? set.add(range) : set.remove(range);
      model.fill(range, add);
      const ByteRange asked = random_range(random);
      const bool equal = set.text() == model.text() && set.prefix() == model.prefix() &&
                         set.total() == model.total() &&
                         set.contains(asked) == model.contains(asked) &&
                         set.gap(asked.begin, asked.end) == model.gap(asked.begin, asked.end) &&
                         set.empty() == (model.total() == 0);
      if (!equal) FAIL("set " << set.text() << ", model " << model.text() << ", step " << step);
      if (RangeSet::parse(set.text(), Bitmap::kSize) != set)
        FAIL("does not come back from its text: " << set.text());
    }
  }
}

TEST_CASE("ranges that touch are one range") {
  CHECK(ranges({{0, 5}, {5, 9}}).text() == "0-9");
  CHECK(ranges({{5, 9}, {0, 5}}).text() == "0-9");
  CHECK(ranges({{0, 2}, {4, 6}, {2, 4}}).text() == "0-6");
}

TEST_CASE("a range that is empty or backwards changes nothing") {
  RangeSet set = ranges({{3, 6}});
  set.add({8, 8});
  set.add({9, 2});
  set.remove({4, 4});
  set.remove({6, 3});
  CHECK(set.text() == "3-6");
}

TEST_CASE("a text of ranges is read back") {
  const auto set = RangeSet::parse("0-33554432,67108864-70000000", 70'000'000);
  REQUIRE(set);
  CHECK(set->text() == "0-33554432,67108864-70000000");
  CHECK(set->prefix() == 33554432);
}

TEST_CASE("an empty text is the empty set") {
  REQUIRE(RangeSet::parse("", 10));
  CHECK(RangeSet::parse("", 10)->empty());
}

TEST_CASE("a text of ranges that is not sorted, disjoint and within the file is refused") {
  const std::string text = GENERATE(
      as<std::string>{}, "5", "5-", "-5", "0-0", "5-5", "6-5", "0-11", "0-5,", ",0-5", "0-5,,6-7",
      "0-5,5-6", "0-5,4-6", "6-7,0-5", "0-5 ", " 0-5", "0-5,x", "a-b", "0-5;6-7", "0--5", "-0-5",
      "--1-5", "+0-5", "0-+5", "0x0-5", "0-5\n", "0-99999999999999999999", "18446744073709551616-5",
      "0-9223372036854775807", "0-5,0-5", "0-5-6", "1e0-5", "0.0-5");
  CAPTURE(text);
  CHECK_FALSE(RangeSet::parse(text, 10));
}

TEST_CASE("a segment map gives the lowest free bytes first, a segment at a time") {
  SegmentMap map(25, {}, 10, 100);
  CHECK(map.take() == ByteRange{0, 10});
  CHECK(map.take() == ByteRange{10, 20});
  CHECK(map.take() == ByteRange{20, 25});
  CHECK_FALSE(map.take());
}

TEST_CASE("taking does not run further ahead of the watermark than the window") {
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

TEST_CASE("what is given back is taken again, but not the part that is on disk") {
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

TEST_CASE("a map resumes in the gaps of what is on disk") {
  SegmentMap map(100, ranges({{0, 30}, {50, 95}}), 40, 100);
  CHECK(map.watermark() == 30);
  CHECK(map.take() == ByteRange{30, 50});
  CHECK(map.take() == ByteRange{95, 100});
  CHECK_FALSE(map.take());
}

TEST_CASE("an empty file is complete and has nothing to take") {
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

TEST_CASE("the limits of the segment size") {
  CHECK(segment_size(0, 8) == 4 * kMiB);
  CHECK(segment_size(1, 1) == 4 * kMiB);
  CHECK(segment_size(100 * kMiB, 0) == 25 * kMiB + 1);
  CHECK(segment_size(1'000'000'000'000, 8) == 1'000'000'000'000 / 128 + 1);
  CHECK(segment_size(1'100'000'000, 8) == 1'100'000'000 / 40 + 1);
  CHECK(segment_size(90'868'376, 8) == 90'868'376 / 8 + 1);
}
