// SPDX-License-Identifier: Apache-2.0
// One model on its way through a run, and what it came to.
//
// The session fills it; the functions here only read it. No I/O.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "model_prep/base/clock.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/core/fetch_plan.h"
#include "model_prep/report/progress_tracker.h"
#include "model_prep/report/run_report.h"

namespace model_prep {

struct ModelRun {
  ModelSpec spec;
  TimePoint begun;
  std::optional<ResolvedSnapshot> snapshot{};
  SnapshotView view{};
  std::optional<Error> error{};
  std::set<Digest> pending{};                ///< blobs that have no outcome yet
  std::map<Digest, FileOutcome> outcomes{};  ///< of this run
  bool published{false};
  bool lost{false};  ///< somebody removed a part of it before it was published
  int lost_times{0};
  Duration took{};
};

enum class Purpose : std::uint8_t { download, dry_run };

/// The models that go on to be fetched: those that are neither ready nor failed.
std::vector<PlannedModel> models_to_fetch(const std::vector<ModelRun>& models);
/// The plan, for those who watch: files by the index of their job, models by theirs.
ProgressPlan progress_plan_of(const std::vector<ModelRun>& models, const FetchPlan& plan);
/// The sha256 of each blob of the snapshot that was verified, now or in an earlier run.
std::map<Digest, Digest> verified_sha256(const ModelRun& model);
/// `snapshot` is the folder, empty if there is none.
ModelReport report_of(const ModelRun& model, Purpose purpose, const std::string& snapshot);

/// Where a dry run's models would go, and how wide its table may be.
struct DryRunTarget {
  std::string folder;
  std::optional<std::int64_t> free;  ///< bytes, if known
  std::optional<int> columns;        ///< of a terminal
};
/// What a dry run prints: the models, what is to be fetched of each, and what is free when it is
/// there.
std::string plan_table(const std::vector<ModelRun>& models, const DryRunTarget& place);

}  // namespace model_prep
