// SPDX-License-Identifier: Apache-2.0
// One run of the program, from its options to its exit code. Each command has a module of its own.
#pragma once

#include "model_prep/cli/options.h"
#include "model_prep/io/posix.h"
#include "model_prep/report/console.h"

namespace model_prep {

/// Runs the command and returns the exit code. `output` gets what was asked for as data (a table,
/// `--summary -`); the log goes to stderr. `signals` must have been made before any thread.
int run(const Options& options, const SignalFd& signals, const Output& output);

}  // namespace model_prep
