// SPDX-License-Identifier: Apache-2.0
// 20,000 random downloads through a SegmentMap: connections that fail in mid-segment, and crashes
// that lose what was written since the last save of the record.
#include <algorithm>
#include <random>
#include <vector>

#include "model_prep/core/segments.h"
#include "support/catch.h"

using namespace model_prep;

namespace {

struct Connection {
  ByteRange range;
  std::int64_t at;
};

class Download {
 public:
  explicit Download(unsigned seed) : random_(seed) {
    size_ = static_cast<std::int64_t>(pick(0, 400));
    segment_ = static_cast<std::int64_t>(pick(1, 60));
    connections_ = pick(1, 8);
    written_.assign(static_cast<std::size_t>(size_), 0);
    open();
  }

  /// Empty, or what went wrong.
  std::string run() {
    for (int steps = 0; !map_->complete(); ++steps) {
      if (steps > 100'000) return "does not end";
      step();
      if (!fault_.empty()) return fault_;
    }
    if (std::any_of(written_.begin(), written_.end(), [](int times) { return times != 1; }))
      return "a byte was not written exactly once after the last crash";
    return map_->have().total() == size_ && running_.empty() ? "" : "complete with work left";
  }

 private:
  std::size_t pick(std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(random_);
  }

  void open() {
    map_.emplace(size_, saved_, segment_, 2 * static_cast<std::int64_t>(connections_) * segment_);
  }

  void step() {
    const std::size_t chance = pick(0, 999);
    if (chance < 2) return crash();
    if (chance < 100) saved_ = RangeSet::parse(map_->have().text(), size_).value();
    while (running_.size() < connections_) {
      const auto range = map_->take();
      if (!range) break;
      if (range->empty() || range->size() > segment_) fault_ = "a segment of a wrong size";
      running_.push_back({*range, range->begin});
    }
    if (running_.empty()) {
      fault_ = "nothing to take and not complete";
      return;
    }
    move(pick(0, running_.size() - 1));
    check();
  }

  void move(std::size_t index) {
    Connection& one = running_[index];
    const auto count =
        static_cast<std::int64_t>(pick(0, static_cast<std::size_t>(one.range.end - one.at)));
    for (std::int64_t i = one.at; i < one.at + count; ++i) ++written_[static_cast<std::size_t>(i)];
    map_->wrote({one.at, one.at + count});
    one.at += count;
    const bool failed = one.at < one.range.end && pick(0, 9) == 0;
    if (failed) map_->give_back(one.range);
    if (failed || one.at == one.range.end)
      running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index));
  }

  void crash() {
    running_.clear();
    for (std::int64_t i = 0; i < size_; ++i) {
      int& times = written_[static_cast<std::size_t>(i)];
      times = saved_.contains({i, i + 1}) ? times : 0;
    }
    open();
  }

  void check() {
    std::int64_t mark = 0;
    while (mark < size_ && written_[static_cast<std::size_t>(mark)] > 0) ++mark;
    if (map_->watermark() != mark) fault_ = "the watermark is not where the disk ends";
    const std::string text = map_->have().text();
    const auto count = text.empty() ? 0 : 1 + std::count(text.begin(), text.end(), ',');
    // Each connection leaves a gap in front of it, and each failure in mid-segment one until the
    // lowest is taken again.
    if (count > 2 * static_cast<std::ptrdiff_t>(connections_) * 2 + 2)
      fault_ = "too many ranges: " + text;
  }

  std::mt19937 random_;
  std::int64_t size_;
  std::int64_t segment_;
  std::size_t connections_;
  std::vector<int> written_;
  RangeSet saved_;
  std::optional<SegmentMap> map_;
  std::vector<Connection> running_;
  std::string fault_;
};

}  // namespace

TEST_CASE("random downloads write every byte once, whatever fails, and keep few ranges") {
  for (unsigned seed = 0; seed < 20'000; ++seed) {
    const std::string fault = Download(seed).run();
    if (!fault.empty()) FAIL("seed " << seed << ": " << fault);
  }
  SUCCEED();
}
