// SPDX-License-Identifier: Apache-2.0
// The command `cleanup`, and the last step of `download --cleanup`: removes from the repositories
// of the models what the manifest no longer pins. Sends no request.
//
// Each repository is inspected and pruned by io/pruner.h; core/prune_plan.h decides what goes. A
// repository that cannot be pruned does not stop the others. One that another process is filling is
// left alone, which is no error: the next cleanup will prune it.
#pragma once

#include <optional>
#include <vector>

#include "model_prep/commands/session.h"
#include "model_prep/report/run_report.h"

namespace model_prep {

/// Returns the exit code.
int run_cleanup(Session& session);

struct PrunedCache {
  std::vector<PrunedRepository> repositories;

  /// The signal that ended the work, between two removals.
  std::optional<int> signal{};
};

/// Prunes the cache, or with --dry-run only says what would go. What fails is logged and in the
/// result of that repository; an error means that nothing was tried.
Result<PrunedCache> prune_cache(Session& session);

void add_to(RunReport& report, const PrunedCache& pruned);

}  // namespace model_prep
