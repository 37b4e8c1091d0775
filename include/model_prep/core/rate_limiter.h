// SPDX-License-Identifier: Apache-2.0
// A limit of bytes per second, over all connections of a run.
//
// What has come is paid off at the wanted rate, and nobody takes more before it is: so from the
// first byte on never more has been taken than the rate allows, but for the piece that is taken
// last. Time in which nothing came is not saved up, but for a moment (`kCredit`): else every delay
// of a busy loop would slow the run.
//
// Who may not take yet is held: the transport stops reading its socket until `next` names it
// (io/http.cpp). They go on in the order in which they were held, so that none starves.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

#include "model_prep/base/clock.h"
#include "model_prep/base/response.h"

namespace model_prep {

/// 64 bytes a second, below which a transfer counts as standing still (pace.h), for each of the 64
/// that there may be.
inline constexpr std::int64_t kMinRate = 4096;

/// `500K`, `10M`, `1G`, or bytes. As curl's --limit-rate has it, K is 1024. Nothing if it is no
/// rate, or one below `kMinRate`.
std::optional<std::int64_t> parse_rate(std::string_view text);

class RateLimiter {
 public:
  static constexpr std::chrono::milliseconds kCredit{250};

  explicit RateLimiter(std::int64_t bytes_per_second) : rate_(bytes_per_second) {}

  /// Whether `id` may take these bytes now. If not, it is held.
  bool take(TransferId id, std::int64_t bytes, TimePoint now);
  /// One of those that are held, if it may go on; it is held no longer.
  std::optional<TransferId> next(TimePoint now);
  /// When there will be one; `max` if none is held.
  TimePoint due() const { return held_.empty() ? TimePoint::max() : paid_off_; }
  void forget(TransferId id) { std::erase(held_, id); }

 private:
  std::int64_t rate_;
  TimePoint paid_off_{TimePoint::min()};
  std::deque<TransferId> held_;
};

}  // namespace model_prep
