// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/lock_waiter.h"

namespace model_prep {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(250);
constexpr auto kFirstNotice = std::chrono::seconds(1);  // most are free sooner
constexpr auto kNotice = std::chrono::seconds(10);

}  // namespace

bool LockWaiter::seen(const std::string& sign, TimePoint now) {
  looks_ = sign.empty() || sign != sign_ ? 0 : looks_ + 1;
  sign_ = sign;
  again_ = now + kPoll;
  if (say_again_ == TimePoint::min()) say_again_ = now + kFirstNotice;
  if (now < say_again_) return false;
  say_again_ = now + kNotice;
  return true;
}

}  // namespace model_prep
