// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/model_run.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/report/table.h"

namespace model_prep {
namespace {

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

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

FileReportStatus file_status(const ModelRun& model, std::size_t index, Purpose purpose) {
  const auto outcome = model.outcomes.find(model.snapshot->files[index].blob);
  if (outcome == model.outcomes.end()) {
    if (model.view.files[index].state == BlobState::trusted) return FileReportStatus::cached;
    return purpose == Purpose::dry_run ? FileReportStatus::planned : FileReportStatus::skipped;
  }
  switch (outcome->second.status) {
    case FileStatus::reused: return FileReportStatus::cached;
    case FileStatus::fetched: return FileReportStatus::downloaded;
    case FileStatus::failed: return FileReportStatus::failed;
    case FileStatus::cancelled: return FileReportStatus::skipped;
  }
  return FileReportStatus::failed;
}

}  // namespace

std::vector<PlannedModel> models_to_fetch(const std::vector<ModelRun>& models) {
  std::vector<PlannedModel> wanted;
  for (std::size_t i = 0; i < models.size(); ++i)
    if (models[i].snapshot && !models[i].error && !models[i].published)
      wanted.push_back({i, &*models[i].snapshot, &models[i].view});
  return wanted;
}

ProgressPlan progress_plan_of(const std::vector<ModelRun>& models, const FetchPlan& plan) {
  ProgressPlan work;
  for (const ModelRun& model : models) work.models.push_back(model.spec.key);
  for (const FetchJob& job : plan.jobs)
    work.files.push_back({.bytes = job.file.size, .done = job.staged, .models = job.models});
  return work;
}

std::map<Digest, Digest> verified_sha256(const ModelRun& model) {
  std::map<Digest, Digest> sha256;
  for (std::size_t i = 0; i < model.snapshot->files.size(); ++i) {
    const Digest& blob = model.snapshot->files[i].blob;
    if (model.view.files[i].sha256) sha256.emplace(blob, *model.view.files[i].sha256);
    if (const auto outcome = model.outcomes.find(blob);
        outcome != model.outcomes.end() && outcome->second.sha256)
      sha256.insert_or_assign(blob, *outcome->second.sha256);
  }
  return sha256;
}

ModelReport report_of(const ModelRun& model, Purpose purpose, const std::string& snapshot) {
  ModelReport report{.key = model.spec.key,
                     .status = status_of(model, purpose),
                     .repo = model.spec.repo.text(),
                     .revision = model.spec.revision.text(),
                     .commit = model.snapshot ? model.snapshot->commit.hex() : "",
                     .pinned = model.spec.revision.commit().has_value(),
                     .ref = model.spec.ref,
                     .variant_requested = model.spec.variant_requested,
                     .variant = model.spec.variant,
                     .snapshot = {},
                     .duration_s = seconds(model.took),
                     .error = model.error,
                     .files = {}};
  if (model.spec.filter.from_command_line) {
    report.include = model.spec.filter.include;
    report.exclude = model.spec.filter.exclude;
  }
  if (!model.snapshot) return report;
  report.snapshot = snapshot;
  std::set<Digest> counted;
  for (std::size_t i = 0; i < model.snapshot->files.size(); ++i) {
    const RemoteFile& file = model.snapshot->files[i];
    const FileView& view = model.view.files[i];
    const auto found = model.outcomes.find(file.blob);
    const FileOutcome outcome = found == model.outcomes.end() ? FileOutcome{} : found->second;
    FileReport entry{.path = file.path.text(),
                     .size = file.size,
                     .sha256 = {},
                     .git_sha1 = {},
                     .status = file_status(model, i, purpose),
                     .attempts = outcome.attempts,
                     .duration_s = seconds(outcome.took),
                     .error = outcome.error};
    if (const auto& sha256 = view.sha256 ? view.sha256 : outcome.sha256)
      entry.sha256 = sha256->hex();
    if (file.blob.kind() == DigestKind::git_sha1) entry.git_sha1 = file.blob.hex();
    if (counted.insert(file.blob).second) {
      report.bytes += file.size;
      report.bytes_downloaded += outcome.bytes_fetched;
      if (entry.status == FileReportStatus::cached || entry.status == FileReportStatus::downloaded)
        report.bytes_reused += std::max<std::int64_t>(0, file.size - outcome.bytes_fetched);
    }
    report.files.push_back(std::move(entry));
  }
  return report;
}

std::string plan_table(const std::vector<ModelRun>& models, const DryRunTarget& place) {
  Table table{.head = {"MODEL", "VARIANT", "COMMIT", "FILES", "SIZE", "TO FETCH", "REUSED"},
              .rows = {},
              .numbers = {3, 4, 5, 6},
              .yielding = {0}};
  const std::vector<PlannedModel> wanted = models_to_fetch(models);
  std::string files;
  for (const PlannedModel& one : wanted) {
    const ModelRun& model = models[one.model];
    const FetchPlan plan = make_plan({&one, 1});
    std::map<Digest, std::int64_t> sizes;
    for (const RemoteFile& file : model.snapshot->files) sizes.emplace(file.blob, file.size);
    std::int64_t size = 0;
    for (const auto& [blob, bytes] : sizes) size += bytes;
    const std::int64_t to_fetch = plan.bytes - plan.staged;
    table.rows.push_back(
        {model.spec.key, model.spec.filter.from_command_line ? "patterns" : model.spec.variant,
         model.snapshot->commit.hex().substr(0, 12), std::to_string(model.snapshot->files.size()),
         format_bytes(size), format_bytes(to_fetch), format_bytes(size - to_fetch)});
    if (wanted.size() > 1 && !plan.jobs.empty()) files += sanitize_for_log(model.spec.key) + "\n";
    for (const FetchJob& job : plan.jobs)
      files += fmt::format("  {:>10}  {}{}\n", format_bytes(job.file.size),
                           sanitize_for_log(job.file.path.text()),
                           job.check_existing ? "  (there, to be verified)"
                           : job.staged > 0   ? "  (begun)"
                                              : "");
  }
  const FetchPlan all = make_plan(wanted);  // what two models share is fetched once
  const std::int64_t to_fetch = all.bytes - all.staged;
  std::string last = fmt::format("{} to fetch into {}", format_bytes(to_fetch), place.folder);
  if (place.free)
    last += to_fetch > *place.free
                ? fmt::format(", where only {} are free", format_bytes(*place.free))
                : fmt::format(", which leaves {} free", format_bytes(*place.free - to_fetch));
  return table_text(table, place.columns) + files + last + "\n";
}

}  // namespace model_prep
