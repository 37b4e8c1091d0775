// SPDX-License-Identifier: Apache-2.0
// Tells the machine that runs the program how it ended, in the ways that this machine has:
//
//   - GitHub Actions: a part of the step's summary, appended to the file that GITHUB_STEP_SUMMARY
//   names; and under
//     GITHUB_ACTIONS an `::error` line on stderr for each error;
//   - Kubernetes: one line in /dev/termination-log, the default of `terminationMessagePath`. The
//   kubelet lays that file
//     into the container, writable for any user; where it is not, nothing is made.
//
// Who cannot be told is a reason to warn, not to fail. Nothing here waits for a reader.
#pragma once

#include <string>
#include <vector>

#include "model_prep/cli/options.h"
#include "model_prep/report/log.h"
#include "model_prep/report/run_report.h"

namespace model_prep {

/// Gives the warnings.
std::vector<std::string> notify_environment(const RunReport& report, const CiEnvironment& audience,
                                            Console& console);

}  // namespace model_prep
