// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/plain_folder.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace model_prep {

std::optional<std::string> plain_folder_name(const ModelSpec& spec) {
  // Of the words that name a repository, only the repository: `org/name@main:onnx` is `org--name`.
  std::string name = spec.key;
  if (name.find('/') != std::string::npos) {
    name = spec.repo.text();
    for (std::size_t slash = 0; (slash = name.find('/')) != std::string::npos;)
      name.replace(slash, 1, "--");
  }
  const bool is_name = !name.starts_with('.') && RepoPath::parse(name);
  return is_name ? std::optional(name) : std::nullopt;
}

bool is_our_own_name(const RepoPath& path) { return path.text().starts_with(".model-prep."); }

std::string origin_of(const ModelSpec& spec, const CommitId& commit) {
  const FileFilter& filter = spec.filter;
  std::string text =
      fmt::format("{}@{} {}", spec.repo.text(), commit.hex(), spec.variant_requested.text());
  if (!filter.include.empty()) text += fmt::format(" +{}", fmt::join(filter.include, " +"));
  if (!filter.exclude.empty()) text += fmt::format(" -{}", fmt::join(filter.exclude, " -"));

  const Policy& policy = spec.policy;
  if (policy.licenses) text += fmt::format(" licenses={}", fmt::join(*policy.licenses, ","));
  if (policy.pickles) text += fmt::format(" pickles={}", to_string(*policy.pickles));
  if (policy.scan) text += fmt::format(" scan={}", to_string(*policy.scan));
  if (policy.signatures) text += fmt::format(" signatures={}", to_string(*policy.signatures));
  if (spec.signer) text += fmt::format(" signer={}", spec.signer->id);
  return text;
}

bool is_record_of(const SnapshotRecord& record, const std::vector<RemoteFile>& files) {
  const auto is_same = [](const RemoteFile& a, const RemoteFile& b) {
    return a.path == b.path && a.size == b.size && a.blob == b.blob;
  };
  const auto is_verified = [&](const RemoteFile& file) {
    const auto known = record.blobs.find(file.blob);
    return known != record.blobs.end() && vouches_for(known->second, file.blob_spec());
  };
  return std::ranges::equal(record.listing, files, is_same) &&
         std::ranges::all_of(files, is_verified);
}

}  // namespace model_prep
