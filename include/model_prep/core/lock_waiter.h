// SPDX-License-Identifier: Apache-2.0
// Waiting for a blob that somebody else has: when to look again, when to say so, and when they have
// gone silent. Pure.
#pragma once

#include <string>

#include "model_prep/base/clock.h"

namespace model_prep {

class LockWaiter {
 public:
  /// Looks in which a living writer must have shown a sign of life: 15 s of them, seven of its
  /// beats.
  static constexpr int kSilentLooks = 60;

  bool waiting() const { return again_ != TimePoint::min(); }
  TimePoint due() const { return again_; }
  /// Somebody has it. `sign` is what changes as long as they live; empty: the lock itself says that
  /// they do. Whether it is time to say so.
  bool seen(const std::string& sign, TimePoint now);
  bool silent() const { return looks_ >= kSilentLooks; }

 private:
  TimePoint again_{TimePoint::min()};
  TimePoint say_again_{TimePoint::min()};
  std::string sign_;
  int looks_{0};
};

}  // namespace model_prep
