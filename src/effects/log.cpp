// SPDX-License-Identifier: Apache-2.0
#include "model_prep/effects/log.h"

#include <algorithm>
#include <cstdlib>

#include <unistd.h>

#include <fmt/chrono.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <nlohmann/json.hpp>

#include "model_prep/effects/posix.h"
#include "model_prep/values/text.h"

namespace model_prep {
namespace {

constexpr int kUsualColumns = 80;
constexpr std::string_view kEraseLine = "\r\x1b[K";

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
    const std::string time =
        fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(message.time)));
    // A server's words may be in it: they shall not steer the terminal or a CI runner, nor forge a line.
    const std::string text = loggable({message.payload.data(), message.payload.size()});
    if (format_ == LogFormat::text)
      return console_.line(fmt::format("{} {:<5} {}", time, level_name(message.level), text));
    const nlohmann::ordered_json object = {{"time", time}, {"level", level_name(message.level)}, {"message", text}};
    console_.line(object.dump());
  }
  void flush_() override {}

 private:
  Console& console_;
  LogFormat format_;
};

}  // namespace

Console::Console() : terminal_(isatty(STDERR_FILENO) == 1) {
  const char* term = std::getenv("TERM");
  terminal_ = terminal_ && term != nullptr && std::string_view(term) != "dumb";
}

int Console::columns() const { return terminal_columns(STDERR_FILENO).value_or(kUsualColumns); }

void Console::line(std::string_view text) {
  std::string out(live_.empty() ? "" : kEraseLine);
  out.append(text).append("\n").append(live_);
  write_stderr(out);
}

void Console::live(std::string_view text) {
  if (!terminal_ || (live_.empty() && text.empty())) return;
  live_ = text;
  write_stderr(std::string(kEraseLine) + live_);
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
