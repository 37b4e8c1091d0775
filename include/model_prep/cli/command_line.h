// SPDX-License-Identifier: Apache-2.0
// Splits the arguments into a command, models and flags, with CLI11.
//
// CLI11 sees every value as text. Values are parsed in options.h, because a bad one is reported
// with the name of its flag or of its variable (flag_values.h), and CLI11 silently drops a variable
// whose value does not pass its validator.
#pragma once

#include <string>
#include <vector>

#include "model_prep/cli/options.h"

namespace model_prep {

/// Sets the command, the models and `print`, and gives `values` the flags of the command: their
/// variables, and what the arguments set. An unknown flag, one that the command does not take, a
/// missing or empty value, a value for a switch and a model before the command are errors of kind
/// usage.
Result<Options> parse_command_line(const Strings& arguments, FlagValues& values);

/// What these ask for, however wrong the rest of them is: in that format the error is logged.
LogFormat detect_log_format(const Strings& arguments, const Environment& environment);

}  // namespace model_prep
