// SPDX-License-Identifier: Apache-2.0
// Reports the end of a run to the CI system or orchestrator, in the way that each of them reads:
//
//   - GitHub Actions: Markdown, appended to the file that GITHUB_STEP_SUMMARY names; under
//     GITHUB_ACTIONS also an `::error` line on stderr for each error;
//   - Kubernetes: one line in /dev/termination-log, the default `terminationMessagePath`. The
//     kubelet mounts that file into the container, writable for any user. Where it does not exist,
//     it is not created.
//
// What cannot be reported is a warning, not a failure. Nothing here waits for a reader.
#pragma once

#include <string>
#include <vector>

#include "model_prep/report/console.h"
#include "model_prep/report/run_report.h"

namespace model_prep {

/// The CI system that runs the program, usage errors included.
struct CiEnvironment {
  std::string step_summary;  ///< a file that GitHub Actions shows; empty: none
  bool annotations{false};   ///< GitHub Actions reads stderr
};

/// Returns the warnings.
Strings notify_environment(const RunReport& report, const CiEnvironment& environment,
                           Console& console);

}  // namespace model_prep
