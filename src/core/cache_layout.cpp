// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/cache_layout.h"

#include <fmt/format.h>

namespace model_prep {

std::string repo_folder_name(const RepoId& repo) {
  std::string name(repo.name());
  if (const std::size_t slash = name.find('/'); slash != std::string::npos)
    name.replace(slash, 1, "--");

  return fmt::format("{}--{}", to_string(repo.kind()), name);
}

std::string link_target(const RepoPath& path, const Digest& blob) {
  std::string target = "../../";
  for (const char c : path.text())
    if (c == '/') target += "../";

  return target + "blobs/" + blob.hex();
}

std::optional<BlobsEntry> parse_blobs_entry(std::string_view name) {
  using Kind = BlobsEntry::Kind;
  const std::string_view digest = name.substr(0, name.find('.'));
  const auto blob = Digest::parse(digest);
  if (!blob) return std::nullopt;

  name.remove_prefix(digest.size());
  if (name.empty()) return BlobsEntry{Kind::blob, *blob};
  if (name == kResumeSuffix) return BlobsEntry{Kind::resume, *blob};
  if (name.ends_with(kStagingSuffix)) {
    name.remove_suffix(kStagingSuffix.size());
    const auto tag = name.empty() ? std::nullopt : WriterTag::parse(name.substr(1));
    return tag ? std::optional(BlobsEntry{Kind::staging, *blob, *tag}) : std::nullopt;
  }
  if (!name.ends_with(kForeignSuffix)) return std::nullopt;
  return BlobsEntry{Kind::foreign, *blob};
}

std::optional<std::string> shared_blob(std::string_view link) {
  constexpr std::string_view kUp = "../../";
  constexpr std::string_view kStore = "blobs/";
  constexpr std::size_t kFolder = 2;
  constexpr std::size_t kHash = 64;
  if (!link.starts_with(kUp)) return std::nullopt;

  const std::string_view path = link.substr(kUp.size());
  const bool right =
      path.starts_with(kStore) && path.size() == kStore.size() + kFolder + 1 + kHash &&
      is_lower_hex(path.substr(kStore.size(), kFolder), kFolder) &&
      path[kStore.size() + kFolder] == '/' && is_lower_hex(path.substr(path.size() - kHash), kHash);
  return right ? std::optional(std::string(path)) : std::nullopt;
}

CacheLayout::CacheLayout(const std::string& cache, const std::string& lock_cache, const RepoId& id)
    : root(cache),
      repo(cache + "/" + repo_folder_name(id)),
      locks(lock_cache + "/.locks"),
      lock_directory(locks + "/" + repo_folder_name(id)) {}

}  // namespace model_prep
