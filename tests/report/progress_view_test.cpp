// SPDX-License-Identifier: Apache-2.0
// The live lines at every size of terminal, which they never exceed.
#include "model_prep/report/progress_view.h"

#include <algorithm>

#include "core/builders.h"
#include "model_prep/base/text.h"
#include "support/catch.h"

namespace model_prep {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Lines = std::vector<std::string>;

ModelProgress model(const std::string& name, Activity activity, std::int64_t done_mega = 20) {
  return {.name = name,
          .bytes = 100 * testing::kMB,
          .done = done_mega * testing::kMB,
          .rate = activity == Activity::fetching ? 12.34e6 : 0,
          .activity = activity};
}

/// One model in every state.
ProgressSnapshot every_state() {
  ProgressSnapshot all{
      .models = {model("all-MiniLM-L6-v2", Activity::fetching, 64),
                 model("bge-reranker-base", Activity::paused),
                 model("flan-t5-small", Activity::verifying, 100),
                 model("whisper-tiny", Activity::waiting_for_lock),
                 model("clip", Activity::waiting, 0), model("nomic-embed", Activity::paused),
                 model("done-before", Activity::fetching, 100)},
      .bytes = 700 * testing::kMB,
      .done = 324 * testing::kMB,
      .rate = 60.3e6,
      .files = 24,
      .files_done = 8,
      .models_ready = 1,
      .retries = 3,
      .left = "1 min 24 s left"};
  all.models[0].retries = 1;
  all.models[1].retries = 2;
  all.models[1].pause = milliseconds(11'200);
  all.models[5].pause = seconds(300);
  all.models[6].finished = true;
  return all;
}

ProgressSnapshot many(std::size_t count, Activity activity) {
  ProgressSnapshot all{.models = {},
                       .bytes = 100 * testing::kMB * static_cast<std::int64_t>(count),
                       .files = 120,
                       .left = "5 s left"};
  for (std::size_t i = 0; i < count; ++i)
    all.models.push_back(model("model-" + std::to_string(i), activity, 0));
  return all;
}

/// The first words.
Lines names(const Lines& lines) {
  Lines first;
  for (const std::string& line : lines) first.push_back(line.substr(0, line.find(' ')));
  return first;
}

std::string without_colour(std::string text) {
  for (std::size_t at = 0; (at = text.find('\x1b', at)) != std::string::npos;)
    text.erase(at, text.find('m', at) + 1 - at);
  return text;
}

}  // namespace

TEST_CASE(
    "each model in flight has name, bar, percent, size, rate and state, and so has the total") {
  CHECK(progress_lines(every_state(), {.columns = 80, .rows = 24}) ==
        Lines{"all-MiniLM-L6-v2   [###...]  64%   100.0 MB   12.3 MB/s  downloading, 1 retry",
              "bge-reranker-base  [#.....]  20%   100.0 MB              retry 2 in 12 s",
              "flan-t5-small      [######] 100%   100.0 MB              verifying",
              "whisper-tiny       [#.....]  20%   100.0 MB              waiting for a lock",
              "nomic-embed        [#.....]  20%   100.0 MB              paused for 5 min 0 s",
              "total              [##....]  46%   700.0 MB   60.3 MB/s  1 of 7 ready",
              "1 min 24 s left, 8 of 24 files, 3 retries"});
}

TEST_CASE("a narrow terminal drops bar and size, then the rate, then the state") {
  ProgressSnapshot progress = every_state();
  progress.models.resize(2);
  CHECK(progress_lines(progress, {.columns = 60, .rows = 24}) ==
        Lines{"all-MiniLM-L6-v2   64%   12.3 MB/s  downloading, 1 retry",
              "bge-reranker-base  20%              retry 2 in 12 s",
              "total              46%   60.3 MB/s  1 of 2 ready",
              "1 min 24 s left, 8 of 24 files, 3 retries"});
  CHECK(progress_lines(progress, {.columns = 40, .rows = 24}) ==
        Lines{"all-M~6-v2  64%  downloading, 1 retry", "bge-r~base  20%  retry 2 in 12 s",
              "total       46%  1 of 2 ready", "1 min 24 s left, 8 of 24 files, 3 retri"});
  CHECK(progress_lines(progress, {.columns = 20, .rows = 24}) ==
        Lines{"all-Min~-L6-v2  64%", "bge-rer~r-base  20%", "total           46%",
              "1 min 24 s left, 8 "});
}

TEST_CASE("no line is as wide as the terminal, whatever the names") {
  ProgressSnapshot progress = every_state();
  progress.models[0].name = "漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字";
  progress.models[1].name = "e\u0301e\u0301e\u0301 with marks";
  progress.models[2].name = "steers \x1b[2J\r\n\t\x7f the terminal";
  progress.models[3].name = "\xff\xfe no UTF-8 \u202e and turned";
  progress.models[4].name = std::string(300, 'x');
  progress.models[4].activity = Activity::fetching;
  progress.models[5].name = "";
  progress.models[5].bytes = 0;
  progress.models[0].bytes = std::int64_t{1} << 50;
  progress.models[0].rate = 1e12;
  progress.models[0].retries = 1'000'000;
  for (int columns = 1; columns <= 220; ++columns) {
    for (const std::string& line : progress_lines(progress, {.columns = columns, .rows = 24})) {
      CAPTURE(columns, line);
      CHECK(display_width(line) <= static_cast<std::size_t>(std::max(1, columns - 1)));
      CHECK(sanitize(line) == line);
      CHECK_FALSE(line.empty());
    }
  }
}

TEST_CASE("everything drawn is ASCII, except names") {
  for (int columns = 1; columns <= 220; ++columns) {
    for (const std::string& line : progress_lines(every_state(), {.columns = columns})) {
      CAPTURE(columns, line);
      CHECK(std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c <= '~'; }));
    }
  }
}

TEST_CASE("the view has two rows fewer than the terminal, and at least one") {
  for (const std::size_t count :
       {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{9}, std::size_t{40}}) {
    for (int rows = 1; rows <= 40; ++rows) {
      CAPTURE(count, rows);
      const Lines lines =
          progress_lines(many(count, Activity::fetching), {.columns = 80, .rows = rows});
      CHECK(static_cast<int>(lines.size()) <= std::max(1, rows - 2));
      CHECK_FALSE(lines.empty());
    }
  }
}

TEST_CASE("of forty models only those in flight are shown, at most eight") {
  ProgressSnapshot progress = many(40, Activity::waiting);
  progress.models[30].activity = Activity::fetching;
  progress.models[35].activity = Activity::waiting_for_lock;
  progress.models[20].activity = Activity::paused;
  CHECK(names(progress_lines(progress, {})) ==
        Lines{"model-20", "model-30", "model-35", "total", "5"});
  CHECK(progress_lines(many(40, Activity::fetching), {}).size() == 8 + 2);
}

TEST_CASE("a single model needs no total") {
  ProgressSnapshot progress = every_state();
  progress.models.resize(1);
  CHECK(names(progress_lines(progress, {})) == Lines{"all-MiniLM-L6-v2", "1"});
}

TEST_CASE("hashing without models shows the total only") {
  ProgressSnapshot progress = every_state();
  progress.models.clear();
  progress.retries = 0;
  CHECK(progress_lines(progress, {.columns = 60, .rows = 24}) ==
        Lines{"total  46%   60.3 MB/s", "1 min 24 s left, 8 of 24 files"});
}

TEST_CASE("the last line counts the models that failed") {
  ProgressSnapshot progress = every_state();
  progress.models_failed = 1;
  CHECK(progress_lines(progress, {}).back() ==
        "1 min 24 s left, 8 of 24 files, 3 retries, 1 failed");
}

TEST_CASE("columns stay where they are while numbers change") {
  ProgressSnapshot progress = every_state();
  const Lines before = progress_lines(progress, {});
  progress.models[0].done = 99'900'000;
  progress.models[0].rate = 123.4e6;
  progress.models[1].activity = Activity::fetching;
  progress.models[1].rate = 999;
  const Lines after = progress_lines(progress, {});
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    CHECK(before[i].find("%") == after[i].find("%"));
    CHECK(before[i].find(" MB  ") == after[i].find(" MB  "));
    CHECK(after[i].find("B/s") == before[0].find("B/s"));
    CHECK(after[i].find("downloading") == before[0].find("downloading"));
  }
}

TEST_CASE("colour changes no word, and is used only if it is wanted") {
  Lines lines = progress_lines(every_state(), {.colour = true});
  CHECK(lines[1].starts_with("\x1b[33mbge-reranker-base "));
  CHECK(lines[1].ends_with("retry 2 in 12 s\x1b[0m"));
  CHECK(lines != progress_lines(every_state(), {}));
  std::transform(lines.begin(), lines.end(), lines.begin(), without_colour);
  CHECK(lines == progress_lines(every_state(), {}));
}

}  // namespace model_prep
