// SPDX-License-Identifier: Apache-2.0
// How important a line of the log is: the decisions in core/ request lines, report/log.h writes
// them.
#pragma once

#include <cstdint>

namespace model_prep {

enum class LogLevel : std::uint8_t { debug, info, warning, error, off };

}  // namespace model_prep
