// SPDX-License-Identifier: Apache-2.0
// When a transfer has stalled.
//
// There are two ways to stall: not a byte for `stall` seconds, or a drip, `stall` seconds with
// fewer than 64 bytes each on average, so that a server cannot hold up a run with a byte a minute.
// The window for a drip begins with a byte, so a response that is slow to begin and then arrives is
// not one. The first rule is exact, the second late by one window at most.
//
// CURLOPT_LOW_SPEED_LIMIT and _TIME do not replace this: libcurl averages over five seconds, so
// that a limit of 1 s takes 7 s, and a burst of 320 bytes a minute would never be too slow for it.
#pragma once

#include <optional>

#include "model_prep/base/clock.h"
#include "model_prep/base/error.h"
#include "model_prep/base/types.h"

namespace model_prep {

class StallDetector {
 public:
  /// Bytes a second. A modem of 1990 was four times as fast; at less no model would ever arrive.
  static constexpr std::int64_t kMinRate = 64;

  explicit StallDetector(std::chrono::seconds stall = {}) : stall_(stall) {}

  /// Connected, or no longer suspended: from now on silence counts.
  void begin(TimePoint now) { last_ = now; }

  /// We do not read at the moment: nothing counts until `begin`.
  void suspend() { *this = StallDetector(stall_); }
  void on_bytes(Bytes bytes, TimePoint now);

  /// When it will have stalled if nothing more arrives; `max` if silence does not count.
  TimePoint due() const;

  /// The error of a transfer that is past `due`.
  Error error() const;

 private:
  std::chrono::seconds stall_;
  std::optional<TimePoint> last_;    // the last byte, or the beginning
  std::optional<TimePoint> window_;  // when the first of `bytes_` arrived
  Bytes bytes_{0};
};

}  // namespace model_prep
