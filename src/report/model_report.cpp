// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/model_report.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/report/table.h"

namespace model_prep {
namespace {

ModelStatus status_of(const ModelRun& model, Purpose purpose) {
  if (model.error)
    return model.error->kind == ErrorKind::interrupted ? ModelStatus::interrupted
                                                       : ModelStatus::failed;
  if (purpose == Purpose::dry_run && model.snapshot) return ModelStatus::planned;
  if (!model.published) return ModelStatus::failed;

  const bool fetched =
      std::any_of(model.outcomes.begin(), model.outcomes.end(),
                  [](const auto& entry) { return entry.second.status == FileStatus::fetched; });
  return fetched ? ModelStatus::downloaded : ModelStatus::cached;
}

FileReportStatus file_status(const FileOutcome* outcome, const FileView& view, Purpose purpose) {
  if (outcome == nullptr) {
    if (view.state == BlobState::trusted) return FileReportStatus::cached;
    return purpose == Purpose::dry_run ? FileReportStatus::planned : FileReportStatus::skipped;
  }

  // In the order of FileStatus: reused, fetched, failed, cancelled.
  constexpr FileReportStatus kReported[] = {FileReportStatus::cached, FileReportStatus::downloaded,
                                            FileReportStatus::failed, FileReportStatus::skipped};
  return kReported[static_cast<std::size_t>(outcome->status)];
}

void add_file(ModelReport& report, const RemoteFile& file, const FileView& view,
              const FileOutcome* known, bool count_bytes, Purpose purpose) {
  const FileOutcome outcome = known == nullptr ? FileOutcome{} : *known;
  FileReport entry{.path = file.path.text(),
                   .size = file.size,
                   .status = file_status(known, view, purpose),
                   .attempts = outcome.attempts,
                   .duration_s = in_seconds(outcome.took),
                   .error = outcome.error};
  if (const auto& sha256 = view.sha256 ? view.sha256 : outcome.sha256) entry.sha256 = sha256->hex();
  if (file.blob.kind() == DigestKind::git_sha1) entry.git_sha1 = file.blob.hex();

  if (count_bytes) {
    report.bytes += file.size;
    report.bytes_downloaded += outcome.bytes_fetched;

    // A file that was fetched more than once cost more bytes than it has.
    if (entry.status == FileReportStatus::cached || entry.status == FileReportStatus::downloaded)
      report.bytes_reused += std::max<std::int64_t>(0, file.size - outcome.bytes_fetched);
  }
  report.files.push_back(std::move(entry));
}

std::string job_line(const FetchJob& job) {
  std::string_view note;
  if (job.check_existing)
    note = "  (in the cache, to be verified)";
  else if (job.staged > 0)
    note = "  (partly downloaded)";
  return fmt::format("  {:>10}  {}{}\n", format_bytes(job.file.size),
                     sanitize_for_log(job.file.path.text()), note);
}

}  // namespace

ModelReport make_model_report(const ModelRun& model, Purpose purpose, const std::string& snapshot) {
  ModelReport report{.key = model.spec.key,
                     .status = status_of(model, purpose),
                     .repo = model.spec.repo.text(),
                     .revision = model.spec.revision.text(),
                     .commit = model.snapshot ? model.snapshot->commit.hex() : "",
                     .pinned = model.spec.revision.commit().has_value(),
                     .ref = model.spec.ref,
                     .variant_requested = std::string(to_string(model.spec.variant_requested)),
                     .variant = std::string(to_string(model.spec.variant)),
                     .duration_s = in_seconds(model.took),
                     .error = model.error};
  if (model.spec.filter.from_command_line) {
    report.include = model.spec.filter.include;
    report.exclude = model.spec.filter.exclude;
  }

  if (!model.snapshot) return report;
  report.snapshot = snapshot;
  std::set<Digest> counted;
  for (std::size_t i = 0; i < model.snapshot->files.size(); ++i) {
    const RemoteFile& file = model.snapshot->files[i];
    const auto outcome = model.outcomes.find(file.blob);
    add_file(report, file, model.view.files[i],
             outcome == model.outcomes.end() ? nullptr : &outcome->second,
             counted.insert(file.blob).second, purpose);
  }
  return report;
}

ProgressPlan make_progress_plan(const std::vector<ModelRun>& models, const FetchPlan& plan) {
  ProgressPlan progress;
  for (const ModelRun& model : models) progress.models.push_back(model.spec.key);
  for (const FetchJob& job : plan.jobs)
    progress.files.push_back({.bytes = job.file.size, .done = job.staged, .models = job.models});
  return progress;
}

std::string dry_run_text(const std::vector<ModelRun>& models, const std::string& cache_dir,
                         std::optional<std::int64_t> free, std::optional<int> columns) {
  Table table{.head = {"MODEL", "VARIANT", "COMMIT", "FILES", "SIZE", "TO DOWNLOAD", "CACHED"},
              .numbers = {3, 4, 5, 6},
              .yielding = {0}};
  const std::vector<PlannedModel> wanted = models_to_fetch(models);
  std::string files;
  for (const PlannedModel& each : wanted) {
    const ModelRun& model = models[each.model];
    const FetchPlan plan = make_plan({&each, 1});
    const std::int64_t size = total_blob_size(model.snapshot->files);
    const std::int64_t to_fetch = plan.bytes - plan.staged;
    const std::string_view variant =
        model.spec.filter.from_command_line ? "patterns" : to_string(model.spec.variant);
    table.rows.push_back({model.spec.key, std::string(variant),
                          model.snapshot->commit.hex().substr(0, 12),
                          std::to_string(model.snapshot->files.size()), format_bytes(size),
                          format_bytes(to_fetch), format_bytes(size - to_fetch)});

    if (wanted.size() > 1 && !plan.jobs.empty()) files += sanitize_for_log(model.spec.key) + "\n";
    for (const FetchJob& job : plan.jobs) files += job_line(job);
  }

  // Not the sum of the rows: a blob that two models share is fetched once.
  const FetchPlan all = make_plan(wanted);
  const std::int64_t to_fetch = all.bytes - all.staged;
  std::string total = fmt::format("{} to download into {}", format_bytes(to_fetch), cache_dir);
  if (free)
    total += to_fetch > *free
                 ? fmt::format(", but only {} is free", format_bytes(*free))
                 : fmt::format(", which leaves {} free", format_bytes(*free - to_fetch));
  return table_text(table, columns) + files + total + "\n";
}

}  // namespace model_prep
