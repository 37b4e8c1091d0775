// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/stall_detector.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {

void StallDetector::on_bytes(Bytes bytes, TimePoint now) {
  last_ = now;
  if (!window_) window_ = now;
  bytes_ += bytes;
  if (bytes_ < kMinRate * stall_.count()) return;

  bytes_ = 0;
  window_.reset();
}

TimePoint StallDetector::due() const {
  if (!last_) return TimePoint::max();
  return std::min(*last_, window_.value_or(*last_)) + stall_;
}

Error StallDetector::error() const {
  // If all bytes of the window arrived at once, long ago, the transfer is silent rather than slow.
  const bool silent = !window_ || *last_ - *window_ < std::chrono::seconds(1);
  return {ErrorKind::timeout,
          silent ? fmt::format("no data for {} s", stall_.count())
                 : fmt::format("only {} in {} s", format_count(bytes_, "byte"), stall_.count())};
}

}  // namespace model_prep
