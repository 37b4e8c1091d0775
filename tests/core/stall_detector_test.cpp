// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/stall_detector.h"

#include "core/builders.h"
#include "support/catch.h"

namespace model_prep {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::kStart;

}  // namespace

TEST_CASE("nothing is due before there is a connection") {
  const StallDetector detector(seconds(60));
  CHECK(detector.due() == TimePoint::max());
}

TEST_CASE("silence is a stall once the timeout has passed since the last byte or the connection") {
  StallDetector detector(seconds(60));
  detector.begin(kStart);
  CHECK(detector.due() == kStart + seconds(60));
  detector.on_bytes(1'000'000, kStart + seconds(59));
  CHECK(detector.due() == kStart + seconds(119));
  CHECK(detector.error() == Error{ErrorKind::timeout, "no data for 60 s", {}});
}

TEST_CASE("a response that starts slowly and then arrives is not a stall") {
  StallDetector detector(seconds(60));
  detector.begin(kStart);
  detector.on_bytes(10, kStart + seconds(59));
  CHECK(detector.due() == kStart + seconds(119));
}

TEST_CASE("one byte a minute is a stall, counted from its first byte") {
  StallDetector detector(seconds(60));
  detector.begin(kStart);
  detector.on_bytes(1, kStart + seconds(5));
  detector.on_bytes(1, kStart + seconds(50));
  CHECK(detector.due() == kStart + seconds(65));
  CHECK(detector.error() == Error{ErrorKind::timeout, "only 2 bytes in 60 s", {}});
}

TEST_CASE("a fast start gives a later slow rate no credit") {
  StallDetector detector(seconds(60));
  detector.begin(kStart);
  for (int i = 0; i < 1000; ++i) detector.on_bytes(100'000, kStart + milliseconds(i));
  TimePoint now = kStart + seconds(1);
  while (detector.due() > now) detector.on_bytes(1, now += seconds(1));
  CHECK(now <= kStart + seconds(62));
}

TEST_CASE("nothing is due while suspended, and counting starts over afterwards") {
  StallDetector detector(seconds(60));
  detector.begin(kStart);
  detector.on_bytes(1, kStart + seconds(5));
  detector.suspend();
  CHECK(detector.due() == TimePoint::max());
  detector.begin(kStart + seconds(500));
  CHECK(detector.due() == kStart + seconds(560));
  detector.on_bytes(1, kStart + seconds(559));
  CHECK(detector.due() == kStart + seconds(619));
}

TEST_CASE("the minimum rate is 64 bytes a second") {
  const auto [rate, ends] = GENERATE(table<int, bool>({{55, true}, {65, false}}));
  StallDetector detector(seconds(10));
  detector.begin(kStart);
  TimePoint now = kStart;
  while (detector.due() > now && now < kStart + seconds(100))
    detector.on_bytes(rate, now += seconds(1));
  CHECK((detector.due() <= now) == ends);
}

}  // namespace model_prep
