// SPDX-License-Identifier: Apache-2.0
// What a file in flight is doing at this moment: the scheduler reports it, the progress display
// shows it. Values only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model_prep/base/clock.h"

namespace model_prep {

/// What a file or a model is at.
enum class Activity : std::uint8_t {
  waiting,    ///< for a connection, or to be begun
  elsewhere,  ///< another process has its lock
  verifying,
  paused,  ///< until it is tried again, or until the host may be asked again
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
