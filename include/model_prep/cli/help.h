// SPDX-License-Identifier: Apache-2.0
// --help and the manual page: one text, of the words in vocabulary.h, laid out for a terminal or as
// roff (man(7)).
#pragma once

#include <optional>
#include <string>

#include "model_prep/cli/flags.h"

namespace model_prep {

/// Of one command, or of the program: then its commands are listed, and the flags of `download`.
/// `columns` is the terminal's width, if there is one; lines are no longer than that, nor than is
/// good to read.
std::string help_text(std::optional<Command> command, std::optional<int> columns);

/// For man(1): all commands and all flags.
std::string manual_page(const std::string& version);

}  // namespace model_prep
