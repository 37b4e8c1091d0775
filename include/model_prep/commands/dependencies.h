// SPDX-License-Identifier: Apache-2.0
// What else the models of a run need (core/dependencies.h): reads it from their files, looks
// whether the cache has it, and does what `--dependencies` says.
//
// A dependency is in the cache if a library finds it offline under the revision that it asks for,
// with every file that this program would fetch of it. Where the files of a commit are not known,
// because a library filled the cache, those have to do without which the dependency is of no use.
// What a dependency in the cache needs, its model needs too.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "model_prep/commands/fetcher.h"
#include "model_prep/core/dependencies.h"
#include "model_prep/report/run_report.h"

namespace model_prep {

/// The dependencies of each snapshot. Without a fetcher only files in the cache are read; with one,
/// the others are requested, verified, and held in memory, but those of a locked model only if
/// `mode` depends on them. An error names the snapshot's repository.
std::vector<Result<std::vector<Dependency>>> read_dependencies(
    std::span<const ResolvedSnapshot* const> snapshots, Cache& cache, Fetcher* fetcher,
    DependencyMode mode);

/// How many times what was fetched is asked what it needs in turn.
inline constexpr int kMaxDependencyDepth = 8;

/// As models: the dependencies that are no models of the run yet. One that the manifest does not
/// pin and that is in `cache`, if that is given, is taken at the commit that is there.
std::vector<ModelSpec> unselected_dependencies(std::span<const ModelReport> models,
                                               const Manifest& manifest, const Cache* cache);

/// Whether models of the run count as in the cache, because nothing is written.
enum class Selected : std::uint8_t { must_be_there, count };

/// Warns of each dependency that is missing, or if `mode` demands it, logs an error and fails its
/// model.
void judge_dependencies(Session& session, std::span<ModelReport> models, DependencyMode mode,
                        Selected selected);

/// After a download, does what `--dependencies` says. `fetch` calls `download` for what the models
/// need, then for what that needs, and adds the results to the report.
void settle_dependencies(Session& session, RunReport& report,
                         const std::function<RunReport(std::vector<ModelSpec>)>& download);

}  // namespace model_prep
