// SPDX-License-Identifier: Apache-2.0
// The log on stderr: one line a message, as text or as JSON.
//
// The only module that uses spdlog. Messages may quote servers and manifests: they are sanitized
// here (`sanitize_for_log`), once for all. Used by the loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "model_prep/base/log_level.h"
#include "model_prep/report/console.h"

namespace model_prep {

inline constexpr std::string_view kLogLevelNames[] = {"debug", "info", "warn", "error", "off"};

enum class LogFormat : std::uint8_t { text, json };
inline constexpr std::string_view kLogFormatNames[] = {"text", "json"};

class Log {
 public:
  Log(Console& console, LogLevel level, LogFormat format);
  ~Log();

  /// Whether messages of this level are written: asked before a message that is costly to make.
  bool shows(LogLevel level) const;
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
