// SPDX-License-Identifier: Apache-2.0
// stderr: whole lines, and on a terminal the live lines below them.
//
// `Console` owns stderr, so that a log line never lands in the middle of the live lines. It is used
// by the loop thread only.
//
// While live lines are shown, the cursor stays at the beginning of the first one. When the terminal
// is resized, it moves and rewraps the lines and takes the cursor along, so everything that has to
// be erased is below the cursor. (Lines that a resize pushes off the top of the screen are out of
// reach.) Wrapping is switched off while the lines are drawn: a line that is too wide after all is
// cut, and there are as many rows as lines. Nothing else is switched and the cursor stays visible,
// so a process that is killed leaves lines behind, but a sane terminal.
//
// stdout belongs to the commands (`Session::print_result`).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model_prep/base/types.h"

namespace model_prep {

/// What the environment says about the terminal.
struct TerminalSettings {
  bool live{false};    ///< the cursor can be moved: TERM is set and is not `dumb`
  bool colour{false};  ///< NO_COLOR is unset or empty
};

/// The space for the live lines.
struct Screen {
  int columns{80};
  int rows{24};
  bool colour{false};
};

class Console {
 public:
  /// By default for whole lines only.
  explicit Console(TerminalSettings settings = {});
  ~Console() { show_live({}); }
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  /// Whether live lines can be shown: stderr is a terminal, and the settings allow them.
  bool is_live() const { return live_; }
  /// The terminal's size at this moment.
  Screen screen() const;
  /// Writes a line above the live lines.
  void write_line(std::string_view text);
  /// Replaces the live lines, none of which may be empty. Does nothing unless `is_live`.
  void show_live(const Strings& lines);

 private:
  bool live_;
  bool colour_;
  std::string drawn_;     ///< the live lines as they were written, with control sequences
  int drawn_columns_{0};  ///< the terminal's width at that time
};

}  // namespace model_prep
