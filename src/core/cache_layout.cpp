// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/cache_layout.h"

#include <algorithm>

namespace model_prep {

std::string repo_folder_name(const RepoId& repo) {
  const std::string_view name = repo.name();
  const std::size_t slash = name.find('/');
  std::string folder = std::string(plural(repo.kind())) + "--" + std::string(name.substr(0, slash));
  if (slash != std::string_view::npos) folder += "--" + std::string(name.substr(slash + 1));
  return folder;
}

std::string link_target(const RepoPath& path, const Digest& blob) {
  std::string target = "../../";
  for (const char c : path.text())
    if (c == '/') target += "../";
  return target + "blobs/" + blob.hex();
}

std::string CacheLayout::locks() const { return lock_root_ + "/.locks"; }
std::string CacheLayout::lock_folder(const RepoId& repo) const {
  return locks() + "/" + repo_folder_name(repo);
}
std::string CacheLayout::lock(const RepoId& repo, const Digest& blob) const {
  return lock_folder(repo) + "/" + blob.hex() + ".lock";
}
std::string CacheLayout::repo_lock(const RepoId& repo) const {
  return lock_folder(repo) + "/model-prep.lock";
}
std::string CacheLayout::repo(const RepoId& repo) const {
  return root_ + "/" + repo_folder_name(repo);
}
std::string CacheLayout::blobs(const RepoId& repo) const { return this->repo(repo) + "/blobs"; }
std::string CacheLayout::blob(const RepoId& repo, const Digest& blob) const {
  return blobs(repo) + "/" + blob.hex();
}
std::string CacheLayout::staging(const RepoId& repo, const Digest& blob,
                                 const WriterTag& tag) const {
  return this->blob(repo, blob) + "." + tag.text() + std::string(kStagingSuffix);
}
std::string CacheLayout::resume(const RepoId& repo, const Digest& blob) const {
  return this->blob(repo, blob) + std::string(kResumeSuffix);
}
std::string CacheLayout::snapshots(const RepoId& repo) const {
  return this->repo(repo) + "/snapshots";
}
std::string CacheLayout::snapshot(const RepoId& repo, const CommitId& commit) const {
  return snapshots(repo) + "/" + commit.hex();
}
std::string CacheLayout::link(const RepoId& repo, const CommitId& commit,
                              const RepoPath& path) const {
  return snapshot(repo, commit) + "/" + path.text();
}
std::string CacheLayout::refs(const RepoId& repo) const { return this->repo(repo) + "/refs"; }
std::string CacheLayout::ref(const RepoId& repo, const std::string& name) const {
  return refs(repo) + "/" + name;
}
std::string CacheLayout::tree(const RepoId& repo, const CommitId& commit) const {
  return this->repo(repo) + "/trees/" + commit.hex() + ".json";
}
std::string CacheLayout::own_folder(const RepoId& repo) const {
  return this->repo(repo) + "/.model-prep";
}
std::string CacheLayout::record(const RepoId& repo, const CommitId& commit) const {
  return own_folder(repo) + "/" + commit.hex() + ".json";
}
std::string CacheLayout::aside(const RepoId& repo) const { return own_folder(repo) + "/aside"; }
std::string CacheLayout::no_exist(const RepoId& repo, const CommitId& commit) const {
  return this->repo(repo) + "/.no_exist/" + commit.hex();
}

}  // namespace model_prep
