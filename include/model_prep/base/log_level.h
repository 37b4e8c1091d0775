// SPDX-License-Identifier: Apache-2.0
// How important a line of the log is: the decisions in core/ request lines, report/log.h writes
// them.
#pragma once

#include <cstdint>

#include "model_prep/base/enum_names.h"

namespace model_prep {

enum class LogLevel : std::uint8_t { debug, info, warning, error, off };
template <>
inline constexpr std::string_view kNames<LogLevel>[] = {"debug", "info", "warn", "error", "off"};

}  // namespace model_prep
