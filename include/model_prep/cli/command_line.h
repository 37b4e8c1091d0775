// SPDX-License-Identifier: Apache-2.0
// The command line, by CLI11, which reads all values as text: a bad one must be told with the name
// of where it stands, and that may be a variable (settings.h).
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/cli/flag_values.h"
#include "model_prep/cli/flags.h"

namespace model_prep {

/// Text that was asked for instead of a run: `--help`, `--version`.
struct TextOutput {
  std::string text;
};

/// What is to be done with what; the flags are in the settings.
struct ParsedCommand {
  Command command{Command::download};
  std::vector<std::string> models;
};

Result<std::variant<ParsedCommand, TextOutput>> read_command_line(
    const std::vector<std::string>& arguments, FlagValues& settings);

std::string program_version();

}  // namespace model_prep
