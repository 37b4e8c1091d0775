// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/log.h"

#include <ctime>

#include <fmt/chrono.h>
#include <nlohmann/json.hpp>

#include "model_prep/base/enum_names.h"
#include "model_prep/base/text.h"

namespace model_prep {

std::string utc_timestamp() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

void Log::write(LogLevel level, std::string_view message) {
  if (level < level_) return;

  // The message may quote a server: it must not steer the terminal or a CI runner, nor forge a
  // line.
  const std::string text = sanitize_for_log(message);
  const std::string time = utc_timestamp();
  const std::string_view name = name_of<LogLevel::off>(kLogLevelNames, level);
  if (format_ == LogFormat::text)
    return console_.write_line(fmt::format("{} {:<5} {}", time, name, text));

  const nlohmann::ordered_json object = {{"time", time}, {"level", name}, {"message", text}};
  console_.write_line(object.dump());
}

}  // namespace model_prep
