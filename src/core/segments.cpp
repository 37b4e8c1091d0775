// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/segments.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include <fmt/format.h>

namespace model_prep {
namespace {

constexpr std::int64_t kMiB = 1024 * 1024;
constexpr std::int64_t kMaxRequests = 128;  // requests per file, see segment_size
constexpr std::int64_t kMaxUsualSegment =
    32 * kMiB;  // at most, below that count: a second or so of a good line
constexpr std::int64_t kMinSegment = 4 * kMiB;  // below this a request costs more than it brings

/// Reads a non-negative number up to `stop` and removes it from `text`.
std::optional<std::int64_t> take_number(std::string_view& text) {
  std::int64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || text.front() == '-') return std::nullopt;  // "-0" too
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  return value;
}

bool take_char(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

void RangeSet::add(ByteRange range) {
  if (range.empty()) return;
  auto next = ends_.upper_bound(range.begin);
  if (next != ends_.begin() && std::prev(next)->second >= range.begin) {
    --next;
    range = {next->first, std::max(range.end, next->second)};
    next = ends_.erase(next);
  }
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
    const auto begin = take_number(text);
    if (!begin || !take_char(text, '-')) return std::nullopt;
    const auto end = take_number(text);
    if (!end || *begin <= last || *begin >= *end || *end > size) return std::nullopt;
    last = *end;
    set.add({*begin, *end});
    if (!text.empty() && (!take_char(text, ',') || text.empty())) return std::nullopt;
  }
  return set;
}

SegmentMap::SegmentMap(std::int64_t size, RangeSet have, std::int64_t segment, std::int64_t window)
    : size_(size), segment_(segment), window_(window), have_(std::move(have)), busy_(have_) {}

std::optional<ByteRange> SegmentMap::take() {
  const std::int64_t mark = watermark();
  const std::int64_t limit = size_ - mark > window_ ? mark + window_ : size_;
  auto range = busy_.gap(mark, limit);
  if (!range) return std::nullopt;
  range->end = std::min(range->end, range->begin + segment_);
  busy_.add(*range);
  return range;
}

void SegmentMap::wrote(ByteRange range) {
  have_.add(range);
  busy_.add(range);
}

void SegmentMap::give_back(ByteRange range) {
  busy_.remove(range);
  // Only what is not on disk is free again.
  for (std::int64_t at = range.begin; at < range.end;) {
    const auto missing = have_.gap(at, range.end);
    const std::int64_t have_until = missing ? missing->begin : range.end;
    busy_.add({at, have_until});
    at = missing ? missing->end : range.end;
  }
}

std::int64_t segment_size(std::int64_t size, int connections) {
  const std::int64_t abreast = std::max(1, connections);
  const std::int64_t most = std::max<std::int64_t>(1, kMaxRequests / abreast);
  const std::int64_t rounds = std::min(size / (kMaxUsualSegment * abreast) + 1, most);
  return std::max(size / (rounds * abreast) + 1, kMinSegment);
}

}  // namespace model_prep
