// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/progress_view.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::size_t kMaxModels = 8;  // the default of --jobs
constexpr int kLogRows = 2;            // rows that are left to the log
constexpr std::string_view kTotal = "total";

// What the columns take, with the blanks before them.
constexpr std::size_t kPercentWidth = 5;
constexpr std::size_t kStateWidth = 22;
constexpr std::size_t kRateWidth = 12;
constexpr std::size_t kBarWidth = 12;
constexpr std::size_t kSizeWidth = 11;
constexpr int kBarCells = 8;

struct Columns {
  bool state{false};
  bool rate{false};
  bool bar_and_size{false};
  std::size_t name{0};  ///< its width
};

struct Row {
  std::string name;
  std::int64_t done{0};
  std::int64_t bytes{0};
  std::string rate;
  std::string state;
  std::string_view colour;  ///< as in `ESC [ colour m`; empty: the terminal's own
};

Columns columns_for(const ProgressSnapshot& progress, std::size_t room) {
  Columns columns{.state = room >= 38, .rate = room >= 54, .bar_and_size = room >= 78};
  std::size_t used = kPercentWidth;
  if (columns.state) used += kStateWidth;
  if (columns.rate) used += kRateWidth;
  if (columns.bar_and_size) used += kBarWidth + kSizeWidth;

  std::size_t longest = kTotal.size();
  for (const ModelProgress& model : progress.models)
    longest = std::max(longest, display_width(sanitize(model.name)));
  columns.name = std::min(longest, room - std::min(room, used));
  return columns;
}

std::string name_cell(const std::string& name, std::size_t width) {
  constexpr std::string_view kElided = "…";
  std::string cell = elide_middle(sanitize(name), width);
  // All that is drawn here is ASCII, which every terminal shows in one column.
  if (const std::size_t at = cell.find(kElided); at != std::string::npos)
    cell.replace(at, kElided.size(), "~");
  cell.append(width - std::min(width, display_width(cell)), ' ');
  return cell;
}

std::string render(const Row& row, const Columns& columns, const Screen& screen, std::size_t room) {
  const int part = percent(row.done, row.bytes);
  if (columns.name == 0) return fmt::format("{}%", part).substr(0, room);

  std::string text;
  if (columns.bar_and_size) {
    const int full = part * kBarCells / 100;
    text += fmt::format("  [{:#<{}}{:.<{}}]", "", full, "", kBarCells - full);
  }
  text += fmt::format(" {:3}%", part);
  if (columns.bar_and_size) text += fmt::format("  {:>9}", format_bytes(row.bytes));
  if (columns.rate) text += fmt::format("  {:>10}", row.rate);
  if (columns.state) text += "  " + row.state;

  text.resize(std::min(text.size(), room - columns.name));
  text.resize(text.find_last_not_of(' ') + 1);
  text = name_cell(row.name, columns.name) + text;
  if (!screen.colour || row.colour.empty()) return text;
  return fmt::format("\x1b[{}m{}\x1b[0m", row.colour, text);
}

std::string rate_text(double rate) { return format_bytes(static_cast<std::int64_t>(rate)) + "/s"; }

/// Short, because it is part of a column.
std::string pause_text(Duration pause) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(pause).count();
  if (seconds < 100) return fmt::format("{} s", seconds);
  return fmt::format("{} min", (seconds + 59) / 60);
}

Row row_of(const ModelProgress& model) {
  Row row{.name = model.name,
          .done = model.done,
          .bytes = model.bytes,
          .rate = {},
          .state = {},
          .colour = {}};
  switch (model.activity) {
    case Activity::waiting: row.state = "waiting"; break;
    case Activity::elsewhere: row.state = "waiting for a lock"; break;
    case Activity::verifying: row.state = "verifying"; break;
    case Activity::fetching:
      row.state = "fetching";
      row.rate = rate_text(model.rate);
      break;
    case Activity::paused:
      constexpr std::string_view kYellow = "33";
      row.colour = kYellow;
      row.state = model.retries > 0
                      ? fmt::format("retry {} in {}", model.retries, pause_text(model.pause))
                      : fmt::format("paused for {}", pause_text(model.pause));
      return row;
  }
  if (model.retries > 0) row.state += ", " + format_retries(model.retries);
  return row;
}

Row total_of(const ProgressSnapshot& progress) {
  constexpr std::string_view kBold = "1";
  Row row{.name = std::string(kTotal),
          .done = progress.done,
          .bytes = progress.bytes,
          .rate = rate_text(progress.rate),
          .state = {},
          .colour = kBold};
  if (!progress.models.empty())
    row.state = fmt::format("{} of {} ready", progress.models_ready, progress.models.size());
  return row;
}

}  // namespace

std::vector<std::string> progress_lines(const ProgressSnapshot& progress, const Screen& screen) {
  const auto room = static_cast<std::size_t>(std::max(1, screen.columns - 1));
  const auto max_lines = static_cast<std::size_t>(std::max(1, screen.rows - kLogRows));

  // The total of a single model would only repeat its line.
  const bool has_total = progress.models.size() != 1;
  const std::size_t below = has_total ? 2 : 1;
  const std::size_t max_models = std::min(kMaxModels, max_lines - std::min(max_lines, below));

  const Columns columns = columns_for(progress, room);
  std::vector<std::string> lines;
  for (const ModelProgress& model : progress.models) {
    const bool in_flight = !model.finished && model.activity != Activity::waiting;
    if (in_flight && lines.size() < max_models)
      lines.push_back(render(row_of(model), columns, screen, room));
  }

  if (has_total) lines.push_back(render(total_of(progress), columns, screen, room));
  if (lines.size() < max_lines) {
    std::string text = remaining_text(progress);
    if (progress.models_failed > 0) text += fmt::format(", {} failed", progress.models_failed);
    lines.push_back(text.substr(0, room));
  }
  return lines;
}

}  // namespace model_prep
