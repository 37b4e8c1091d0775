// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/model_report.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model_prep/base/text.h"
#include "model_prep/report/table.h"

namespace model_prep {
namespace {

ModelStatus status_of(const ModelRun& model, bool dry_run) {
  if (model.error)
    return model.error->kind == ErrorKind::interrupted ? ModelStatus::interrupted
                                                       : ModelStatus::failed;
  if (dry_run && model.snapshot) return ModelStatus::planned;
  if (!model.published) return ModelStatus::failed;

  const bool fetched = std::ranges::any_of(
      model.outcomes, [](const auto& entry) { return entry.second.status == FileStatus::fetched; });
  return fetched ? ModelStatus::downloaded : ModelStatus::cached;
}

/// A file without an outcome had not to be fetched, or the run did not come to it.
FileOutcome outcome_of(const ModelRun& model, std::size_t file) {
  const auto known = model.outcomes.find(model.snapshot->files[file].blob);
  if (known != model.outcomes.end()) return known->second;

  FileOutcome outcome;
  const bool is_trusted = model.view.files[file].state == BlobState::trusted;
  outcome.status = is_trusted ? FileStatus::reused : FileStatus::cancelled;
  return outcome;
}

FileReport file_report(const RemoteFile& file, const FileOutcome& outcome, const FileView& view,
                       bool dry_run) {
  // In the order of FileStatus: reused, fetched, failed, cancelled.
  const FileReportStatus reported[] = {
      FileReportStatus::cached, FileReportStatus::downloaded, FileReportStatus::failed,
      dry_run ? FileReportStatus::planned : FileReportStatus::skipped};
  FileReport report{.path = file.path.text(),
                    .size = file.size,
                    .status = reported[static_cast<std::size_t>(outcome.status)],
                    .attempts = outcome.attempts,
                    .duration_s = in_seconds(outcome.took),
                    .error = outcome.error};
  if (view.verified)
    report.sha256 = view.verified->sha256.hex();
  else if (outcome.sha256)
    report.sha256 = outcome.sha256->hex();
  if (outcome.status == FileStatus::fetched) report.source = outcome.source;
  if (file.blob.kind() == DigestKind::git_sha1) report.git_sha1 = file.blob.hex();
  return report;
}

std::string license_cell(const HubFacts& facts) {
  if (!facts.licenses) return "?";
  return facts.licenses->empty() ? "none" : fmt::format("{}", fmt::join(*facts.licenses, ", "));
}

std::string job_line(const FetchJob& job) {
  std::string note;
  if (!job.check_existing && !job.nearby.empty())
    note = "  (from " + sanitize_for_log(job.nearby.front().folder) + ")";
  else if (job.check_existing)
    note = "  (in the cache, to be verified)";
  else if (job.staged > 0)
    note = "  (partly downloaded)";
  return fmt::format("  {:>10}  {}{}\n", format_bytes(job.file.size),
                     sanitize_for_log(job.file.path.text()), note);
}

}  // namespace

ModelReport make_model_report(const ModelRun& model, const std::string& snapshot, bool dry_run) {
  ModelReport report{.spec = model.spec,
                     .status = status_of(model, dry_run),
                     .duration_s = in_seconds(model.took),
                     .error = model.error,
                     .dependencies = model.dependencies};
  if (!model.snapshot) return report;

  report.signed_by = model.snapshot->signed_by;
  report.commit = model.snapshot->commit.hex();
  report.facts = model.snapshot->facts;
  report.snapshot = snapshot;
  std::set<Digest> counted;
  for (std::size_t i = 0; i < model.snapshot->files.size(); ++i) {
    const RemoteFile& file = model.snapshot->files[i];
    const FileOutcome outcome = outcome_of(model, i);
    report.files.push_back(file_report(file, outcome, model.view.files[i], dry_run));
    if (!counted.insert(file.blob).second) continue;

    report.bytes += file.size;
    report.bytes_downloaded += outcome.bytes_fetched;
    // A file that was fetched more than once cost more bytes than it has.
    if (outcome.status == FileStatus::reused || outcome.status == FileStatus::fetched)
      report.bytes_reused += std::max<Bytes>(0, file.size - outcome.bytes_fetched);
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

Strings plan_lines(const FetchPlan& plan, const std::string& cache_dir) {
  Strings lines;
  std::set<std::string> folders;
  std::size_t copies = 0;
  for (const FetchJob& job : plan.jobs) {
    if (job.check_existing || job.nearby.empty()) continue;
    folders.insert(job.nearby.front().folder);
    ++copies;
  }
  if (copies > 0)
    lines.push_back(fmt::format("copying {} in {} into {} from {}", format_bytes(plan.nearby),
                                format_count(copies, "file"), cache_dir, fmt::join(folders, ", ")));

  const Bytes to_download = plan.bytes - plan.staged - plan.nearby;
  if (plan.bytes == 0 || (copies > 0 && to_download == 0)) return lines;
  const std::string staged =
      plan.staged > 0 ? fmt::format("; {} already downloaded", format_bytes(plan.staged)) : "";
  lines.push_back(fmt::format("downloading {} in {} into {}{}", format_bytes(to_download),
                              format_count(plan.jobs.size() - copies, "file"), cache_dir, staged));
  return lines;
}

std::string dry_run_text(const std::vector<ModelRun>& models, const std::string& cache_dir,
                         std::optional<Bytes> free, std::optional<int> columns,
                         const AddNearby& add_nearby) {
  Table table{.head = {"MODEL", "VARIANT", "COMMIT", "FILES", "SIZE", "TO DOWNLOAD", "CACHED"},
              .numbers = {3, 4, 5, 6},
              .yielding = {0}};
  const std::vector<PlannedModel> wanted = models_to_fetch(models);
  FetchPlan all = make_plan(wanted);
  add_nearby(all);
  const bool copies = all.nearby > 0;
  if (copies) table.head.insert(table.head.end() - 1, "TO COPY"), table.numbers.insert(7);
  const bool shows_licenses = std::ranges::any_of(wanted, [&](const PlannedModel& each) {
    const auto& licenses = models[each.model].snapshot->facts.licenses;
    return licenses && !licenses->empty();
  });
  if (shows_licenses) table.head.emplace_back("LICENSE");

  std::string files;
  for (const PlannedModel& each : wanted) {
    const ModelRun& model = models[each.model];
    FetchPlan plan = make_plan({&each, 1});
    add_nearby(plan);
    const Bytes size = total_blob_size(model.snapshot->files);
    const Bytes to_fetch = plan.bytes - plan.staged;
    table.rows.push_back({model.spec.key, std::string(selected_by(model.spec)),
                          model.snapshot->commit.hex().substr(0, 12),
                          std::to_string(model.snapshot->files.size()), format_bytes(size),
                          format_bytes(to_fetch - plan.nearby), format_bytes(size - to_fetch)});
    Strings& row = table.rows.back();
    if (copies) row.insert(row.end() - 1, format_bytes(plan.nearby));
    if (shows_licenses) row.push_back(license_cell(model.snapshot->facts));

    if (wanted.size() > 1 && !plan.jobs.empty()) files += sanitize_for_log(model.spec.key) + "\n";
    for (const FetchJob& job : plan.jobs) files += job_line(job);
  }

  // Not the sum of the rows: a blob that two models share is fetched once.
  const Bytes to_fetch = all.bytes - all.staged;
  std::string total =
      fmt::format("{} to download into {}", format_bytes(to_fetch - all.nearby), cache_dir);
  if (copies) total += fmt::format(" and {} to copy", format_bytes(all.nearby));
  if (free)
    total += to_fetch > *free
                 ? fmt::format(", but only {} is free", format_bytes(*free))
                 : fmt::format(", which leaves {} free", format_bytes(*free - to_fetch));
  return table_text(table, columns) + files + total + "\n";
}

}  // namespace model_prep
