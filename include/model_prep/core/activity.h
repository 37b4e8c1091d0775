// SPDX-License-Identifier: Apache-2.0
// What a file in flight is doing at the moment: the scheduler reports it, the progress display
// shows it. Values only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model_prep/base/clock.h"
#include "model_prep/base/types.h"

namespace model_prep {

/// Of a file, or of a model as a whole: the greatest one of its files, so the order counts.
enum class Activity : std::uint8_t {
  waiting,           ///< for a connection, or not started
  waiting_for_lock,  ///< of its blob, which another process holds
  verifying,
  paused,   ///< until the next attempt, or until its host accepts requests again
  copying,  ///< from a file nearby
  fetching,
};

/// A file that was started and is not finished.
struct ActiveFile {
  std::size_t index{0};  ///< of its item, or of its hash request
  Activity activity{Activity::waiting};
  Duration pause{};  ///< what is left of it
  int failures{0};
  Bytes done{0};  ///< bytes
};

}  // namespace model_prep
