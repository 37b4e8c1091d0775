// SPDX-License-Identifier: Apache-2.0
// The result of a run as text: the last lines of the log, GitHub's step summary and annotations,
// Kubernetes' termination message.
//
// Keys and messages may quote a server or a manifest. They are escaped: none of them can end a
// line, start a runner's command, leave its table cell, or become Markdown or HTML. A usage error
// is a report with an error and without models. An error of the whole run is reported once, not
// again for each model that it stopped. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model_prep/report/run_report.h"

namespace model_prep {

/// `2 of 3 models ready, 45.5 MB fetched, 64 requests, 1 retry, 2.9 s`.
std::string result_line(const RunReport& report);

struct RunContext {
  std::optional<Bytes> free;  ///< bytes, on the cache's volume
  std::string summary;        ///< the file it was written to; empty: none
};
struct SummaryLine {
  bool is_error;
  std::string text;
};
/// The last lines of the log, `result_line` at the end. After a download they also list, in at most
/// five lines in all, the models that are ready and those that are not, the cache, the environment
/// that services need (if all models are ready), and the summary. Empty after a dry run without
/// errors, whose table is enough.
std::vector<SummaryLine> closing_lines(const RunReport& report, const RunContext& context);

/// `HF_HOME=/app/models HF_HUB_OFFLINE=1`: with it, services find this cache and make no requests.
/// Quoted for a shell.
std::string services_environment(const std::string& cache_dir);

/// Markdown to append to the file that GITHUB_STEP_SUMMARY names: a table of the models, the result
/// line, and the errors with their hints, those of a cleanup too.
std::string step_summary(const RunReport& report);

/// `::error title=…::…`, a command of GitHub Actions for each error, without a newline.
Strings annotations(const RunReport& report);

/// The result line and the first error with its hint, in at most 4096 bytes: Kubernetes keeps no
/// more. One line without its end, because `kubectl describe` would print an empty one.
std::string termination_message(const RunReport& report);

}  // namespace model_prep
