// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/progress_view.h"

#include <algorithm>

#include "model_prep/base/text.h"
#include "support/catch.h"

namespace model_prep {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Lines = std::vector<std::string>;

constexpr std::int64_t kMega = 1'000'000;

ModelProgress model(const std::string& name, Activity activity, std::int64_t done_mega = 20) {
  return {.name = name,
          .bytes = 100 * kMega,
          .done = done_mega * kMega,
          .rate = activity == Activity::fetching ? 12.34e6 : 0,
          .activity = activity};
}

/// One model in every state.
ProgressSnapshot every_state() {
  ProgressSnapshot all{
      .models = {model("all-MiniLM-L6-v2", Activity::fetching, 64),
                 model("bge-reranker-base", Activity::paused),
                 model("flan-t5-small", Activity::verifying, 100),
                 model("whisper-tiny", Activity::elsewhere), model("clip", Activity::waiting, 0),
                 model("nomic-embed-text", Activity::paused),
                 model("done-before", Activity::fetching, 100)},
      .bytes = 700 * kMega,
      .done = 324 * kMega,
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
  all.models[6].over = true;
  return all;
}

ProgressSnapshot many(std::size_t count, Activity activity) {
  ProgressSnapshot all{.models = {},
                       .bytes = 100 * kMega * static_cast<std::int64_t>(count),
                       .files = 120,
                       .left = "5 s left"};
  for (std::size_t i = 0; i < count; ++i)
    all.models.push_back(model("model-" + std::to_string(i), activity, 0));
  return all;
}

Lines lines(const ProgressSnapshot& progress, const Screen& screen) {
  return ProgressView().lines(progress, screen);
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
    "at 80 columns there are name, bar, percent, size, rate and state of each model, and the total") {
  CHECK(lines(every_state(), {.columns = 80, .rows = 24, .utf8 = true}) ==
        Lines{"all-MiniLM-L6-v2   ━━━━━━────  64%  100.0 MB   12.3 MB/s  fetching, 1 retry",
              "bge-reranker-base  ━━────────  20%  100.0 MB              retry 2 in 12 s",
              "flan-t5-small      ━━━━━━━━━━ 100%  100.0 MB              verifying",
              "whisper-tiny       ━━────────  20%  100.0 MB              waiting for a lock",
              "clip               ──────────   0%  100.0 MB              waiting",
              "nomic-embed-text   ━━────────  20%  100.0 MB              told to wait 5 min",
              "total              ━━━━╸─────  46%  700.0 MB   60.3 MB/s  1 of 7 ready",
              " 8 of 24 files, 3 retries, 1 min 24 s left"});
}

TEST_CASE("without UTF-8 it is ASCII") {
  ProgressSnapshot progress = every_state();
  progress.models.resize(2);
  progress.models[1].name = "größe";
  CHECK(lines(progress, {.columns = 80, .rows = 24}) ==
        Lines{"all-MiniLM-L6-v2  [#####....]  64%  100.0 MB   12.3 MB/s  fetching, 1 retry",
              "gr??e             [#........]  20%  100.0 MB              retry 2 in 12 s",
              "total             [####.....]  46%  700.0 MB   60.3 MB/s  1 of 2 ready",
              " 8 of 24 files, 3 retries, 1 min 24 s left"});
}

TEST_CASE("a wide terminal shows what is done, too") {
  ProgressSnapshot progress = every_state();
  progress.models.resize(2);
  CHECK(
      lines(progress, {.columns = 120, .rows = 24, .utf8 = true}) ==
      Lines{
          "all-MiniLM-L6-v2   ━━━━━━━━━━━━━━━━━━━━━━━━━╸──────────────  64%   64.0 of 100.0 MB   12.3 MB/s  "
          "fetching, 1 retry",
          "bge-reranker-base  ━━━━━━━━────────────────────────────────  20%   20.0 of 100.0 MB              retry "
          "2 in 12 s",
          "total              ━━━━━━━━━━━━━━━━━━╸─────────────────────  46%  324.0 of 700.0 MB   60.3 MB/s  1 of 2 "
          "ready",
          " 8 of 24 files, 3 retries, 1 min 24 s left"});
}

TEST_CASE("a narrow terminal loses size, bar, rate and state, in this order") {
  ProgressSnapshot progress = every_state();
  progress.models.resize(2);
  CHECK(lines(progress, {.columns = 60, .rows = 24, .utf8 = true}) ==
        Lines{"all-MiniLM-L6-v2    64%   12.3 MB/s  fetching, 1 retry",
              "bge-reranker-base   20%              retry 2 in 12 s",
              "total               46%   60.3 MB/s  1 of 2 ready",
              " 8 of 24 files, 3 retries, 1 min 24 s left"});
  CHECK(lines(progress, {.columns = 40, .rows = 24, .utf8 = true}) ==
        Lines{"all-M…L6-v2   64%  fetching, 1 retry", "bge-r…-base   20%  retry 2 in 12 s",
              "total         46%  1 of 2 ready", "3 retries, 1 min 24 s left"});
  CHECK(lines(progress, {.columns = 20, .rows = 24, .utf8 = true}) ==
        Lines{"all-Mi…-L6-v2   64%", "bge-re…r-base   20%", "total           46%",
              "1 min 24 s left"});
}

TEST_CASE("no line is as wide as the terminal, whatever the names") {
  ProgressSnapshot progress = every_state();
  progress.models[0].name = "漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字";
  progress.models[1].name = "e\u0301e\u0301e\u0301 with marks";
  progress.models[2].name = "steers \x1b[2J\r\n\t\x7f the terminal";
  progress.models[3].name = "\xff\xfe no UTF-8 \u202e and turned";
  progress.models[4].name = std::string(300, 'x');
  progress.models[5].name = "";
  progress.models[5].bytes = 0;
  progress.models[0].bytes = std::int64_t{1} << 50;
  progress.models[0].rate = 1e12;
  progress.models[0].retries = 1'000'000;
  for (const bool utf8 : {false, true}) {
    for (int columns = 1; columns <= 220; ++columns) {
      for (const std::string& line :
           lines(progress, {.columns = columns, .rows = 24, .utf8 = utf8})) {
        CAPTURE(columns, utf8, line);
        CHECK(display_width(line) <= static_cast<std::size_t>(std::max(1, columns - 1)));
        CHECK(sanitize(line) == line);
        CHECK((utf8 ||
               std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c <= '~'; })));
      }
    }
  }
}

TEST_CASE("there are two rows less than the terminal has, and one at least") {
  for (const std::size_t count :
       {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{9}, std::size_t{40}}) {
    for (int rows = 1; rows <= 40; ++rows) {
      CAPTURE(count, rows);
      const Lines shown =
          lines(many(count, Activity::fetching), {.columns = 80, .rows = rows, .utf8 = true});
      CHECK(static_cast<int>(shown.size()) <= std::max(1, rows - 2));
      CHECK_FALSE(shown.empty());
      CHECK(std::none_of(shown.begin(), shown.end(),
                         [](const std::string& line) { return line.empty(); }));
    }
  }
}

TEST_CASE("of forty models eight are shown, those at work first, and the others are counted") {
  ProgressSnapshot progress = many(40, Activity::waiting);
  progress.models[30].activity = Activity::fetching;
  progress.models[35].activity = Activity::elsewhere;
  progress.models[20].activity = Activity::paused;
  const Lines shown = lines(progress, {.columns = 80, .rows = 24, .utf8 = true});
  CHECK(names(shown) == Lines{"model-20", "model-30", "model-35", "model-0", "model-1", "model-2",
                              "model-3", "model-4", "…", "total", ""});
  CHECK(shown[8] == "… and 32 more waiting");
  CHECK(lines(progress, {.columns = 80, .rows = 24})[8] == "... and 32 more waiting");
}

TEST_CASE("a model keeps its line while others come and go") {
  ProgressView block;
  const Screen screen{.columns = 80, .rows = 8, .utf8 = true};  // three models
  ProgressSnapshot progress = many(6, Activity::waiting);
  progress.models[1].activity = progress.models[2].activity = progress.models[4].activity =
      Activity::fetching;
  CHECK(names(block.lines(progress, screen)) ==
        Lines{"model-1", "model-2", "model-4", "…", "total", ""});
  progress.models[1].activity = progress.models[2].activity = Activity::waiting;
  progress.models[0].activity = Activity::fetching;
  CHECK(names(block.lines(progress, screen)) ==
        Lines{"model-1", "model-0", "model-4", "…", "total", ""});
  progress.models[1].over = true;
  progress.models[3].activity = Activity::verifying;
  CHECK(names(block.lines(progress, screen)) ==
        Lines{"model-0", "model-4", "model-3", "…", "total", ""});
}

TEST_CASE("models at work that have no room are counted too, but not as waiting") {
  const Lines shown =
      lines(many(12, Activity::fetching), {.columns = 80, .rows = 24, .utf8 = true});
  CHECK(shown[8] == "… and 4 more");
}

TEST_CASE("a single model needs no total") {
  ProgressSnapshot progress = every_state();
  progress.models.resize(1);
  CHECK(names(lines(progress, {.columns = 80, .rows = 24})) == Lines{"all-MiniLM-L6-v2", ""});
}

TEST_CASE("files without models, as they are hashed, have the total only") {
  ProgressSnapshot progress = every_state();
  progress.models.clear();
  progress.retries = 0;
  CHECK(lines(progress, {.columns = 60, .rows = 24}) ==
        Lines{"total  [##########............]  46%  700.0 MB   60.3 MB/s",
              " 8 of 24 files, 1 min 24 s left"});
}

TEST_CASE("a model that failed is told") {
  ProgressSnapshot progress = every_state();
  progress.models_failed = 1;
  CHECK(lines(progress, {.columns = 80, .rows = 24}).back() ==
        " 8 of 24 files, 3 retries, 1 failed, 1 min 24 s left");
}

TEST_CASE("columns stay where they are while numbers change") {
  ProgressView block;
  const Screen screen{.columns = 80, .rows = 24};
  ProgressSnapshot progress = every_state();
  const Lines before = block.lines(progress, screen);
  progress.models[0].done = 99'900'000;
  progress.models[0].rate = 123.4e6;
  progress.models[1].activity = Activity::fetching;
  progress.models[1].rate = 999;
  const Lines after = block.lines(progress, screen);
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    CHECK(before[i].find("%") == after[i].find("%"));
    CHECK(before[i].find(" MB  ") == after[i].find(" MB  "));
    CHECK(after[i].find("B/s") == before[0].find("B/s"));
    CHECK(after[i].find("fetching") == before[0].find("fetching"));
  }
}

TEST_CASE("colour changes nothing that is said, and is there only if it is wanted") {
  const Screen plain{.columns = 80, .rows = 24, .utf8 = true};
  const Screen coloured{.columns = 80, .rows = 24, .utf8 = true, .colour = true};
  Lines with = lines(every_state(), coloured);
  CHECK(with[1].find("\x1b[33mretry 2 in 12 s\x1b[0m") != std::string::npos);
  CHECK(with != lines(every_state(), plain));
  std::transform(with.begin(), with.end(), with.begin(), without_colour);
  CHECK(with == lines(every_state(), plain));
}

}  // namespace model_prep
