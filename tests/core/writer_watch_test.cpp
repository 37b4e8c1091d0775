// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/writer_watch.h"

#include "support/catch.h"

namespace model_prep {
namespace {

using std::chrono::milliseconds;

/// Polls `times`, each when due; returns how often it was time to log the wait.
int poll(WriterWatch& watch, int times, const std::string& heartbeat, TimePoint& now) {
  int logged = 0;
  for (int i = 0; i < times; ++i) {
    now = std::max(now, watch.next_poll());
    logged += watch.on_poll(heartbeat, now) ? 1 : 0;
  }
  return logged;
}

}  // namespace

TEST_CASE("a lock is polled four times a second, and logged after one second and then every ten") {
  WriterWatch watch;
  TimePoint now{};
  CHECK_FALSE(watch.waiting());
  CHECK_FALSE(watch.on_poll("", now));
  CHECK(watch.waiting());
  CHECK(watch.next_poll() == now + milliseconds(250));
  CHECK(poll(watch, 4, "", now) == 1);
  CHECK(poll(watch, 39, "", now) == 0);
  CHECK(poll(watch, 1, "", now) == 1);
}

TEST_CASE("a writer has timed out after sixty polls of the same heartbeat, and not before") {
  WriterWatch watch;
  TimePoint now{};
  poll(watch, WriterWatch::kMaxSilentPolls, "one", now);
  CHECK_FALSE(watch.writer_timed_out());
  poll(watch, 1, "one", now);
  CHECK(watch.writer_timed_out());
}

TEST_CASE("a heartbeat that changes resets the count") {
  WriterWatch watch;
  TimePoint now{};
  poll(watch, WriterWatch::kMaxSilentPolls, "one", now);
  poll(watch, 1, "two", now);
  poll(watch, WriterWatch::kMaxSilentPolls - 1, "one", now);
  CHECK_FALSE(watch.writer_timed_out());
}

TEST_CASE("a record that is empty or cannot be read is silent") {
  WriterWatch watch;
  TimePoint now{};
  poll(watch, WriterWatch::kMaxSilentPolls, "", now);
  CHECK_FALSE(watch.writer_timed_out());
  poll(watch, 1, "", now);
  CHECK(watch.writer_timed_out());
}

TEST_CASE("a record that cannot be read now and then is no heartbeat, and hides none") {
  WriterWatch watch;
  TimePoint now{};
  for (int i = 0; i < WriterWatch::kMaxSilentPolls / 2; ++i) {
    poll(watch, 1, "one", now);
    poll(watch, 1, "", now);
  }
  CHECK_FALSE(watch.writer_timed_out());
  poll(watch, 1, "", now);
  CHECK(watch.writer_timed_out());
  poll(watch, 1, "two", now);
  CHECK_FALSE(watch.writer_timed_out());
}

TEST_CASE("time without polls does not count towards the timeout") {
  WriterWatch watch;
  TimePoint now{};
  poll(watch, 5, "one", now);
  now += std::chrono::hours(1);
  poll(watch, 5, "one", now);
  CHECK_FALSE(watch.writer_timed_out());
}

}  // namespace model_prep
