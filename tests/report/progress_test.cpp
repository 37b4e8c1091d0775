// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/progress.h"

#include "support/catch.h"

namespace model_prep {
namespace {

using std::chrono::seconds;

const TimePoint kStart = TimePoint{} + seconds(1000);

}  // namespace

TEST_CASE("an observer that has nothing planned is in no hurry") {
  Console console;
  Log log(console, LogLevel::off, LogFormat::text);
  const ProgressMode mode =
      GENERATE(ProgressMode::automatic, ProgressMode::log, ProgressMode::none);
  const auto observer = make_progress(mode, console, log);
  CHECK(observer->due() == TimePoint::max());
}

TEST_CASE("a line is due every ten seconds") {
  Console console;
  Log log(console, LogLevel::off, LogFormat::text);
  const auto observer = make_progress(ProgressMode::log, console, log);
  observer->planned({.files = {{.bytes = 100, .models = {}}}, .models = {}}, kStart);
  CHECK(observer->due() == kStart + seconds(10));
  observer->show({}, 0, kStart + seconds(10));
  CHECK(observer->due() == kStart + seconds(20));
  observer->finished();
  CHECK(observer->due() == TimePoint::max());
}

}  // namespace model_prep
