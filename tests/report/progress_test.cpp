// SPDX-License-Identifier: Apache-2.0
// When progress is shown.
#include "model_prep/report/progress.h"

#include "core/builders.h"
#include "support/catch.h"

namespace model_prep {
namespace {

using std::chrono::seconds;
using testing::kStart;

}  // namespace

TEST_CASE("nothing is due without a plan") {
  Console console;
  Log log(console, LogLevel::off, LogFormat::text);
  const ProgressMode mode =
      GENERATE(ProgressMode::automatic, ProgressMode::log, ProgressMode::none);
  const Observer observer(mode, console, log);
  CHECK(observer.due() == TimePoint::max());
}

TEST_CASE("nothing is ever due if no progress is wanted") {
  Console console;
  Log log(console, LogLevel::off, LogFormat::text);
  Observer observer(ProgressMode::none, console, log);
  observer.planned({.files = {{.bytes = 100, .models = {}}}, .models = {}}, kStart);
  observer.file_done(0, FileEnd::ready, 0);
  CHECK(observer.due() == TimePoint::max());
}

TEST_CASE("a log line is due every ten seconds") {
  Console console;
  Log log(console, LogLevel::off, LogFormat::text);
  Observer observer(ProgressMode::log, console, log);
  observer.planned({.files = {{.bytes = 100, .models = {}}}, .models = {}}, kStart);
  CHECK(observer.due() == kStart + seconds(10));
  observer.show({}, 0, kStart + seconds(10));
  CHECK(observer.due() == kStart + seconds(20));
  observer.finished();
  CHECK(observer.due() == TimePoint::max());
}

}  // namespace model_prep
