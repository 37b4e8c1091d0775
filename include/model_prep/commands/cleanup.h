// SPDX-License-Identifier: Apache-2.0
// The command `cleanup`, and what `download --cleanup` does in the end: over the repositories of
// the models, looks
// (`io/pruner.h`), decides (`core/prune_plan.h`) and removes. Asks nobody.
//
// One repository that cannot be cleaned does not stop the others. One that is left alone because
// somebody is filling it is no failure: the next run, or the filler's own `--cleanup`, will do it.
#pragma once

#include <vector>

#include "model_prep/commands/session.h"
#include "model_prep/report/run_report.h"

namespace model_prep {

int run_cleanup(Session& session);

/// All that goes wrong is in the result, and has been told. A signal ends it between two removals.
struct PrunedCache {
  std::vector<PrunedRepository> repositories;
  std::optional<int> signal{};
};
Result<PrunedCache> prune_cache(Session& session);
void add_to(RunReport& report, const PrunedCache& cleaned);

}  // namespace model_prep
