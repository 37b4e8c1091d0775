// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "fuzz/targets.h"
#include "model_prep/base/byte_range.h"
#include "model_prep/core/segments.h"

namespace model_prep::fuzz {
namespace {

constexpr std::int64_t kUnits = 64;

/// A simple model of a RangeSet.
using Units = std::array<bool, kUnits>;

/// Walks the ranges by the gaps between them.
void check_set(const RangeSet& set, std::int64_t size) {
  std::int64_t at = 0;
  std::int64_t total = 0;
  while (at < size) {
    const auto gap = set.gap(at, size);
    const std::int64_t end = gap ? gap->begin : size;
    require(end >= at && end <= size, "ranges are sorted and within the file");
    require(set.contains({at, end}), "what is no gap is there");
    total += end - at;
    if (!gap) break;
    require(gap->end > gap->begin && gap->end <= size, "a gap is not empty and ends in the file");
    require(!set.contains({gap->begin, gap->begin + 1}), "nothing of a gap is there");
    at = gap->end;
  }
  require(set.total() == total, "the parts add up to the total");
  require(set.prefix() <= size && set.contains({0, set.prefix()}), "the prefix is there");
}

void check_range_text(const std::string& text, std::int64_t size) {
  const auto set = RangeSet::parse(text, size);
  if (!set) return;
  check_set(*set, size);
  const auto back = RangeSet::parse(set->text(), size);
  require(back && *back == *set && back->text() == set->text(),
          "ranges that were printed are parsed again");
}

void check_units(const RangeSet& set, const Units& units) {
  for (std::int64_t i = 0; i < kUnits; ++i)
    require(set.contains({i, i + 1}) == units[static_cast<std::size_t>(i)],
            "a set of ranges is a set of bytes");
  require(set.total() == std::count(units.begin(), units.end(), true), "and has as many");
  check_set(set, kUnits);
}

/// Each three bytes are one operation: kind, begin, end.
void check_operations(std::string_view program) {
  RangeSet set;
  Units units{};
  for (; program.size() >= 3; program.remove_prefix(3)) {
    const ByteRange range{program[1] & (kUnits - 1), program[2] & (kUnits - 1)};
    const bool add = (program[0] & 1) != 0;
    add ? set.add(range) : set.remove(range);
    if (!range.empty()) std::fill(units.begin() + range.begin, units.begin() + range.end, add);
    check_units(set, units);
  }
}

/// Taking, writing and giving back, in any order, ends in the whole file.
void check_map(std::string_view program) {
  SegmentMap map(kUnits, {}, 5, 20);
  std::vector<ByteRange> taken;
  for (const char what : program) {
    if ((what & 3) == 0 && !taken.empty()) {
      map.give_back(taken.back());
      taken.pop_back();
    } else if ((what & 3) == 1 && !taken.empty()) {
      ByteRange& range = taken.front();
      map.wrote({range.begin, range.begin + 1});
      if (++range.begin == range.end) taken.erase(taken.begin());
    } else if (const auto range = map.take()) {
      require(range->size() > 0 && range->size() <= 5, "at most a segment is taken");
      require(range->begin >= map.watermark() && range->end <= map.watermark() + 20,
              "not far ahead of the watermark");
      for (const ByteRange& other : taken)
        require(range->end <= other.begin || range->begin >= other.end, "nothing is taken twice");
      taken.push_back(*range);
    }
    check_set(map.have(), kUnits);
  }
  for (const ByteRange& range : taken) map.wrote(range);
  while (const auto range = map.take()) map.wrote(*range);
  require(map.complete(), "a file is complete when nothing more can be taken");
}

}  // namespace

void ranges(std::string_view input) {
  Lines lines(input);
  const std::int64_t size =
      std::clamp<std::int64_t>(number(lines.next()).value_or(100), 0, INT64_MAX);
  check_range_text(lines.next(), size);
  check_operations(lines.rest());
  check_map(lines.rest());
}

}  // namespace model_prep::fuzz
