// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/lock_waiter.h"

#include "support/catch.h"

namespace model_prep {
namespace {

using std::chrono::milliseconds;

/// Polls `times`, each when due; returns how often it was time to log the wait.
int poll(LockWaiter& waiter, int times, const std::string& heartbeat, TimePoint& now) {
  int logged = 0;
  for (int i = 0; i < times; ++i) {
    now = std::max(now, waiter.next_poll());
    logged += waiter.on_poll(heartbeat, now) ? 1 : 0;
  }
  return logged;
}

}  // namespace

TEST_CASE("a lock is polled four times a second, and logged after one second and then every ten") {
  LockWaiter waiter;
  TimePoint now{};
  CHECK_FALSE(waiter.waiting());
  CHECK_FALSE(waiter.on_poll("", now));
  CHECK(waiter.waiting());
  CHECK(waiter.next_poll() == now + milliseconds(250));
  CHECK(poll(waiter, 4, "", now) == 1);
  CHECK(poll(waiter, 39, "", now) == 0);
  CHECK(poll(waiter, 1, "", now) == 1);
}

TEST_CASE("a writer has timed out after sixty polls of the same heartbeat, and not before") {
  LockWaiter waiter;
  TimePoint now{};
  poll(waiter, LockWaiter::kMaxSilentPolls, "one", now);
  CHECK_FALSE(waiter.writer_timed_out());
  poll(waiter, 1, "one", now);
  CHECK(waiter.writer_timed_out());
}

TEST_CASE("a heartbeat, or the lock itself, resets the count") {
  LockWaiter waiter;
  TimePoint now{};
  poll(waiter, LockWaiter::kMaxSilentPolls, "one", now);
  const std::string heartbeat = GENERATE("two", "");
  poll(waiter, 1, heartbeat, now);
  poll(waiter, LockWaiter::kMaxSilentPolls - 1, "one", now);
  CHECK_FALSE(waiter.writer_timed_out());
}

TEST_CASE("time without polls does not count towards the timeout") {
  LockWaiter waiter;
  TimePoint now{};
  poll(waiter, 5, "one", now);
  now += std::chrono::hours(1);
  poll(waiter, 5, "one", now);
  CHECK_FALSE(waiter.writer_timed_out());
}

}  // namespace model_prep
