// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/progress_view.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::size_t kMostModels =
    8;                    // as many as there are connections, unless somebody asks for more
constexpr int kKept = 2;  // rows that stay the log's
constexpr std::size_t kGap = 2;
constexpr std::size_t kState = 20;  // `fetching, 12 retries`
constexpr std::size_t kRate = 10;   // `123.4 MB/s`
constexpr std::size_t kPercent = 4;
constexpr std::size_t kBar = 8;
constexpr std::size_t kWidestBar = 40;
constexpr std::string_view kTotal = "total";
constexpr std::string_view kCut = "…";  // of `elide_middle`

enum class Style : std::uint8_t { plain, green, yellow, dim };

/// Widths of the columns; 0: it is not there.
struct Columns {
  std::size_t name{0};
  std::size_t bar{0};
  std::size_t done{0};
  std::size_t size{0};
  std::size_t rate{0};
  std::size_t state{0};
};

struct Row {
  std::string name;
  std::int64_t done{0};
  std::int64_t bytes{0};
  std::string rate;
  std::string state;
  Style ink{Style::plain};  // of the state
};

std::string ascii(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) result += c;
    if (byte >= 0xc0) result += '?';
  }
  return result;
}

class LineRenderer {
 public:
  explicit LineRenderer(const Screen& screen)
      : screen_(screen), room_(static_cast<std::size_t>(std::max(1, screen.columns - 1))) {}

  std::size_t room() const { return room_; }

  /// Not wider than `width`.
  std::string fit(std::string_view text, std::size_t width) const {
    if (screen_.utf8) return elide_middle(sanitize(text), width);
    std::string fits = elide_middle(ascii(sanitize(text)), width);
    if (const std::size_t cut = fits.find(kCut); cut != std::string::npos)
      fits.replace(cut, kCut.size(), "~");
    return fits;
  }
  std::string left(std::string_view text, std::size_t width) const {
    const std::string fits = fit(text, width);
    return fits + std::string(width - std::min(width, display_width(fits)), ' ');
  }
  std::string right(std::string_view text, std::size_t width) const {
    const std::string fits = fit(text, width);
    return std::string(width - std::min(width, display_width(fits)), ' ') + fits;
  }
  std::string ink(Style ink, const std::string& text) const {
    if (!screen_.colour || ink == Style::plain || text.empty()) return text;
    constexpr std::string_view codes[] = {"0", "32", "33", "2"};
    return fmt::format("\x1b[{}m{}\x1b[0m", codes[static_cast<std::size_t>(ink)], text);
  }
  std::string bar(std::int64_t done, std::int64_t bytes, std::size_t width) const {
    const double part =
        bytes <= 0 ? 1.0
                   : std::clamp(static_cast<double>(done) / static_cast<double>(bytes), 0.0, 1.0);
    const std::size_t cells = screen_.utf8 ? width : width - 2;
    const auto halves = static_cast<std::size_t>(part * static_cast<double>(2 * cells));
    const std::size_t full = halves / 2;
    if (!screen_.utf8)
      return "[" + ink(Style::green, std::string(full, '#')) +
             ink(Style::dim, std::string(cells - full, '.')) + "]";
    const std::size_t half = halves % 2;
    return ink(Style::green, repeated("━", full) + repeated("╸", half)) +
           ink(Style::dim, repeated("─", cells - full - half));
  }

 private:
  static std::string repeated(std::string_view what, std::size_t times) {
    std::string text;
    while (times-- > 0) text += what;
    return text;
  }

  const Screen& screen_;
  std::size_t room_;
};

/// What there is room for, the most telling first; the name and then the bar get what is left.
Columns columns_for(const ProgressSnapshot& progress, std::size_t room) {
  std::size_t name = kTotal.size();
  std::size_t size = format_bytes(progress.bytes).size();
  for (const ModelProgress& model : progress.models) {
    name = std::max(name, display_width(sanitize(model.name)));
    size = std::max(size, format_bytes(model.bytes).size());
  }
  Columns columns;
  std::size_t rest = room - std::min(room, kGap + kPercent);
  const auto admit = [&](std::size_t& column, std::size_t width, std::size_t name_needs) {
    if (rest < width + kGap + std::min(name, name_needs)) return false;
    column = width;
    rest -= width + kGap;
    return true;
  };
  const bool has_state = progress.models.empty() || admit(columns.state, kState, 10);
  const bool is_wide = has_state && admit(columns.rate, kRate, 14) &&
                       admit(columns.bar, kBar, 16) && admit(columns.size, size, 16);
  columns.name = std::min(name, rest);
  rest -= columns.name;
  if (is_wide && rest > size + kBar + 4) {  // `  58.2 of   91.6 MB`
    columns.done = size - 3;
    rest -= size + 1;
  }
  if (columns.bar > 0) columns.bar = std::min(kWidestBar, columns.bar + rest);
  return columns;
}

std::string line(const Row& cells, const Columns& columns, const LineRenderer& painter) {
  if (columns.name == 0)
    return painter.fit(fmt::format("{}%", percent(cells.done, cells.bytes)), painter.room());
  const std::string gap(kGap, ' ');
  std::string text = painter.left(cells.name, columns.name);
  if (columns.bar > 0) text += gap + painter.bar(cells.done, cells.bytes, columns.bar);
  text += fmt::format("{}{:3}%", columns.bar > 0 ? " " : gap, percent(cells.done, cells.bytes));
  if (columns.done > 0)
    text += gap + painter.right(format_part_of(cells.bytes, cells.done), columns.done) + " of";
  if (columns.size > 0)
    text += (columns.done > 0 ? " " : gap) + painter.right(format_bytes(cells.bytes), columns.size);
  if (columns.rate > 0) text += gap + painter.right(cells.rate, columns.rate);
  if (columns.state > 0)
    text += gap + painter.ink(cells.ink, painter.fit(cells.state, columns.state));
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

std::string rate_text(double rate) { return format_bytes(static_cast<std::int64_t>(rate)) + "/s"; }

/// In one unit: it stands in a column.
std::string pause_text(Duration pause) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(pause).count();
  if (seconds < 100) return fmt::format("{} s", seconds);
  return fmt::format("{} min", (seconds + 59) / 60);
}

Row cells_of(const ModelProgress& model) {
  Row cells{.name = model.name, .done = model.done, .bytes = model.bytes, .rate = {}, .state = {}};
  switch (model.activity) {
    case Activity::waiting: cells.state = "waiting"; break;
    case Activity::elsewhere: cells.state = "waiting for a lock"; break;
    case Activity::verifying: cells.state = "verifying"; break;
    case Activity::fetching:
      cells.state = "fetching";
      cells.rate = rate_text(model.rate);
      break;
    case Activity::paused:
      cells.ink = Style::yellow;
      cells.state = model.retries > 0
                        ? fmt::format("retry {} in {}", model.retries, pause_text(model.pause))
                        : fmt::format("told to wait {}", pause_text(model.pause));
      return cells;
  }
  if (model.activity == Activity::waiting || model.activity == Activity::elsewhere)
    cells.ink = Style::dim;
  if (model.retries > 0) cells.state += ", " + format_retries(model.retries);
  return cells;
}

Row cells_of_total(const ProgressSnapshot& progress) {
  Row cells{.name = std::string(kTotal),
            .done = progress.done,
            .bytes = progress.bytes,
            .rate = rate_text(progress.rate),
            .state = {}};
  if (!progress.models.empty())
    cells.state = fmt::format("{} of {} ready", progress.models_ready, progress.models.size());
  return cells;
}

/// Where there is no room for all, the time left stays.
std::string words(const ProgressSnapshot& progress, std::size_t room) {
  std::vector<std::string> parts;
  const int width = static_cast<int>(fmt::formatted_size("{}", progress.files));
  parts.push_back(fmt::format("{:{}} of {} files", progress.files_done, width, progress.files));
  if (progress.retries > 0) parts.push_back(format_retries(progress.retries));
  if (progress.models_failed > 0) parts.push_back(fmt::format("{} failed", progress.models_failed));
  parts.push_back(progress.left);
  for (auto first = parts.begin(); first != parts.end(); ++first) {
    std::string text = fmt::format("{}", fmt::join(first, parts.end(), ", "));
    if (text.size() <= room) return text;
  }
  return progress.left;
}

int rank(Activity activity) {
  if (activity == Activity::waiting) return 0;
  return activity == Activity::elsewhere ? 1 : 2;
}

}  // namespace

/// Those at work come before those that wait, and those that have a line keep it if they may.
void ProgressView::choose(const std::vector<ModelProgress>& models, std::size_t room) {
  const auto rank_of = [&](std::size_t index) { return rank(models[index].activity); };
  const auto less = [&](std::size_t a, std::size_t b) { return rank_of(a) < rank_of(b); };
  const auto least = [&] {
    return std::prev(std::min_element(shown_.rbegin(), shown_.rend(), less).base());
  };
  std::erase_if(shown_,
                [&](std::size_t index) { return index >= models.size() || models[index].over; });
  while (shown_.size() > room) shown_.erase(least());
  std::vector<std::size_t> others;
  for (std::size_t i = 0; i < models.size(); ++i)
    if (!models[i].over && std::find(shown_.begin(), shown_.end(), i) == shown_.end())
      others.push_back(i);
  if (shown_.size() + others.size() > room)
    std::stable_sort(others.begin(), others.end(),
                     [&](std::size_t a, std::size_t b) { return less(b, a); });
  for (const std::size_t index : others) {
    if (shown_.size() < room) {
      shown_.push_back(index);
    } else if (!shown_.empty() && less(*least(), index)) {
      *least() = index;
    }
  }
}

std::vector<std::string> ProgressView::lines(const ProgressSnapshot& progress,
                                             const Screen& screen) {
  const auto most = static_cast<std::size_t>(std::max(1, screen.rows - kKept));
  const auto undone = static_cast<std::size_t>(
      std::count_if(progress.models.begin(), progress.models.end(),
                    [](const ModelProgress& model) { return !model.over; }));
  const bool has_total = progress.models.size() != 1;
  const std::size_t below = (has_total ? 1U : 0U) + 1U;
  std::size_t room = std::min(kMostModels, most - std::min(most, below));
  const bool has_more = undone > room && room > 1;
  choose(progress.models, has_more && room == most - below ? room - 1 : room);

  const LineRenderer painter(screen);
  const Columns columns = columns_for(progress, painter.room());
  std::vector<std::string> text;
  for (const std::size_t index : shown_)
    text.push_back(line(cells_of(progress.models[index]), columns, painter));
  if (has_more) {
    const auto waits = [](const ModelProgress& model) {
      return !model.over && model.activity == Activity::waiting;
    };
    const auto shown_waits = std::count_if(shown_.begin(), shown_.end(), [&](std::size_t index) {
      return waits(progress.models[index]);
    });
    const auto waiting =
        std::count_if(progress.models.begin(), progress.models.end(), waits) - shown_waits;
    const std::size_t hidden = undone - shown_.size();
    const bool all_wait = static_cast<std::size_t>(waiting) == hidden;
    const std::string more = fmt::format("{} and {} more{}", screen.utf8 ? "…" : "...", hidden,
                                         all_wait ? " waiting" : "");
    text.push_back(painter.ink(Style::dim, painter.fit(more, painter.room())));
  }
  if (has_total) text.push_back(line(cells_of_total(progress), columns, painter));
  if (text.size() < most)
    text.push_back(painter.fit(words(progress, painter.room()), painter.room()));
  return text;
}

}  // namespace model_prep
