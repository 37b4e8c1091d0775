// SPDX-License-Identifier: Apache-2.0
// When a transfer has stood still for too long.
//
// Two ways to do so: not a byte for `stall`; or a drip, `stall` seconds that brought fewer than 64
// bytes each on average, so that a server cannot hold a run with a byte a minute. A window for the
// second begins with a byte: an answer that takes long to begin and then comes is none. (libcurl's
// own low-speed limit is an average over some seconds, which makes 7 s of a limit of 1.)
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "model_prep/base/clock.h"
#include "model_prep/base/error.h"

namespace model_prep {

class StallDetector {
 public:
  /// Bytes a second. A modem of 1990 did four times that; over anything slower no model would ever
  /// come.
  static constexpr std::int64_t kDrip = 64;

  explicit StallDetector(std::chrono::seconds stall = {}) : stall_(stall) {}

  /// Connected: from now on silence counts.
  void begin(TimePoint now) { last_ = now; }
  /// It is us who do not read: until `begin` nothing counts.
  void hold();
  void moved(std::int64_t bytes, TimePoint now);
  /// When it will have stood still, if nothing comes; `max` before `begin`.
  TimePoint due() const;
  /// What to say at `due`.
  Error fault() const;

 private:
  std::chrono::seconds stall_;
  std::optional<TimePoint> last_;    // byte, or the beginning
  std::optional<TimePoint> window_;  // the first of bytes_
  std::int64_t bytes_{0};
};

}  // namespace model_prep
