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

std::map<Digest, VerifiedBlob> verified_blobs(const ModelRun& model) {
  std::map<Digest, VerifiedBlob> verified;
  for (std::size_t i = 0; i < model.snapshot->files.size(); ++i)
    if (const auto& recorded = model.view.files[i].verified)
      verified.emplace(model.snapshot->files[i].blob, *recorded);

  // What this run hashed replaces what an earlier one recorded.
  for (const auto& [blob, outcome] : model.outcomes) {
    verified.erase(blob);
    if (outcome.sha256 && outcome.stamp)
      verified.emplace(blob,
                       VerifiedBlob{outcome.stamp->size, outcome.stamp->mtime_ns, *outcome.sha256});
  }
  return verified;
}

}  // namespace model_prep
