// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/log.h"

#include <chrono>

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <nlohmann/json.hpp>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

/// spdlog has one level below ours. `off` becomes one that no message has.
spdlog::level::level_enum spdlog_level(LogLevel level) {
  return static_cast<spdlog::level::level_enum>(static_cast<int>(level) + 1);
}

class ConsoleSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  ConsoleSink(Console& console, LogFormat format) : console_(console), format_(format) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const std::string time = format_utc(std::chrono::floor<std::chrono::seconds>(message.time));

    // The message may quote a server: it must not steer the terminal or a CI runner, nor forge a
    // line.
    const std::string text = sanitize_for_log({message.payload.data(), message.payload.size()});
    const std::string_view level = kNames<LogLevel>[message.level - 1];

    if (format_ == LogFormat::text)
      return console_.write_line(fmt::format("{} {:<5} {}", time, level, text));
    const nlohmann::ordered_json object = {{"time", time}, {"level", level}, {"message", text}};
    console_.write_line(object.dump());
  }
  void flush_() override {}

 private:
  Console& console_;
  LogFormat format_;
};

}  // namespace

Log::Log(Console& console, LogLevel level, LogFormat format)
    : logger_(std::make_shared<spdlog::logger>("model-prep",
                                               std::make_shared<ConsoleSink>(console, format))) {
  logger_->set_level(spdlog_level(level));
}

bool Log::shows(LogLevel level) const { return logger_->should_log(spdlog_level(level)); }

void Log::write(LogLevel level, std::string_view message) {
  logger_->log(spdlog_level(level), spdlog::string_view_t(message.data(), message.size()));
}

}  // namespace model_prep
