// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/lock_waiter.h"

#include "support/catch.h"

namespace model_prep {
namespace {

using std::chrono::milliseconds;

/// Looks `times`, when due each; how often it was time to say so.
int look(LockWaiter& watch, int times, const std::string& sign, TimePoint& now) {
  int said = 0;
  for (int i = 0; i < times; ++i) {
    now = std::max(now, watch.next_poll());
    said += watch.on_poll(sign, now) ? 1 : 0;
  }
  return said;
}

}  // namespace

TEST_CASE("a lock is polled four times a second, and logged after one second and then every ten") {
  LockWaiter watch;
  TimePoint now{};
  CHECK_FALSE(watch.waiting());
  CHECK_FALSE(watch.on_poll("", now));
  CHECK(watch.waiting());
  CHECK(watch.next_poll() == now + milliseconds(250));
  CHECK(look(watch, 4, "", now) == 1);
  CHECK(look(watch, 39, "", now) == 0);
  CHECK(look(watch, 1, "", now) == 1);
}

TEST_CASE("a writer has timed out after sixty polls of the same heartbeat, and not before") {
  LockWaiter watch;
  TimePoint now{};
  look(watch, LockWaiter::kMaxSilentPolls, "one", now);
  CHECK_FALSE(watch.writer_timed_out());
  look(watch, 1, "one", now);
  CHECK(watch.writer_timed_out());
}

TEST_CASE("a heartbeat, or the lock itself, resets the count") {
  LockWaiter watch;
  TimePoint now{};
  look(watch, LockWaiter::kMaxSilentPolls, "one", now);
  const std::string sign = GENERATE("two", "");
  look(watch, 1, sign, now);
  look(watch, LockWaiter::kMaxSilentPolls - 1, "one", now);
  CHECK_FALSE(watch.writer_timed_out());
}

TEST_CASE("a long time without a poll proves nothing") {
  LockWaiter watch;
  TimePoint now{};
  look(watch, 5, "one", now);
  now += std::chrono::hours(1);
  look(watch, 5, "one", now);
  CHECK_FALSE(watch.writer_timed_out());
}

}  // namespace model_prep
