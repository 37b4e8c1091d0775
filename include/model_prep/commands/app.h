// SPDX-License-Identifier: Apache-2.0
// One run of the program, from its options to its exit code. Each command has a module of its own.
#pragma once

#include <ostream>

#include "model_prep/cli/options.h"
#include "model_prep/io/posix.h"

namespace model_prep {

/// Runs the command and returns the exit code. `out` gets what was asked for as data (a table,
/// `--summary -`); the log goes to stderr. `signals` must have been made before any thread.
int run(const Options& options, const SignalFd& signals, std::ostream& out);

}  // namespace model_prep
