// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/model_run.h"

#include <fmt/format.h>

namespace model_prep {

std::vector<PlannedModel> models_to_fetch(const std::vector<ModelRun>& models) {
  std::vector<PlannedModel> wanted;
  for (std::size_t i = 0; i < models.size(); ++i)
    if (models[i].snapshot && !models[i].error && !models[i].published)
      wanted.push_back({i, &*models[i].snapshot, &models[i].view});
  return wanted;
}

void add_outcome(ModelRun& model, const FetchJob& job, FileOutcome outcome) {
  // What exists is fetched only if its bytes are wrong, or if it vanished this instant.
  if (model.times_vanished > 0 && job.check_existing && outcome.status != FileStatus::reused)
    model.found_wrong = true;

  // The file may have been fetched before and removed by another process.
  outcome.bytes_fetched += model.outcomes[job.file.blob].bytes_fetched;
  model.outcomes.insert_or_assign(job.file.blob, std::move(outcome));
  model.pending.erase(job.file.blob);
}

bool accepts_changes(const ModelRun& model) {
  return model.times_vanished >= kMaxLosses && !model.found_wrong;
}

Error keeps_changing(const ModelRun& model) {
  const std::string& repo = model.spec.repo.text();
  return {ErrorKind::io,
          model.found_wrong
              ? fmt::format("another process keeps writing to files of {} in the cache", repo)
              : fmt::format("another process keeps deleting files of {} from the cache", repo),
          "run model-prep again when that process has finished"};
}

std::optional<Digest> hashed_sha256(const ModelRun& model, std::size_t file) {
  const auto outcome = model.outcomes.find(model.snapshot->files[file].blob);
  if (outcome != model.outcomes.end()) return outcome->second.sha256;
  const auto& recorded = model.view.files[file].verified;
  return recorded ? std::optional(recorded->sha256) : std::nullopt;
}

std::map<Digest, VerifiedBlob> verified_blobs(const ModelRun& model) {
  std::map<Digest, VerifiedBlob> verified;
  for (std::size_t i = 0; i < model.snapshot->files.size(); ++i)
    if (const auto& recorded = model.view.files[i].verified)
      verified.emplace(model.snapshot->files[i].blob, *recorded);

  // What this run hashed replaces what an earlier one recorded.
  for (const auto& [blob, outcome] : model.outcomes) {
    const auto recorded = verified.extract(blob);
    if (!outcome.sha256 || outcome.stamps.empty()) continue;

    const auto& [size, mtime_ns] = outcome.stamps.front();
    VerifiedBlob hashed{size, mtime_ns, *outcome.sha256};
    for (const FileStamp& copy : outcome.stamps) hashed.copies.push_back(copy.mtime_ns);
    if (recorded) hashed.copies.push_back(recorded.mapped().mtime_ns);  // a copy that was trusted
    verified.emplace(blob, std::move(hashed));
  }
  return verified;
}

}  // namespace model_prep
