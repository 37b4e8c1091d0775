// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/outcome_log.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr Bytes kLargeFile = 1'000'000;  // smaller ones are logged at debug level

/// ` from FOLDER`, if it was copied.
std::string copied_from(const FetchJob& job, const FileOutcome& outcome) {
  const bool is_folder =
      !outcome.source.empty() &&
      std::ranges::find(job.nearby, outcome.source, &NearbyFile::folder) != job.nearby.end();
  return is_folder ? ", copied from " + outcome.source : "";
}

}  // namespace

std::string object_of(const FetchJob& job) { return job.repo.text() + " " + job.file.path.text(); }

void OutcomeLog::write(const FetchJob& job, const FileOutcome& outcome) {
  if (outcome.status == FileStatus::failed) return write_failure(job, *outcome.error);
  if (outcome.status == FileStatus::cancelled) return;

  const LogLevel level = job.file.size >= kLargeFile ? LogLevel::info : LogLevel::debug;
  if (!session_.log.shows(level)) return;  // there may be ten thousand of these

  session_.log.write(level,
                     fmt::format("{}: verified {} {}, {} {}", object_of(job),
                                 job.file.blob.kind() == DigestKind::sha256 ? "sha256" : "git sha1",
                                 job.file.blob.hex().substr(0, 12), format_bytes(job.file.size),
                                 outcome.status == FileStatus::reused
                                     ? "already in the cache"
                                     : fmt::format("in {:.1f} s{}", in_seconds(outcome.took),
                                                   copied_from(job, outcome))));
}

/// The first failed file of a model is logged as an error. The others most often fail for the
/// same reason, and are in the summary.
void OutcomeLog::write_failure(const FetchJob& job, const Error& error) {
  bool first = false;
  for (const std::size_t model : job.models) first = reported_models_.insert(model).second || first;

  if (first) session_.log_error(error);
}

}  // namespace model_prep
