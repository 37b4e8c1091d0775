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

std::map<Digest, Digest> verified_sha256(const ModelRun& model) {
  std::map<Digest, Digest> sha256;
  for (std::size_t i = 0; i < model.snapshot->files.size(); ++i) {
    const Digest& blob = model.snapshot->files[i].blob;
    if (model.view.files[i].sha256) sha256.emplace(blob, *model.view.files[i].sha256);

    // What this run computed replaces what an earlier one recorded.
    if (const auto outcome = model.outcomes.find(blob);
        outcome != model.outcomes.end() && outcome->second.sha256)
      sha256.insert_or_assign(blob, *outcome->second.sha256);
  }
  return sha256;
}

}  // namespace model_prep
