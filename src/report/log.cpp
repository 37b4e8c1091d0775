// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/log.h"

#include <algorithm>
#include <cstdlib>

#include <unistd.h>

#include <fmt/chrono.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <nlohmann/json.hpp>

#include "model_prep/base/text.h"
#include "model_prep/io/posix.h"

namespace model_prep {
namespace {

constexpr TerminalSize kUsualSize = {80, 24};
// Deletes all lines from here. Not by `erase below`, which tmux takes at the top of its screen for
// «clear the screen», and keeps in its history what was there.
constexpr std::string_view kDelete = "\r\x1b[999M";
constexpr std::string_view kEraseRest = "\x1b[K";  // of a line
constexpr std::string_view kNoWrap = "\x1b[?7l";
constexpr std::string_view kWrap = "\x1b[?7h";

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// By the first of these that is set, as setlocale does: `de_DE.UTF-8`, `C.utf8`.
bool is_utf8_locale() {
  std::string locale;
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"})
    if (locale.empty()) locale = variable(name);
  for (char& c : locale) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return locale.ends_with(".utf-8") || locale.ends_with(".utf8") ||
         locale.find(".utf-8@") != std::string::npos || locale.find(".utf8@") != std::string::npos;
}

void write_stderr(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(STDERR_FILENO, text.data(), text.size());
    if (count <= 0) return;  // nobody listens, and there is nowhere else to say so
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return spdlog::level::debug;
    case LogLevel::info: return spdlog::level::info;
    case LogLevel::warning: return spdlog::level::warn;
    case LogLevel::error: return spdlog::level::err;
    case LogLevel::off: return spdlog::level::off;
  }
  return spdlog::level::info;
}

std::string_view level_name(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::debug: return "debug";
    case spdlog::level::warn: return "warn";
    case spdlog::level::err: return "error";
    default: return "info";
  }
}

class ConsoleSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  ConsoleSink(Console& console, LogFormat format) : console_(console), format_(format) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const std::string time = fmt::format(
        "{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(message.time)));
    // A server's words may be in it: they shall not steer the terminal or a CI runner, nor forge a
    // line.
    const std::string text = sanitize_for_log({message.payload.data(), message.payload.size()});
    if (format_ == LogFormat::text)
      return console_.line(fmt::format("{} {:<5} {}", time, level_name(message.level), text));
    const nlohmann::ordered_json object = {
        {"time", time}, {"level", level_name(message.level)}, {"message", text}};
    console_.line(object.dump());
  }
  void flush_() override {}

 private:
  Console& console_;
  LogFormat format_;
};

}  // namespace

Console::Console()
    : terminal_(isatty(STDERR_FILENO) == 1 && !variable("TERM").empty() &&
                variable("TERM") != "dumb"),
      utf8_(is_utf8_locale()),
      colour_(variable("NO_COLOR").empty()) {}

Screen Console::screen() const {
  const TerminalSize size = terminal_size(STDERR_FILENO).value_or(kUsualSize);
  return {.columns = size.columns,
          .rows = size.rows > 0 ? size.rows : kUsualSize.rows,
          .utf8 = utf8_,
          .colour = colour_};
}

void Console::line(std::string_view text) {
  std::string out(live_.empty() ? "" : kDelete);
  out.append(text).append("\n").append(live_);
  write_stderr(out);
}

void Console::live(const std::vector<std::string>& lines) {
  if (!terminal_ || (live_.empty() && lines.empty())) return;
  const int columns = screen().columns;
  std::string drawn;
  if (!lines.empty()) {
    drawn = fmt::format("{}\r{}{}\x1b[J", kNoWrap, fmt::join(lines, std::string(kEraseRest) + "\n"),
                        kEraseRest);
    if (lines.size() > 1) drawn += fmt::format("\x1b[{}A", lines.size() - 1);
    drawn.append("\r").append(kWrap);
  }
  // Lines are drawn over the old ones, which does not flicker; but what the terminal has broken is
  // erased first.
  const bool erase = drawn.empty() || columns != drawn_columns_;
  drawn_columns_ = columns;
  if (!erase && drawn == live_) return;
  live_ = drawn;
  write_stderr(std::string(erase ? kDelete : "") + live_);
}

struct Log::Backend {
  spdlog::logger logger;
};

Log::Log(Console& console, LogLevel level, LogFormat format)
    : backend_(std::make_unique<Backend>(
          Backend{spdlog::logger("model-prep", std::make_shared<ConsoleSink>(console, format))})) {
  backend_->logger.set_level(spdlog_level(level));
}

Log::~Log() = default;

void Log::write(LogLevel level, std::string_view message) {
  backend_->logger.log(spdlog_level(level), spdlog::string_view_t(message.data(), message.size()));
}

}  // namespace model_prep
