// SPDX-License-Identifier: Apache-2.0
// What the tracker counts, and the log line made from it.
#include "model_prep/report/progress_tracker.h"

#include "core/builders.h"
#include "model_prep/base/text.h"
#include "support/catch.h"

namespace model_prep {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::kStart;

/// Two models of 40 and 60 MB; the last file is wanted by both.
ProgressPlan two_models() {
  return {.files = {{.bytes = 50 * testing::kMB, .models = {1}},
                    {.bytes = 30 * testing::kMB, .models = {0}},
                    {.bytes = 10 * testing::kMB, .models = {0, 1}}},
          .models = {"first", "second"}};
}

ActiveFile fetching(std::size_t file, std::int64_t done, int failures = 0) {
  return {.index = file, .activity = Activity::fetching, .failures = failures, .done = done};
}

ProgressTracker begun(ProgressPlan work) {
  ProgressTracker tracker;
  tracker.begin(std::move(work), kStart);
  return tracker;
}

/// 100 MB in four files, 25 MB of it and one file done in ten seconds.
ProgressTracker quarter_done() {
  ProgressTracker tracker = begun({.files = {{.bytes = 20 * testing::kMB, .models = {0}},
                                             {.bytes = 20 * testing::kMB, .models = {0}},
                                             {.bytes = 20 * testing::kMB, .models = {0}},
                                             {.bytes = 40 * testing::kMB, .models = {0}}},
                                   .models = {"one"}});
  tracker.file_done(0, FileEnd::ready, 0);
  tracker.sample(std::vector{fetching(1, 5 * testing::kMB)}, 0, kStart + seconds(10));
  return tracker;
}

}  // namespace

TEST_CASE("a log line has bytes, rate, time left and files") {
  CHECK(progress_text(quarter_done().progress()) ==
        "25.0 of 100.0 MB, 2.5 MB/s, 30 s left, 1 of 4 files");
}

TEST_CASE("before the first bytes the time left is not known") {
  ProgressTracker tracker = begun(two_models());
  tracker.sample({}, 0, kStart + seconds(10));
  CHECK(progress_text(tracker.progress()) ==
        "0.0 of 90.0 MB, 0.0 kB/s, waiting for the first bytes, 0 of 3 files");
}

TEST_CASE("several models in flight are named, with the retries") {
  ProgressTracker tracker = begun(two_models());
  tracker.sample(std::vector{fetching(0, 25 * testing::kMB, 2), fetching(1, 3 * testing::kMB)}, 2,
                 kStart + seconds(10));
  CHECK(progress_text(tracker.progress()) ==
        "28.0 of 90.0 MB, 2.8 MB/s, 23 s left, 0 of 3 files, 2 retries; first 7 %, second 41 %");
}

TEST_CASE("a log line does not grow with the number of models") {
  ProgressPlan work;
  std::vector<ActiveFile> files;
  for (std::size_t i = 0; i < 40; ++i) {
    work.models.push_back("sentence-transformers/all-mpnet-base-v" + std::to_string(i));
    work.files.push_back({.bytes = testing::kMB, .models = {i}});
    files.push_back(fetching(i, 500'000));
  }
  ProgressTracker tracker = begun(work);
  tracker.sample(files, 0, kStart + seconds(10));
  CHECK(
      progress_text(tracker.progress()) ==
      "20.0 of 40.0 MB, 2.0 MB/s, 10 s left, 0 of 40 files; sentence-transf…-mpnet-base-v0 50 %, 39 more");
}

TEST_CASE("bytes cached before the run count as done, but not for the rate") {
  ProgressTracker tracker =
      begun({.files = {{.bytes = 100 * testing::kMB, .done = 50 * testing::kMB, .models = {0}}},
             .models = {"one"}});
  tracker.sample(std::vector{fetching(0, 60 * testing::kMB)}, 0, kStart + seconds(10));
  CHECK(progress_text(tracker.progress()) == "60.0 of 100.0 MB, 1.0 MB/s, 40 s left, 0 of 1 file");
}

TEST_CASE("a file that starts over gives its bytes back, and the rate does not become negative") {
  ProgressTracker tracker = begun(two_models());
  tracker.sample(std::vector{fetching(0, 50 * testing::kMB)}, 0, kStart + seconds(10));
  tracker.sample(std::vector{fetching(0, 0)}, 1, kStart + seconds(11));
  CHECK(tracker.progress().done == 0);
  CHECK(tracker.progress().rate > 0);
}

TEST_CASE("a file that two models need counts for both, and once in the total") {
  ProgressTracker tracker = begun(two_models());
  tracker.file_done(2, FileEnd::ready, 0);
  const ProgressSnapshot progress = tracker.progress();
  CHECK(progress.bytes == 90 * testing::kMB);
  CHECK(progress.done == 10 * testing::kMB);
  CHECK(progress.models[0].bytes == 40 * testing::kMB);
  CHECK(progress.models[0].done == 10 * testing::kMB);
  CHECK(progress.models[1].bytes == 60 * testing::kMB);
  CHECK(progress.models[1].done == 10 * testing::kMB);
}

TEST_CASE("a model is ready when all its files are; a failed file fails it and no longer counts") {
  ProgressTracker tracker = begun(two_models());
  tracker.file_done(1, FileEnd::ready, 0);
  CHECK(tracker.progress().models_ready == 0);
  tracker.file_done(2, FileEnd::ready, 0);
  CHECK(tracker.progress().models_ready == 1);
  CHECK(tracker.progress().models[0].finished);
  CHECK_FALSE(tracker.progress().models[1].finished);
  tracker.file_done(0, FileEnd::given_up, 4);
  CHECK(tracker.progress().models_ready == 1);
  CHECK(tracker.progress().models_failed == 1);
  CHECK(tracker.progress().bytes == 40 * testing::kMB);
  CHECK(tracker.progress().left == "verifying");
}

TEST_CASE("a model counts the retries of its files, finished ones included") {
  ProgressTracker tracker = begun(two_models());
  tracker.file_done(1, FileEnd::ready, 3);
  tracker.sample(std::vector{fetching(0, 0, 1), fetching(2, 0, 2)}, 6, kStart + seconds(1));
  CHECK(tracker.progress().models[0].retries == 5);
  CHECK(tracker.progress().models[1].retries == 3);
  CHECK(tracker.progress().retries == 6);
}

TEST_CASE("a model shows the greatest activity of its files, and the shortest pause") {
  ProgressTracker tracker = begun({.files = {{.bytes = 1, .models = {0}},
                                             {.bytes = 1, .models = {0}},
                                             {.bytes = 1, .models = {0}}},
                                   .models = {"one"}});
  const ActiveFile verifying{.index = 0, .activity = Activity::verifying};
  const ActiveFile long_pause{.index = 1, .activity = Activity::paused, .pause = seconds(9)};
  const ActiveFile short_pause{.index = 2, .activity = Activity::paused, .pause = seconds(4)};
  tracker.sample(std::vector{verifying, short_pause, long_pause}, 0, kStart + seconds(1));
  CHECK(tracker.progress().models[0].activity == Activity::paused);
  CHECK(tracker.progress().models[0].pause == seconds(4));
  tracker.sample(std::vector{fetching(0, 0), short_pause}, 0, kStart + seconds(2));
  CHECK(tracker.progress().models[0].activity == Activity::fetching);
}

TEST_CASE("a model with nothing in flight between two small files does not flicker") {
  ProgressTracker tracker = begun(two_models());
  tracker.sample(std::vector{fetching(0, 0)}, 0, kStart + milliseconds(200));
  tracker.sample({}, 0, kStart + milliseconds(1000));
  CHECK(tracker.progress().models[1].activity == Activity::fetching);
  tracker.sample({}, 0, kStart + milliseconds(1200));
  CHECK(tracker.progress().models[1].activity == Activity::waiting);
}

TEST_CASE("the time left counts down, and does not jump with the rate") {
  ProgressTracker tracker =
      begun({.files = {{.bytes = 1000 * testing::kMB, .models = {0}}}, .models = {"one"}});
  std::int64_t done = 0;
  TimePoint now = kStart;
  const auto move = [&](std::int64_t bytes) {
    done += bytes;
    now += milliseconds(200);
    tracker.sample(std::vector{fetching(0, done)}, 0, now);
    return std::stoi(tracker.progress().left);
  };
  for (int i = 0; i < 100; ++i) move(2 * testing::kMB);  // 10 MB/s
  CHECK(tracker.progress().left == "1 min 20 s left");
  int before = 80;
  for (int i = 0; i < 25; ++i) move(i % 2 == 0 ? 0 : 4 * testing::kMB);  // the same, in gulps
  for (int i = 0; i < 25; ++i) {
    move(i % 2 == 0 ? 0 : 4 * testing::kMB);
    const std::string left = tracker.progress().left;
    const int now_left =
        left.find("min") == std::string::npos ? std::stoi(left) : 60 + std::stoi(left.substr(6));
    CHECK(now_left <= before + 1);
    before = now_left;
  }
}

TEST_CASE("after five seconds without a byte the run is stalled") {
  ProgressTracker tracker = quarter_done();
  tracker.sample(std::vector{fetching(1, 5 * testing::kMB)}, 0, kStart + seconds(14));
  CHECK(tracker.progress().left.ends_with(" left"));
  tracker.sample(std::vector{fetching(1, 5 * testing::kMB)}, 0, kStart + seconds(15));
  CHECK(tracker.progress().left == "stalled");
}

TEST_CASE("a model without files is not shown") {
  ProgressPlan work = two_models();
  work.models.push_back("cached");
  CHECK(begun(work).progress().models.size() == 2);
}

TEST_CASE("100 % means all bytes") {
  CHECK(percent(999'999, 1'000'000) == 99);
  CHECK(percent(1'000'000, 1'000'000) == 100);
  CHECK(percent(0, 0) == 100);
  CHECK(percent(0, 1) == 0);
}

TEST_CASE("a time has two units at most") {
  CHECK(time_left(0.2) == "1 s");
  CHECK(time_left(42) == "42 s");
  CHECK(time_left(200) == "3 min 20 s");
  CHECK(time_left(7500) == "2 h 5 min");
}

}  // namespace model_prep
