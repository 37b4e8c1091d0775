// SPDX-License-Identifier: Apache-2.0
// The text of --help, for people and for help2man, from the list in flags.h.
//
// It is not CLI11's: that one does not wrap, differs from version to version, and knows neither a
// command's own flags among those of the program nor several variables for a flag.
#pragma once

#include <optional>
#include <string>

#include "model_prep/cli/flags.h"

namespace model_prep {

/// The help of one command; without one, that of the program: its commands, and the flags of
/// `download`. `columns` is the width of the terminal, nothing if stdout is not one. Lines are not
/// wider than that, except that they are given at least 40 columns and at most 100.
std::string help_text(std::optional<Command> command, std::optional<int> columns);

}  // namespace model_prep
