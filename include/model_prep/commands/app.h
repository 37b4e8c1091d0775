// SPDX-License-Identifier: Apache-2.0
// One run, from options to exit code: each command has its module.
#pragma once

#include <ostream>

#include "model_prep/cli/options.h"
#include "model_prep/io/posix.h"

namespace model_prep {

/// Does what the options ask for and gives the exit code. `out` gets the data that was asked for (a
/// dry run's table,
/// `--summary -`); the log goes to stderr. `signals` must have been made before any thread.
int run(const Options& options, const SignalFd& signals, std::ostream& out);

}  // namespace model_prep
