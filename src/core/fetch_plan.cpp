// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/fetch_plan.h"

#include <algorithm>

#include <fmt/format.h>

namespace model_prep {

bool SnapshotView::has_every_file() const {
  return std::ranges::all_of(
      files, [](const FileView& file) { return file.state != BlobState::missing && file.linked; });
}

bool SnapshotView::satisfied() const {
  return refs_correct && tree_correct && recorded && has_every_file() &&
         std::ranges::count(files, BlobState::unverified, &FileView::state) == 0;
}

FetchPlan make_plan(std::span<const PlannedModel> wanted) {
  FetchPlan plan;
  std::map<std::pair<RepoId, Digest>, std::size_t> seen;
  for (const PlannedModel& one : wanted) {
    const RepoId& repo = one.snapshot->spec.repo;
    for (std::size_t i = 0; i < one.snapshot->files.size(); ++i) {
      const RemoteFile& file = one.snapshot->files[i];
      const FileView& view = one.view->files[i];
      if (view.state == BlobState::trusted) continue;

      const auto [at, is_new] = seen.try_emplace({repo, file.blob}, plan.jobs.size());
      if (is_new)
        plan.jobs.push_back(
            {repo, one.snapshot->commit, file, view.state == BlobState::unverified, view.staged});
      std::vector<std::size_t>& models = plan.jobs[at->second].models;
      if (models.empty() || models.back() != one.model) models.push_back(one.model);
    }
  }
  std::ranges::stable_sort(
      plan.jobs, [](const FetchJob& a, const FetchJob& b) { return a.file.size > b.file.size; });
  for (const FetchJob& job : plan.jobs) {
    if (job.check_existing) continue;
    plan.bytes += job.file.size;
    plan.staged += job.staged;
  }
  return plan;
}

Strings refs_to_write(const ModelSpec& spec, const CommitId& commit) {
  Strings refs = {commit.hex()};
  for (const std::string& name : {spec.revision.text(), spec.ref})
    if (std::ranges::find(refs, name) == refs.end()) refs.push_back(name);
  return refs;
}

Status check_ref_conflicts(std::span<const ModelSpec> specs) {
  std::map<std::pair<RepoId, std::string>, const ModelSpec*> claims;
  for (const ModelSpec& spec : specs) {
    for (const std::string& ref : {spec.ref, spec.revision.text()}) {  // as in refs_to_write
      const auto [at, is_new] = claims.try_emplace({spec.repo, ref}, &spec);
      if (!is_new && at->second->revision != spec.revision)
        return Error{
            ErrorKind::usage,
            fmt::format("{} and {} would both set refs/{} of {}, to different revisions",
                        at->second->key, spec.key, ref, spec.repo.text()),
            "give one of them another \"ref\" in the manifest, or run it separately with another --cache-dir"};
    }
  }
  return ok();
}

}  // namespace model_prep
