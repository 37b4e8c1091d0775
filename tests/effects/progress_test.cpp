// SPDX-License-Identifier: Apache-2.0
#include "model_prep/effects/progress.h"

#include <algorithm>

#include "support/catch.h"

namespace model_prep {
namespace {

using std::chrono::seconds;

const TimePoint kStart = TimePoint{} + seconds(1000);

/// 100 MB in four files, 25 MB of it and one file done in ten seconds.
Meter quarter_done() {
  Meter meter;
  meter.begin(100'000'000, 4, kStart);
  meter.moved(25'000'000);
  meter.file_done();
  meter.sample(kStart + seconds(10));
  return meter;
}

}  // namespace

TEST_CASE("the meter tells bytes, rate, time left and files") {
  CHECK(quarter_done().text() == "25.0 of 100.0 MB, 2.5 MB/s, 30 s left, 1 of 4 files");
}

TEST_CASE("before the first bytes the meter says that it waits for them") {
  Meter meter;
  meter.begin(100'000'000, 4, kStart);
  meter.sample(kStart + seconds(10));
  CHECK(meter.text() == "0.0 of 100.0 MB, 0.0 MB/s, waiting for the first bytes, 0 of 4 files");
}

TEST_CASE("bytes that were fetched twice are not shown as more than all") {
  Meter meter;
  meter.begin(1'000'000, 1, kStart);
  meter.moved(3'000'000);
  meter.sample(kStart + seconds(1));
  CHECK(meter.text().find("1.0 of 1.0 MB") == 0);
  CHECK(meter.bar(120).find("100 %") != std::string::npos);
}

TEST_CASE("the bar fits the terminal, whatever its width") {
  const int columns = GENERATE(1, 2, 20, 40, 59, 60, 80, 120, 300);
  const std::string bar = quarter_done().bar(columns);
  CHECK(static_cast<int>(bar.size()) <= std::max(1, columns - 1));
}

TEST_CASE("a wide terminal gets a bar and the words") {
  const std::string bar = quarter_done().bar(120);
  CHECK(bar.find("[##########......") == 0);
  CHECK(bar.find(" 25 % 25.0 of 100.0 MB") != std::string::npos);
}

TEST_CASE("time is told in two units at most") {
  CHECK(time_left(0.2) == "1 s");
  CHECK(time_left(42) == "42 s");
  CHECK(time_left(200) == "3 min 20 s");
  CHECK(time_left(7500) == "2 h 5 min");
}

TEST_CASE("an observer that has nothing planned is in no hurry") {
  Console console;
  Log log(console, LogLevel::off, LogFormat::text);
  const ProgressMode mode = GENERATE(ProgressMode::automatic, ProgressMode::log, ProgressMode::none);
  const auto observer = make_progress(mode, console, log);
  CHECK(observer->tick(kStart) == TimePoint::max());
}

TEST_CASE("a line is due every ten seconds") {
  Console console;
  Log log(console, LogLevel::off, LogFormat::text);
  const auto observer = make_progress(ProgressMode::log, console, log);
  observer->planned(100, 1, kStart);
  CHECK(observer->tick(kStart) == kStart + seconds(10));
  CHECK(observer->tick(kStart + seconds(10)) == kStart + seconds(20));
  observer->finished();
  CHECK(observer->tick(kStart + seconds(30)) == TimePoint::max());
}

}  // namespace model_prep
