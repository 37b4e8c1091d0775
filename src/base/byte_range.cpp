// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/byte_range.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "model_prep/base/parse_int.h"

namespace model_prep {
namespace {

bool take_char(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

void RangeSet::add(ByteRange range) {
  if (range.empty()) return;

  // Merge with the range that contains or touches its beginning, …
  auto next = ends_.upper_bound(range.begin);
  if (next != ends_.begin() && std::prev(next)->second >= range.begin) {
    --next;
    range = {next->first, std::max(range.end, next->second)};
    next = ends_.erase(next);
  }

  // … and with all that begin before or at its end.
  while (next != ends_.end() && next->first <= range.end) {
    range.end = std::max(range.end, next->second);
    next = ends_.erase(next);
  }
  ends_.emplace_hint(next, range.begin, range.end);
}

void RangeSet::remove(ByteRange range) {
  if (range.empty()) return;

  auto it = ends_.upper_bound(range.begin);
  if (it != ends_.begin()) --it;
  while (it != ends_.end() && it->first < range.end) {
    const ByteRange old{it->first, it->second};
    if (old.end <= range.begin) {
      ++it;
      continue;
    }

    // What lies outside `range` stays.
    it = ends_.erase(it);
    if (old.begin < range.begin) ends_.emplace(old.begin, range.begin);
    if (old.end > range.end) ends_.emplace(range.end, old.end);
  }
}

bool RangeSet::contains(ByteRange range) const {
  if (range.empty()) return true;

  const auto next = ends_.upper_bound(range.begin);
  return next != ends_.begin() && std::prev(next)->second >= range.end;
}

std::int64_t RangeSet::prefix() const {
  return ends_.empty() || ends_.begin()->first != 0 ? 0 : ends_.begin()->second;
}

std::int64_t RangeSet::total() const {
  std::int64_t sum = 0;
  for (const auto& [begin, end] : ends_) sum += end - begin;
  return sum;
}

std::optional<ByteRange> RangeSet::gap(std::int64_t from, std::int64_t limit) const {
  auto next = ends_.upper_bound(from);
  if (next != ends_.begin()) from = std::max(from, std::prev(next)->second);
  while (next != ends_.end() && next->first <= from) from = (next++)->second;
  const ByteRange found{from, next == ends_.end() ? limit : std::min(limit, next->first)};
  return found.empty() ? std::nullopt : std::optional(found);
}

std::optional<ByteRange> RangeSet::first() const {
  if (ends_.empty()) return std::nullopt;
  return ByteRange{ends_.begin()->first, ends_.begin()->second};
}

std::string RangeSet::text() const {
  std::string text;
  for (const auto& [begin, end] : ends_)
    text += fmt::format("{}{}-{}", text.empty() ? "" : ",", begin, end);
  return text;
}

std::optional<RangeSet> RangeSet::parse(std::string_view text, std::int64_t size) {
  RangeSet set;
  std::int64_t last = -1;
  while (!text.empty()) {
    const auto begin = take_int(text);
    if (!begin || !take_char(text, '-')) return std::nullopt;

    const auto end = take_int(text);
    if (!end || *begin <= last || *begin >= *end || *end > size) return std::nullopt;

    last = *end;
    set.add({*begin, *end});

    if (!text.empty() && (!take_char(text, ',') || text.empty())) return std::nullopt;
  }
  return set;
}

}  // namespace model_prep
