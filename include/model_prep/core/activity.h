// SPDX-License-Identifier: Apache-2.0
// What a file in flight is doing at the moment: the scheduler reports it, the progress display
// shows it. Values only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model_prep/base/clock.h"

namespace model_prep {

/// Of a file, or of a model as a whole.
enum class Activity : std::uint8_t {
  waiting,    ///< for a connection, or not started
  elsewhere,  ///< another process holds its lock
  verifying,
  paused,  ///< until the next attempt, or until its host accepts requests again
  fetching,
};

/// A file that was started and is not finished.
struct ActiveFile {
  std::size_t file{0};
  Activity activity{Activity::waiting};
  Duration pause{};  ///< what is left of it
  int failures{0};
  std::int64_t done{0};  ///< bytes
};

}  // namespace model_prep
