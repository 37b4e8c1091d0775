// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/file_selection.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "model_prep/base/glob.h"
#include "model_prep/base/text.h"

namespace model_prep {
namespace {

std::vector<RepoPath> paths_of(const Listing& listing) {
  std::vector<RepoPath> paths = listing.masked;
  for (const RemoteFile& file : listing.files) paths.push_back(file.path);
  return paths;
}

Error lock_error(const ModelSpec& spec, const RepoPath& path, std::string_view what,
                 std::string_view found, std::string_view locked) {
  return {ErrorKind::lock_mismatch,
          fmt::format("{} {}: the hub lists {} {}, the lock says {}", spec.repo.text(), path.text(),
                      what, found, locked),
          "the repository is not what the lock describes: check the revision, or make a new lock"};
}

}  // namespace

bool is_selected(const FileFilter& filter, const RepoPath& path) {
  return any_matches(filter.include, path.text()) && !any_matches(filter.exclude, path.text());
}

Error nothing_selected_error(const ModelSpec& spec) {
  if (!spec.filter.from_command_line)
    return {ErrorKind::not_found,
            fmt::format("{}: no file of this revision belongs to the variant {}", spec.repo.text(),
                        to_string(spec.variant)),
            "check the variant's include and exclude patterns, or use --variant all"};
  std::string patterns;
  for (const std::string& pattern : spec.filter.include)
    patterns += fmt::format(" --include '{}'", truncated(pattern));
  for (const std::string& pattern : spec.filter.exclude)
    patterns += fmt::format(" --exclude '{}'", truncated(pattern));
  return {ErrorKind::not_found,
          fmt::format("{}: no file of this revision is left by{}", spec.repo.text(), patterns),
          "patterns match the whole path, case and all; * also matches /"};
}

ModelSpec with_available_variant(ModelSpec spec, const Listing& listing) {
  if (spec.filter.select_weights_automatically && spec.variant != Variant::fp32)
    spec.variant = available_variant(paths_of(listing), spec.variant);
  return spec;
}

std::vector<RemoteFile> required_indexes(const Listing& listing, const ModelSpec& spec) {
  const bool any = std::any_of(
      listing.files.begin(), listing.files.end(),
      [](const RemoteFile& file) { return file.path.text().find(".index.") != std::string::npos; });
  if (!spec.filter.select_weights_automatically || !any) return {};
  const auto ruled = select_weights(paths_of(listing), spec.variant, {}, spec.repo.text());
  std::vector<RemoteFile> indexes;
  if (!ruled) return indexes;
  std::copy_if(listing.files.begin(), listing.files.end(), std::back_inserter(indexes),
               [&](const RemoteFile& file) {
                 return ruled->indexes.contains(file.path) && file.size <= kMaxIndexSize;
               });
  return indexes;
}

Result<std::vector<RemoteFile>> select_files(const Listing& listing, const ModelSpec& spec,
                                             const ShardIndexes& indexes) {
  SelectedFiles ruled;
  if (spec.filter.select_weights_automatically) {
    auto found = select_weights(paths_of(listing), spec.variant, indexes, spec.repo.text());
    if (!found) return found.error();
    ruled = std::move(*found);
  }
  const auto wanted = [&](const RepoPath& path) {
    return spec.filter.select_weights_automatically ? ruled.files.contains(path)
                                                    : is_selected(spec.filter, path);
  };
  std::vector<RemoteFile> files;
  std::copy_if(listing.files.begin(), listing.files.end(), std::back_inserter(files),
               [&](const RemoteFile& file) { return wanted(file.path); });
  const auto masked = std::find_if(listing.masked.begin(), listing.masked.end(), wanted);
  if (masked != listing.masked.end())
    return Error{
        ErrorKind::gated,
        fmt::format("{}: access to this repository is restricted: the Hub hides the digest of {}",
                    spec.repo.text(), masked->text()),
        fmt::format(
            "accept the conditions on https://huggingface.co/{}, and set HF_TOKEN to a token of that "
            "account",
            spec.repo.text())};
  if (files.empty()) return nothing_selected_error(spec);
  if (Status whole = check_openvino(files, spec); !whole) return whole.error();
  return files;
}

Status apply_lock(std::vector<RemoteFile>& files, const ModelSpec& spec) {
  for (RemoteFile& file : files) {
    const auto found = spec.lock.find(file.path);
    if (found == spec.lock.end()) continue;
    const LockedFile& lock = found->second;
    if (file.size != lock.size)
      return lock_error(spec, file.path, "size", std::to_string(file.size),
                        std::to_string(lock.size));
    if (file.blob != lock.blob())
      return lock_error(spec, file.path, "digest", file.blob.hex(), lock.blob().hex());
    file.expected_sha256 = lock.sha256;
    file.locked = true;
  }
  if (!spec.fully_locked) return ok();
  for (const auto& entry : spec.lock) {
    const RepoPath& path = entry.first;
    const bool listed = std::any_of(files.begin(), files.end(),
                                    [&](const RemoteFile& file) { return file.path == path; });
    if (!listed) return lock_error(spec, path, "no file", "of that name", "there is one");
  }
  return ok();
}

std::vector<RemoteFile> locked_files(const ModelSpec& spec) {
  std::vector<RemoteFile> files;
  for (const auto& [path, lock] : spec.lock)
    files.push_back({.path = path,
                     .size = lock.size,
                     .blob = lock.blob(),
                     .oid = lock.git_sha1,
                     .expected_sha256 = lock.sha256,
                     .xet_hash = {},
                     .locked = true});
  return files;
}

}  // namespace model_prep
