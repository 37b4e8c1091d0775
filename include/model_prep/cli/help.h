// SPDX-License-Identifier: Apache-2.0
// --help, of the words in flags.h, laid out for a terminal.
#pragma once

#include <optional>
#include <string>

#include "model_prep/cli/flags.h"

namespace model_prep {

/// Of one command, or of the program: then its commands are listed, and the flags of `download`.
/// `columns` is the terminal's width, if there is one; lines are no longer than that, nor than is
/// good to read.
std::string help_text(std::optional<Command> command, std::optional<int> columns);

}  // namespace model_prep
