// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/cache_layout.h"

#include <fmt/format.h>

namespace model_prep {

std::string repo_folder_name(const RepoId& repo) {
  std::string name(repo.name());
  if (const std::size_t slash = name.find('/'); slash != std::string::npos)
    name.replace(slash, 1, "--");

  return fmt::format("{}--{}", plural(repo.kind()), name);
}

std::string link_target(const RepoPath& path, const Digest& blob) {
  std::string target = "../../";
  for (const char c : path.text())
    if (c == '/') target += "../";

  return target + "blobs/" + blob.hex();
}

CacheLayout::CacheLayout(std::string root, const std::string& lock_root, const RepoId& repo)
    : root_(std::move(root)),
      repo_(root_ + "/" + repo_folder_name(repo)),
      locks_(lock_root + "/.locks"),
      lock_directory_(locks_ + "/" + repo_folder_name(repo)),
      blobs_(repo_ + "/blobs"),
      own_directory_(repo_ + "/.model-prep") {}

std::string CacheLayout::staging(const Digest& blob, const WriterTag& tag) const {
  return fmt::format("{}.{}{}", this->blob(blob), tag.text(), kStagingSuffix);
}

std::string CacheLayout::resume(const Digest& blob) const {
  return fmt::format("{}{}", this->blob(blob), kResumeSuffix);
}

}  // namespace model_prep
