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

// What the columns take, with the blanks before them.
constexpr std::size_t kPercentWidth = 5;
constexpr std::size_t kStateWidth = 24;
constexpr std::size_t kRateWidth = 12;
constexpr std::size_t kBarAndSizeWidth = 21;
constexpr int kBarCells = 6;

/// The columns that there is room for, the same on all lines.
struct Layout {
  std::size_t room;  ///< the width of a line
  bool has_state{room >= 38};
  bool has_rate{room >= 54};
  bool has_bar_and_size{room >= 78};
  std::size_t name_width{0};
};

Layout layout_for(const ProgressSnapshot& progress, const Screen& screen) {
  Layout layout{.room = static_cast<std::size_t>(std::max(1, screen.columns - 1))};
  std::size_t used = kPercentWidth;
  if (layout.has_state) used += kStateWidth;
  if (layout.has_rate) used += kRateWidth;
  if (layout.has_bar_and_size) used += kBarAndSizeWidth;

  std::size_t longest = 5;  // of `total`
  for (const ModelProgress& model : progress.models)
    longest = std::max(longest, display_width(sanitize(model.name)));
  layout.name_width = std::min(longest, layout.room - std::min(layout.room, used));
  return layout;
}

std::string name_cell(const std::string& name, std::size_t width) {
  // All that is drawn here is ASCII, which every terminal shows in one column.
  std::string cell = elide_middle(sanitize(name), width, "~");
  cell.append(width - std::min(width, display_width(cell)), ' ');
  return cell;
}

std::string state_of(const ModelProgress& model) {
  if (model.activity == Activity::paused) {
    const std::string pause = time_left(in_seconds(model.pause));
    return model.retries > 0 ? fmt::format("retry {} in {}", model.retries, pause)
                             : "paused for " + pause;
  }
  const std::string state = model.activity == Activity::fetching    ? "downloading"
                            : model.activity == Activity::copying   ? "copying"
                            : model.activity == Activity::verifying ? "verifying"
                                                                    : "waiting for a lock";
  return model.retries > 0 ? state + ", " + format_retries(model.retries) : state;
}

std::string render(const ModelProgress& line, const std::string& state, const Layout& layout) {
  const int part = percent(line.done, line.bytes);
  if (layout.name_width == 0) return fmt::format("{}%", part).substr(0, layout.room);

  std::string text = fmt::format(" {:3}%", part);
  if (layout.has_bar_and_size) {
    const int full = part * kBarCells / 100;
    text = fmt::format("  [{:#<{}}{:.<{}}]{}  {:>9}", "", full, "", kBarCells - full, text,
                       format_bytes(line.bytes));
  }
  if (layout.has_rate) {
    const std::string rate = format_bytes(static_cast<Bytes>(line.rate)) + "/s";
    const bool moves = line.activity == Activity::fetching || line.activity == Activity::copying;
    text += fmt::format("  {:>10}", moves ? rate : "");
  }
  if (layout.has_state) text += "  " + state;

  text.resize(std::min(text.size(), layout.room - layout.name_width));
  text.resize(text.find_last_not_of(' ') + 1);
  return name_cell(line.name, layout.name_width) + text;
}

std::string render_total(const ProgressSnapshot& progress, const Layout& layout) {
  const std::size_t models = progress.models.size();
  const std::string ready = fmt::format("{} of {} ready", progress.models_ready, models);
  return render({.name = "total",
                 .bytes = progress.bytes,
                 .done = progress.done,
                 .rate = progress.rate,
                 .activity = Activity::fetching},
                models == 0 ? "" : ready, layout);
}

}  // namespace

Strings progress_lines(const ProgressSnapshot& progress, const Screen& screen) {
  const Layout layout = layout_for(progress, screen);
  const auto max_lines = static_cast<std::size_t>(std::max(1, screen.rows - kLogRows));
  const auto coloured = [&](std::string_view code, std::string text) {
    return screen.colour ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
  };

  // The total of a single model would only repeat its line.
  const bool has_total = progress.models.size() != 1;
  const std::size_t below = has_total ? 2 : 1;
  const std::size_t max_models = std::min(kMaxModels, max_lines - std::min(max_lines, below));

  Strings lines;
  for (const ModelProgress& model : progress.models) {
    if (!model.in_flight() || lines.size() == max_models) continue;
    const std::string line = render(model, state_of(model), layout);
    lines.push_back(model.activity == Activity::paused ? coloured("33", line) : line);  // yellow
  }

  if (has_total) lines.push_back(coloured("1", render_total(progress, layout)));  // bold
  if (lines.size() < max_lines) {
    std::string text = remaining_text(progress);
    if (progress.models_failed > 0) text += fmt::format(", {} failed", progress.models_failed);
    lines.push_back(text.substr(0, layout.room));
  }
  return lines;
}

}  // namespace model_prep
