// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/imports.h"

#include <fmt/format.h>

#include "model_prep/commands/resolve_locally.h"

namespace model_prep {

Imports::Imports(Session& session) : session_(session) {
  for (const std::string& folder : session.options.from)
    folders_.push_back(std::make_unique<ImportFolder>(folder, session.options.cache_dir));
}

std::optional<Resolution> Imports::resolve(const ModelSpec& spec) {
  if (!session_.options.offline) return std::nullopt;
  const Cache& cache = session_.cache;
  for (const auto& folder : folders_) {
    auto commit = cached_commit(spec, cache);
    if (!commit) commit = folder->ref(spec.repo, spec.revision.text());
    if (!commit) continue;

    // The cache may know the files of a commit of which it has no ref.
    if (auto known = resolve_commit_locally(spec, *commit, cache, Network::forbidden)) return known;
    Listing listing;
    if (const auto record = folder->record(spec.repo, *commit)) {
      listing.files = record->listing.empty() ? record->claimed : record->listing;
      listing.unusable = record->unusable;
    }
    if (auto tree = listing.files.empty() ? folder->tree(spec.repo, *commit) : std::nullopt)
      listing.files = std::move(*tree);
    if (listing.files.empty()) continue;

    session_.log.warning(
        fmt::format("{}: only {} says which files commit {} has; a lockfile would prove it",
                    spec.key, folder->path(), commit->hex().substr(0, 12)));
    auto found = resolve_listing(spec, *commit, std::move(listing), [&](const RemoteFile& file) {
      return folder->read(spec.repo, *commit, file, kMaxDecidingFile);
    });
    found.record = cache.record(spec.repo, *commit);
    return found;
  }
  return std::nullopt;
}

Strings Imports::contents(const ResolvedSnapshot& snapshot, const RepoPath& path,
                          std::size_t max) const {
  Strings texts;
  if (!session_.options.offline) return texts;

  const RemoteFile* known = nullptr;
  for (const auto* files : {&snapshot.files, &snapshot.listing})
    for (const RemoteFile& file : *files)
      if (file.path == path) known = &file;
  const RepoId& repo = snapshot.spec.repo;
  for (const auto& folder : folders_) {
    auto text = known != nullptr ? folder->read(repo, snapshot.commit, *known, max)
                                 : folder->read(repo, snapshot.commit, path, max);
    if (text) texts.push_back(std::move(*text));
  }
  return texts;
}

Error Imports::explain(Error error) const {
  if (error.kind == ErrorKind::offline_missing && !folders_.empty())
    error.hint =
        "no folder of --from says it either: use a lockfile, or a cache of model-prep or of "
        "huggingface_hub's snapshot_download (1.22 or newer)";
  return error;
}

void Imports::look_up(FetchPlan& plan) {
  if (folders_.empty()) return;

  ImportFolder::Wanted wanted;
  for (const FetchJob& job : plan.jobs)
    if (found_.try_emplace(job.file.blob.hex()).second)
      wanted.emplace(job.file.blob.hex(), job.file.size);
  if (wanted.empty()) return add_to(plan);

  for (const auto& folder : folders_) {
    const Status read = folder->find(
        wanted,
        [&](const std::string& digest, const std::string& path) { add(digest, *folder, path); });
    if (!read)
      session_.log.warning(fmt::format("--from: {}; looking elsewhere", read.error().message));

    for (const FetchJob& job : plan.jobs) {
      const std::string digest = job.file.blob.hex();
      if (!wanted.contains(digest)) continue;
      if (const auto path = folder->snapshot_file(job.repo, job.commit, job.file))
        add(digest, *folder, *path);
    }
  }
  add_to(plan);
}

bool Imports::have(const RemoteFile& file) const {
  const auto found = found_.find(file.blob.hex());
  return found != found_.end() && !found->second.empty();
}

void Imports::add(const std::string& digest, const ImportFolder& folder, const std::string& path) {
  std::vector<NearbyFile>& files = found_[digest];
  if (files.size() < kMaxNearby) files.push_back({folder.path(), path});
}

void Imports::add_to(FetchPlan& plan) const {
  plan.nearby = 0;
  for (FetchJob& job : plan.jobs) {
    const auto found = found_.find(job.file.blob.hex());
    if (found == found_.end() || found->second.empty()) continue;
    job.nearby = found->second;
    if (!job.check_existing) plan.nearby += job.file.size - job.staged;
  }
}

}  // namespace model_prep
