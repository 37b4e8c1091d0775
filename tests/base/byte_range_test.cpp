// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/byte_range.h"

#include <algorithm>
#include <array>
#include <random>

#include "support/catch.h"

using namespace model_prep;

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

TEST_CASE("adjacent ranges merge into one") {
  CHECK(ranges({{0, 5}, {5, 9}}).text() == "0-9");
  CHECK(ranges({{5, 9}, {0, 5}}).text() == "0-9");
  CHECK(ranges({{0, 2}, {4, 6}, {2, 4}}).text() == "0-6");
}

TEST_CASE("adding or removing an empty or reversed range changes nothing") {
  RangeSet set = ranges({{3, 6}});
  set.add({8, 8});
  set.add({9, 2});
  set.remove({4, 4});
  set.remove({6, 3});
  CHECK(set.text() == "3-6");
}

TEST_CASE("ranges written as text are read back unchanged") {
  const auto set = RangeSet::parse("0-33554432,67108864-70000000", 70'000'000);
  REQUIRE(set);
  CHECK(set->text() == "0-33554432,67108864-70000000");
  CHECK(set->prefix() == 33554432);
}

TEST_CASE("an empty text is the empty set") {
  REQUIRE(RangeSet::parse("", 10));
  CHECK(RangeSet::parse("", 10)->empty());
}

TEST_CASE("text that is not a sorted list of disjoint ranges within the file is refused") {
  const std::string text = GENERATE(
      as<std::string>{}, "5", "5-", "-5", "0-0", "5-5", "6-5", "0-11", "0-5,", ",0-5", "0-5,,6-7",
      "0-5,5-6", "0-5,4-6", "6-7,0-5", "0-5 ", " 0-5", "0-5,x", "a-b", "0-5;6-7", "0--5", "-0-5",
      "--1-5", "+0-5", "0-+5", "0x0-5", "0-5\n", "0-99999999999999999999", "18446744073709551616-5",
      "0-9223372036854775807", "0-5,0-5", "0-5-6", "1e0-5", "0.0-5");
  CAPTURE(text);
  CHECK_FALSE(RangeSet::parse(text, 10));
}
