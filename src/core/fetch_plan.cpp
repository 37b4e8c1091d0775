// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/fetch_plan.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

namespace model_prep {
namespace {

/// A text, because there may be 200,000 of them.
std::string key_of(const RepoId& repo, const Digest& blob) {
  return repo.text() + " " + blob.hex();
}

bool agree(const RemoteFile& a, const RemoteFile& b) {
  return a.size == b.size &&
         (!a.locked_sha256 || !b.locked_sha256 || a.locked_sha256 == b.locked_sha256);
}

void add_user(FetchJob& job, std::size_t model, const RemoteFile& file) {
  if (job.models.empty() || job.models.back() != model) job.models.push_back(model);
  if (!file.locked) return;

  job.file.locked = true;
  job.file.size = file.size;
  if (file.locked_sha256) job.file.locked_sha256 = file.locked_sha256;
}

}  // namespace

bool SnapshotView::has_every_file() const {
  return std::ranges::all_of(files, [](const FileView& file) {
    return file.state != BlobState::missing && file.linked && !file.hidden;
  });
}

bool SnapshotView::satisfied() const {
  return refs_correct && tree_correct && recorded && is_signed && has_every_file() &&
         std::ranges::count(files, BlobState::unverified, &FileView::state) == 0;
}

FetchPlan make_plan(std::span<const PlannedModel> wanted) {
  FetchPlan plan;
  std::unordered_map<std::string, std::size_t> jobs;
  for (const PlannedModel& one : wanted) {
    const RepoId& repo = one.snapshot->spec.repo;
    for (std::size_t i = 0; i < one.snapshot->files.size(); ++i) {
      const RemoteFile& file = one.snapshot->files[i];
      const FileView& view = one.view->files[i];
      if (view.state == BlobState::trusted) continue;
      if (jobs.try_emplace(key_of(repo, file.blob), plan.jobs.size()).second)
        plan.jobs.push_back(
            {repo, one.snapshot->commit, file, view.state == BlobState::unverified, view.staged});
    }
  }

  std::set<std::tuple<std::size_t, CommitId, std::string>> copies;  // with the job that has them
  for (const PlannedModel& one : wanted) {
    if (jobs.empty()) break;
    for (std::size_t i = 0; i < one.snapshot->files.size(); ++i) {
      const RemoteFile& file = one.snapshot->files[i];
      const FileView& view = one.view->files[i];
      const auto found = jobs.find(key_of(one.snapshot->spec.repo, file.blob));
      if (found == jobs.end()) continue;

      FetchJob& job = plan.jobs[found->second];
      add_user(job, one.model, file);
      if (view.state == BlobState::missing) job.check_existing = false;
      if (!view.is_copy || view.state == BlobState::trusted) continue;

      const CommitId& commit = one.snapshot->commit;
      const bool is_first = commit == job.commit && file.path == job.file.path;
      if (!is_first && copies.emplace(found->second, commit, file.path.text()).second)
        job.copies.emplace_back(commit, file);
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

std::map<std::size_t, Error> lock_conflicts(std::span<const PlannedModel> wanted) {
  struct Lock {
    std::size_t model;
    const RemoteFile* file;
  };
  std::unordered_map<std::string, Lock> locks;
  std::map<std::size_t, Error> conflicts;
  for (const PlannedModel& one : wanted) {
    const RepoId& repo = one.snapshot->spec.repo;
    for (const RemoteFile& file : one.snapshot->files) {
      if (!file.locked) continue;
      const auto [at, is_new] = locks.try_emplace(key_of(repo, file.blob), Lock{one.model, &file});
      const auto [model, other] = at->second;
      if (!other->locked_sha256) at->second = {one.model, &file};
      if (is_new || agree(file, *other)) continue;

      const Error error{
          ErrorKind::lock_mismatch,
          fmt::format(
              "{} {}: the lock gives it and {} the same digest, but different sizes or sha256",
              repo.text(), file.path.text(), other->path.text()),
          "one of the two is wrong: create a new lock with model-prep lock"};
      conflicts.emplace(one.model, error);
      conflicts.emplace(model, error);
    }
  }
  return conflicts;
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
      if (spec.ref_if_unset && ref == spec.ref) continue;
      const auto [at, is_new] = claims.try_emplace({spec.repo, ref}, &spec);
      if (!is_new && at->second->revision != spec.revision)
        return Error{
            ErrorKind::usage,
            fmt::format("{} and {} would both set refs/{} of {}, to different revisions",
                        at->second->key, spec.key, ref, spec.repo.text()),
            "give one of them another \"ref\" in the manifest, or run it separately with another --cache-dir"};
    }
  }

  for (const auto& [claim, spec] : claims)
    for (const std::string& parent : parents_of_ref(claim.second))
      if (const auto file = claims.find({claim.first, parent}); file != claims.end())
        return nested_refs_error(claim.first, claim.second, parent);
  return ok();
}

Strings parents_of_ref(std::string_view name) {
  Strings parents;
  for (std::size_t slash = name.find('/'); slash != std::string_view::npos;
       slash = name.find('/', slash + 1))
    parents.emplace_back(name.substr(0, slash));
  return parents;
}

Error nested_refs_error(const RepoId& repo, std::string_view ref, std::string_view parent) {
  return {
      ErrorKind::usage,
      fmt::format(
          "{}: refs/{} and refs/{} cannot be in one cache: the second would be a file and a directory",
          repo.text(), ref, parent),
      "pin the revision by its commit, or use another --cache-dir"};
}

}  // namespace model_prep
