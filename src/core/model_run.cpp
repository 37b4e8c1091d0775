// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/model_run.h"

namespace model_prep {

std::vector<PlannedModel> models_to_fetch(const std::vector<ModelRun>& models) {
  std::vector<PlannedModel> wanted;
  for (std::size_t i = 0; i < models.size(); ++i)
    if (models[i].snapshot && !models[i].error && !models[i].published)
      wanted.push_back({i, &*models[i].snapshot, &models[i].view});
  return wanted;
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
