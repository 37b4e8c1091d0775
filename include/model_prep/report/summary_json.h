// SPDX-License-Identifier: Apache-2.0
// The summary of a run and the listing of `list --json`, as JSON.
//
// Members have a fixed order and are only ever added; a golden test holds them, and
// `docs/summary.md` describes them. Bytes that are not UTF-8 become U+FFFD. Each text ends with a
// newline and is safe to print where a CI runner reads. Pure.
#pragma once

#include <string>
#include <vector>

#include "model_prep/report/run_report.h"

namespace model_prep {

std::string serialize_summary(const RunReport& report);

/// Of `list --builds --json`.
std::string builds_text(const std::vector<ModelBuilds>& models);

std::string list_text(const std::vector<ListedModel>& models, const std::string& cache_dir);

}  // namespace model_prep
