// SPDX-License-Identifier: Apache-2.0
// Checks whether each library will find the models offline.
//
// For each kind of library, this looks where that library would look under the current environment
// (cli/cache_paths.h) and in the way it would: `refs/<ref>` as it is written, then the files of the
// snapshot (docs/developing/hub-protocol.md, section 5.1). Libraries that load only models are not
// checked for other repositories, and are left out if there is nothing else.
//
// A library that looks elsewhere is a warning, not an error. `verify` checks the cache, and the
// environment of an init container is often not that of the services, so only the user can tell
// which of them matter.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model_prep/base/model_spec.h"
#include "model_prep/cli/options.h"
#include "model_prep/io/cache.h"
#include "model_prep/report/log.h"
#include "model_prep/report/run_report.h"

namespace model_prep {

/// `models` are those of the reports whose files are known; no library finds any other.
std::vector<ConsumerReport> check_consumers(const Options& options, const Cache& cache,
                                            std::span<const ResolvedSnapshot* const> models,
                                            std::span<const ModelReport> reports);

/// Warns of each library that looks elsewhere.
void warn_of_consumers(Log& log, const std::vector<ConsumerReport>& consumers);

/// One line for each library.
std::string consumers_table(const std::vector<ConsumerReport>& consumers,
                            std::optional<int> columns);

/// Which libraries load the models that they find (core/consumer_table.h).
/// `reports` say what else the models need.
std::vector<LoadReport> judge_loads(const Options& options, const Cache& cache,
                                    std::span<const ResolvedSnapshot* const> models,
                                    std::span<const ModelReport> reports);

/// One line for each model and library; nothing if there is none.
std::string loads_table(const std::vector<LoadReport>& loads, std::optional<int> columns);

/// Of kind `not_loadable` if a library of `--for` does not load one of the models that are ready.
Status check_asked_consumers(const Options& options, const std::vector<LoadReport>& loads,
                             std::span<const ModelReport> reports);

}  // namespace model_prep
