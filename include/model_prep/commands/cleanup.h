// SPDX-License-Identifier: Apache-2.0
// The command `cleanup`, and the last step of `download --cleanup`: removes from the repositories
// of the models what the manifest no longer pins. Sends no request.
//
// Each repository is inspected and pruned by io/pruner.h; core/prune_plan.h decides what goes. A
// repository that cannot be pruned does not stop the others. One that another process is filling is
// left alone, which is no error: the next cleanup will prune it.
#pragma once

#include "model_prep/commands/session.h"
#include "model_prep/report/run_report.h"

namespace model_prep {

/// Returns the exit code.
int run_cleanup(Session& session);

/// Prunes the cache, or with --dry-run only finds out what would go, and adds the result to the
/// report. What fails in a repository is logged and reported there; an error means that nothing was
/// tried. A signal ends the work between two removals.
Status prune_cache(Session& session, RunReport& report);

}  // namespace model_prep
