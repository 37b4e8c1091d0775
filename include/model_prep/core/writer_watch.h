// SPDX-License-Identifier: Apache-2.0
// Waiting for a blob that another process is writing: when to poll, when to log it, and when its
// writer has timed out. Pure; time is an argument.
#pragma once

#include <optional>
#include <string>

#include "model_prep/base/clock.h"

namespace model_prep {

class WriterWatch {
 public:
  /// Polls in which the heartbeat of a living writer must have changed: 15 s of them, seven of its
  /// beats. Polls are counted, not seconds: a process that was suspended proves nothing.
  static constexpr int kMaxSilentPolls = 60;

  bool waiting() const { return next_poll_ != TimePoint::min(); }
  TimePoint next_poll() const { return next_poll_; }

  /// The blob was busy. `heartbeat` is the text of its resume record, which changes as long as its
  /// writer lives. An empty one, which is there if the record cannot be read, is a poll without a
  /// change. Returns whether it is time to log the wait.
  bool on_poll(const std::string& heartbeat, TimePoint now);
  bool writer_timed_out() const { return silent_polls_ >= kMaxSilentPolls; }

 private:
  TimePoint next_poll_{TimePoint::min()};
  TimePoint next_log_{TimePoint::min()};
  std::optional<std::string> heartbeat_;  // the last that could be read
  int silent_polls_{0};
};

}  // namespace model_prep
