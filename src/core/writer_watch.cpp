// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/writer_watch.h"

namespace model_prep {
namespace {

constexpr auto kPollEvery = std::chrono::milliseconds(250);
constexpr auto kFirstLogAfter = std::chrono::seconds(1);  // most waits are shorter
constexpr auto kLogWaitEvery = std::chrono::seconds(10);

}  // namespace

bool WriterWatch::on_poll(const std::string& heartbeat, TimePoint now) {
  // A record that cannot be read now and then is no sign of life.
  const bool beats = !heartbeat_ || (!heartbeat.empty() && heartbeat != heartbeat_);
  silent_polls_ = beats ? 0 : silent_polls_ + 1;
  if (beats) heartbeat_ = heartbeat;
  next_poll_ = now + kPollEvery;

  if (next_log_ == TimePoint::min()) next_log_ = now + kFirstLogAfter;
  if (now < next_log_) return false;
  next_log_ = now + kLogWaitEvery;
  return true;
}

}  // namespace model_prep
