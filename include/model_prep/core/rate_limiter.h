// SPDX-License-Identifier: Apache-2.0
// A limit of bytes per second, shared by all connections of a run.
//
// A token bucket almost without bursts: a read is charged against the rate, and no transfer may
// read again until the charge is paid. So at any moment the bytes taken exceed what the rate allows
// since the first byte by at most one read. Idle time is not saved up, except for `kCredit`,
// without which every delay of a busy loop would slow the run.
//
// A transfer that may not read yet waits: the transport stops reading its socket until `next_ready`
// returns it (io/http.cpp). Transfers continue in the order in which they began to wait.
#pragma once

#include <deque>

#include "model_prep/base/clock.h"
#include "model_prep/base/response.h"

namespace model_prep {

/// 64 bytes a second, below which a transfer counts as stalled (core/stall_detector.h), for each of
/// at most 64 connections.
inline constexpr std::int64_t kMinRateLimit = 4096;

/// `500K`, `10M`, `1G`, or bytes. K is 1024, as for curl's --limit-rate. Empty for anything else,
/// and for a rate below `kMinRateLimit`.
std::optional<std::int64_t> parse_rate(std::string_view text);

class RateLimiter {
 public:
  static constexpr std::chrono::milliseconds kCredit{250};

  explicit RateLimiter(std::int64_t bytes_per_second) : rate_(bytes_per_second) {}

  /// Whether `id` may read these bytes now. If not, it waits.
  bool try_acquire(TransferId id, Bytes bytes, TimePoint now);

  /// The next waiting transfer, if it may continue; it no longer waits then.
  std::optional<TransferId> next_ready(TimePoint now);

  /// When `next_ready` will return one; `max` if none waits.
  TimePoint due() const { return waiting_.empty() ? TimePoint::max() : paid_off_; }
  void forget(TransferId id) { std::erase(waiting_, id); }

 private:
  std::int64_t rate_;
  TimePoint paid_off_{TimePoint::min()};
  std::deque<TransferId> waiting_;
};

}  // namespace model_prep
