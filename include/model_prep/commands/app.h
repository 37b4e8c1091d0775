// SPDX-License-Identifier: Apache-2.0
// One run, from options to exit code: each command has its module.
#pragma once

#include "model_prep/cli/options.h"
#include "model_prep/io/posix.h"
#include "model_prep/report/console.h"

namespace model_prep {

/// Does what the options ask for and returns the exit code. Results (a dry run's table,
/// `--summary -`) go to `output`, the log to stderr. `signals` must be made before any thread.
int run(const Options& options, const SignalFd& signals, const Output& output);

}  // namespace model_prep
