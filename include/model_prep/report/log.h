// SPDX-License-Identifier: Apache-2.0
// stderr: the log's lines, and the live lines below them.
//
// `Console` owns stderr, so that a log line never lands in the middle of the live ones. `Log` owns
// spdlog. Both are used by the loop thread only.
//
// While there are live lines the cursor stands at the beginning of the first: wherever a resized
// terminal moves them, and in however many rows it breaks them, it takes the cursor along, and all
// that was ours is below it. (What it pushes off its top meanwhile nobody can take back.) While
// they are drawn the terminal does not wrap: a line that is too wide for it, since it was resized
// this instant or counts a character otherwise than we do, is cut, and the rows are as many as the
// lines. The cursor is not hidden, and nothing else is switched: a process that is killed leaves
// lines behind, and no strange terminal.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model_prep/report/progress_view.h"

namespace model_prep {

class Console {
 public:
  Console();
  ~Console() { live({}); }
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  /// One that can move its cursor: TERM is set, and not `dumb`.
  bool is_terminal() const { return terminal_; }
  /// As it is now; the locale says whether it shows UTF-8, NO_COLOR whether it is to have colours.
  Screen screen() const;
  /// A whole line, above the live ones.
  void line(std::string_view text);
  /// Replaces the live lines, none of which is empty; on a terminal only.
  void live(const std::vector<std::string>& lines);

 private:
  bool terminal_;
  bool utf8_;
  bool colour_;
  std::string live_;      // as it is drawn
  int drawn_columns_{0};  // of the terminal then
};

enum class LogLevel : std::uint8_t { debug, info, warning, error, off };
enum class LogFormat : std::uint8_t { text, json };

class Log {
 public:
  Log(Console& console, LogLevel level, LogFormat format);
  ~Log();
  void debug(std::string_view message) { write(LogLevel::debug, message); }
  void info(std::string_view message) { write(LogLevel::info, message); }
  void warning(std::string_view message) { write(LogLevel::warning, message); }
  void error(std::string_view message) { write(LogLevel::error, message); }
  void write(LogLevel level, std::string_view message);

 private:
  struct Backend;
  std::unique_ptr<Backend> backend_;
};

}  // namespace model_prep
