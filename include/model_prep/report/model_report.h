// SPDX-License-Identifier: Apache-2.0
// A model's part of the run, as the summary, the live progress and a dry run show it. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model_prep/core/model_run.h"
#include "model_prep/report/progress_tracker.h"
#include "model_prep/report/run_report.h"

namespace model_prep {

/// `snapshot` is the path of the snapshot's directory; it is used only if the files are known.
ModelReport make_model_report(const ModelRun& model, const std::string& snapshot,
                              bool dry_run = false);

/// What the progress display needs. Files have the index of their job in the plan, models that of
/// the run.
ProgressPlan make_progress_plan(const std::vector<ModelRun>& models, const FetchPlan& plan);

/// What a run is about to do, a line each.
Strings plan_lines(const FetchPlan& plan, const std::string& cache_dir);

/// Adds the nearby files to the jobs of a plan.
using AddNearby = std::function<void(FetchPlan& plan)>;

/// What a dry run prints: a table of the models, the files to fetch into `cache_dir`, and what is
/// left of the `free` bytes there. `columns` is the width of the terminal, if there is one.
std::string dry_run_text(
    const std::vector<ModelRun>& models, const std::string& cache_dir, std::optional<Bytes> free,
    std::optional<int> columns, const AddNearby& add_nearby = [](FetchPlan&) {});

}  // namespace model_prep
