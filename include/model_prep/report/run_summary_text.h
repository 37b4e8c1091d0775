// SPDX-License-Identifier: Apache-2.0
// What the run came to, in the words of those who watch it: a person at the log's end, GitHub
// Actions, Kubernetes.
//
// Keys and messages hold words of others: a server's, a manifest's. None of them can end a line,
// start a command of the runner, leave a cell of the table, or be Markdown or HTML. A run that did
// not get past its command line is a report with an error and no models. An error of the whole run
// is told once, not again for each model that it kept back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model_prep/report/run_report.h"

namespace model_prep {

/// `2 of 3 models ready, 45.5 MB fetched, 64 requests, 1 retry, 2.9 s`.
std::string result_line(const RunReport& report);

/// What a person wants to know at the log's end, the outcome line last; after a download at most
/// five lines: which models are ready, which are not, what the cache holds of them, what services
/// need in their environment (if all are ready), and where the summary is. Nothing after a dry run
/// that went well: its table has said it.
struct RunContext {
  std::optional<std::int64_t> free;  ///< bytes, on the cache's volume
  std::string summary;               ///< where it was written; empty: nowhere that lasts
};
struct SummaryLine {
  bool is_error;
  std::string text;
};
std::vector<SummaryLine> closing_lines(const RunReport& report, const RunContext& around);

/// `HF_HOME=/app/models HF_HUB_OFFLINE=1`: by which services find this cache, and ask nobody. As a
/// shell reads it.
std::string services_environment(const std::string& cache_dir);

/// Markdown to append to the file that GITHUB_STEP_SUMMARY names, whatever stands before it there:
/// a table of the models, the outcome line, the errors with their hints.
std::string step_summary(const RunReport& report);

/// `::error title=…::…`, a command of GitHub Actions for each error, without line ends.
std::vector<std::string> annotations(const RunReport& report);

/// One line with its end, at most 4096 bytes, which is all that Kubernetes keeps: the outcome line
/// and the first error with its hint.
std::string termination_message(const RunReport& report);

}  // namespace model_prep
