// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/stall_detector.h"

#include "support/catch.h"

namespace model_prep {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint kBegin = TimePoint() + std::chrono::hours(1);

}  // namespace

TEST_CASE("before the connection stands nothing is due") {
  const StallDetector pace(seconds(60));
  CHECK(pace.due() == TimePoint::max());
}

TEST_CASE("silence is due a stall after the last byte, or after the connection") {
  StallDetector pace(seconds(60));
  pace.begin(kBegin);
  CHECK(pace.due() == kBegin + seconds(60));
  pace.moved(1'000'000, kBegin + seconds(59));
  CHECK(pace.due() == kBegin + seconds(119));
  CHECK(pace.fault() == Error{ErrorKind::timeout, "nothing came for 60 s", {}});
}

TEST_CASE("an answer that takes long to begin and then comes is no drip") {
  StallDetector pace(seconds(60));
  pace.begin(kBegin);
  pace.moved(10, kBegin + seconds(59));
  CHECK(pace.due() == kBegin + seconds(119));
}

TEST_CASE("a byte a minute is due a stall after its first") {
  StallDetector pace(seconds(60));
  pace.begin(kBegin);
  pace.moved(1, kBegin + seconds(5));
  pace.moved(1, kBegin + seconds(50));
  CHECK(pace.due() == kBegin + seconds(65));
  CHECK(pace.fault() == Error{ErrorKind::timeout, "only 2 bytes came in 60 s", {}});
}

TEST_CASE("a fast beginning is no credit for a drip") {
  StallDetector pace(seconds(60));
  pace.begin(kBegin);
  for (int i = 0; i < 1000; ++i) pace.moved(100'000, kBegin + milliseconds(i));
  TimePoint now = kBegin + seconds(1);
  while (pace.due() > now) pace.moved(1, now += seconds(1));
  CHECK(now <= kBegin + seconds(62));
}

TEST_CASE("while it is held nothing is due, and afterwards it counts anew") {
  StallDetector pace(seconds(60));
  pace.begin(kBegin);
  pace.moved(1, kBegin + seconds(5));
  pace.hold();
  CHECK(pace.due() == TimePoint::max());
  pace.begin(kBegin + seconds(500));
  CHECK(pace.due() == kBegin + seconds(560));
  pace.moved(1, kBegin + seconds(559));
  CHECK(pace.due() == kBegin + seconds(619));
}

TEST_CASE("the floor is 64 bytes a second") {
  const auto [rate, ends] = GENERATE(table<int, bool>({{55, true}, {65, false}}));
  StallDetector pace(seconds(10));
  pace.begin(kBegin);
  TimePoint now = kBegin;
  while (pace.due() > now && now < kBegin + seconds(100)) pace.moved(rate, now += seconds(1));
  CHECK((pace.due() <= now) == ends);
}

}  // namespace model_prep
