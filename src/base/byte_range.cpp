// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/byte_range.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/base/parse_int.h"

namespace model_prep {

void RangeSet::add(ByteRange range) {
  if (range.empty()) return;

  // Merge with every range that overlaps or touches it.
  auto next = begins_.lower_bound(range.begin);
  while (next != begins_.end() && next->second <= range.end) {
    range = {std::min(range.begin, next->second), std::max(range.end, next->first)};
    next = begins_.erase(next);
  }
  begins_.emplace(range.end, range.begin);
}

void RangeSet::remove(ByteRange range) {
  if (range.empty()) return;

  auto next = begins_.upper_bound(range.begin);
  while (next != begins_.end() && next->second < range.end) {
    const ByteRange old{next->second, next->first};

    // What lies outside `range` stays.
    next = begins_.erase(next);
    if (old.begin < range.begin) begins_.emplace(range.begin, old.begin);
    if (old.end > range.end) begins_.emplace(old.end, range.end);
  }
}

bool RangeSet::contains(ByteRange range) const {
  if (range.empty()) return true;

  const auto next = begins_.lower_bound(range.end);
  return next != begins_.end() && next->second <= range.begin;
}

Bytes RangeSet::prefix() const {
  const auto lowest = first();
  return lowest && lowest->begin == 0 ? lowest->end : 0;
}

Bytes RangeSet::total() const {
  Bytes sum = 0;
  for (const auto& [end, begin] : begins_) sum += end - begin;
  return sum;
}

std::optional<ByteRange> RangeSet::gap(Bytes from, Bytes limit) const {
  auto next = begins_.upper_bound(from);
  if (next != begins_.end() && next->second <= from) from = (next++)->first;

  const ByteRange found{from, next == begins_.end() ? limit : std::min(limit, next->second)};
  return found.empty() ? std::nullopt : std::optional(found);
}

std::optional<ByteRange> RangeSet::first() const {
  if (empty()) return std::nullopt;
  return ByteRange{begins_.begin()->second, begins_.begin()->first};
}

std::string RangeSet::text() const {
  std::string text;
  for (const auto& [end, begin] : begins_)
    text += fmt::format("{}{}-{}", text.empty() ? "" : ",", begin, end);
  return text;
}

std::optional<RangeSet> RangeSet::parse(std::string_view text, Bytes size) {
  RangeSet set;
  std::string_view rest = text;
  const auto skip_separator = [&] { rest.remove_prefix(rest.empty() ? 0 : 1); };

  while (!rest.empty()) {
    const auto begin = take_int(rest);
    skip_separator();
    const auto end = take_int(rest);
    skip_separator();
    if (!begin || !end || *end > size) return std::nullopt;
    set.add({*begin, *end});
  }

  // Other separators, and ranges that are not sorted and disjoint, give another text.
  return set.text() == text ? std::optional(set) : std::nullopt;
}

}  // namespace model_prep
