// SPDX-License-Identifier: Apache-2.0
// The clock that every wait and every timeout is measured by. It is monotonic: setting the system's
// time neither ends a wait nor prolongs it.
#pragma once

#include <chrono>

namespace model_prep {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;

inline double in_seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace model_prep
