// SPDX-License-Identifier: Apache-2.0
// stderr: the log's lines, and the one live line below them.
//
// `Console` owns stderr, so that a log line never lands in the middle of the progress bar. `Log` owns spdlog. Both are
// used by the loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace model_prep {

class Console {
 public:
  Console();
  bool is_terminal() const { return terminal_; }
  int columns() const;
  /// A whole line, above the live one.
  void line(std::string_view text);
  /// Replaces the live line; on a terminal only.
  void live(std::string_view text);

 private:
  bool terminal_;
  std::string live_;
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
