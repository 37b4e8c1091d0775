// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/console.h"

#include <unistd.h>

#include <fmt/ranges.h>

#include "model_prep/io/streams.h"

namespace model_prep {
namespace {

// Deletes all lines from the cursor's on. `Erase below` would not do: at the top of the screen tmux
// takes it for "clear the screen" and keeps what was there in its history.
constexpr std::string_view kDeleteBelow = "\r\x1b[999M";
constexpr std::string_view kNextLine = "\x1b[K\n";       // erases the rest of the line
constexpr std::string_view kEraseRest = "\x1b[K\x1b[J";  // of the line, and all below
constexpr std::string_view kWrapOff = "\x1b[?7l";
constexpr std::string_view kWrapOn = "\x1b[?7h";

/// If stderr is closed, there is no other place to report it.
void write_stderr(std::string_view text) { static_cast<void>(write_all(STDERR_FILENO, text)); }

}  // namespace

Console::Console(TerminalSettings settings)
    : live_(settings.live && isatty(STDERR_FILENO) == 1), colour_(settings.colour) {}

Screen Console::screen() const {
  Screen screen{.colour = colour_};
  const auto size = terminal_size(STDERR_FILENO);
  if (size) screen.columns = size->columns;
  if (size && size->rows > 0) screen.rows = size->rows;
  return screen;
}

void Console::write_line(std::string_view text) {
  std::string out(drawn_.empty() ? "" : kDeleteBelow);
  out.append(text).append("\n").append(drawn_);
  write_stderr(out);
}

void Console::show_live(const Strings& lines) {
  if (!live_ || (drawn_.empty() && lines.empty())) return;

  std::string drawing;
  if (!lines.empty()) {
    const std::string to_first_line =
        lines.size() > 1 ? fmt::format("\x1b[{}A", lines.size() - 1) : "";
    drawing = fmt::format("{}\r{}{}{}\r{}", kWrapOff, fmt::join(lines, kNextLine), kEraseRest,
                          to_first_line, kWrapOn);
  }

  // Drawing over the old lines does not flicker, but only works as long as the terminal has not
  // rewrapped them.
  const int columns = screen().columns;
  const bool must_delete = drawing.empty() || columns != drawn_columns_;
  drawn_columns_ = columns;
  if (!must_delete && drawing == drawn_) return;

  drawn_ = drawing;
  write_stderr(std::string(must_delete ? kDeleteBelow : "") + drawn_);
}

}  // namespace model_prep
