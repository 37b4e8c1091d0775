// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/file_selection.h"

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/core/builds.h"
#include "model_prep/core/weight_checks.h"
#include "model_prep/core/weight_names.h"

namespace model_prep {
namespace {

/// The error of a selected name that no directory here can hold. If the files are chosen
/// automatically, such a name counts only if it is of weights or if there is nothing else: no
/// library asks for such a file.
std::optional<Error> find_unusable(const Listing& listing, const ModelSpec& spec,
                                   const PathSelector& matches_filter, bool only_these) {
  const auto is_selected = [&](const std::string& name) {
    return spec.filter.select_weights_automatically ? only_these || parse_weights(name_of(name))
                                                    : matches_filter(name);
  };
  const auto name = std::ranges::find_if(listing.unusable, is_selected);
  if (name == listing.unusable.end()) return std::nullopt;

  // A pattern that matches the name and can be typed.
  std::string pattern;
  for (const char c : std::string_view(*name).substr(0, 60)) {
    const bool plain = kWordCharacters.find(c) != std::string_view::npos || c == '.' || c == '/';
    if (plain || !pattern.ends_with('*')) pattern += plain ? c : '*';
  }
  if (name->size() > 60) pattern += '*';
  return Error{ErrorKind::protocol,
               spec.repo.text() + ": " + RepoPath::parse(*name).error().message,
               "no file here can have that name: " + how_to_leave_out(spec, pattern)};
}

Error lock_error(const ModelSpec& spec, const RepoPath& path, std::string_view what) {
  return {ErrorKind::lock_mismatch, fmt::format("{} {}: {}", spec.repo.text(), path.text(), what),
          "the repository differs from the lock: check the revision, or create a new lock"};
}

Error gated_error(const ModelSpec& spec, const RepoPath& path) {
  return {
      ErrorKind::gated,
      spec.repo.text() + ": access to this repository is restricted: the Hub hides the digest of " +
          path.text(),
      fmt::format(
          "accept the conditions on https://huggingface.co/{}, and set HF_TOKEN to a token of that account",
          spec.repo.text())};
}

}  // namespace

Error nothing_selected_error(const ModelSpec& spec) {
  if (!spec.filter.from_command_line)
    return {ErrorKind::not_found,
            fmt::format("{}: no file of this revision belongs to the variant {}", spec.repo.text(),
                        spec.variant.text()),
            fmt::format("check the variant's include and exclude patterns{}",
                        spec.variant.build == Build::all ? "" : ", or use --variant all")};

  std::string patterns;
  for (const std::string& pattern : spec.filter.include)
    patterns += " --include '" + truncated(pattern) + "'";
  for (const std::string& pattern : spec.filter.exclude)
    patterns += " --exclude '" + truncated(pattern) + "'";
  return {ErrorKind::not_found, spec.repo.text() + ": no file of this revision matches" + patterns,
          "patterns are case-sensitive and match the whole path; * also matches /"};
}

std::vector<ListedFile> listed_files(const Listing& listing) {
  std::vector<ListedFile> all;
  all.reserve(listing.files.size() + listing.masked.size());
  for (const RepoPath& path : listing.masked) all.push_back({path});
  for (const RemoteFile& file : listing.files) all.push_back({file.path, file.size});
  return all;
}

std::vector<RemoteFile> deciding_files(const Listing& listing, const ModelSpec& spec) {
  if (!spec.filter.select_weights_automatically) return {};

  // An error is not reported here: `select_files` meets it again.
  const auto selected = select_build(listed_files(listing), spec.variant, {}, spec.repo.text());
  if (!selected) return {};

  // Of more than that many, the names decide.
  constexpr std::size_t kMaxDecidingFiles = 1'000;
  std::vector<RemoteFile> deciding;
  for (const RemoteFile& file : listing.files)
    if (file.size <= kMaxDecidingFile && selected->deciding.contains(file.path) &&
        deciding.size() < kMaxDecidingFiles)
      deciding.push_back(file);
  return deciding;
}

Result<Selection> select_files(const Listing& listing, const ModelSpec& spec,
                               const DecidingFacts& facts) {
  const bool automatic = spec.filter.select_weights_automatically;
  Result<SelectedFiles> selected = SelectedFiles{};
  if (automatic)
    selected = select_build(listed_files(listing), spec.variant, facts, spec.repo.text());
  if (!selected) return selected.error();

  const PathSelector matches_filter(spec.filter);
  const auto is_wanted = [&](const RepoPath& path) {
    return automatic ? selected->files.contains(path) : matches_filter(path);
  };
  Selection result{automatic ? selected->variant : spec.variant, {}};
  std::ranges::copy_if(listing.files, std::back_inserter(result.files), is_wanted,
                       &RemoteFile::path);

  const auto masked = std::ranges::find_if(listing.masked, is_wanted);
  if (masked != listing.masked.end()) return gated_error(spec, *masked);
  if (auto unusable = find_unusable(listing, spec, matches_filter, result.files.empty()))
    return *unusable;
  if (result.files.empty()) return nothing_selected_error(spec);

  ModelSpec taken = spec;
  taken.variant = result.variant;
  if (Status complete = check_openvino(result.files, taken); !complete) return complete.error();
  return result;
}

Status apply_lock(std::vector<RemoteFile>& files, const ModelSpec& spec) {
  const auto differs = [&](const RemoteFile& file, std::string_view what, const auto& listed,
                           const auto& locked) {
    return lock_error(spec, file.path,
                      fmt::format("the Hub lists {} {}, the lock says {}", what, listed, locked));
  };

  std::size_t found = 0;
  for (RemoteFile& file : files) {
    const auto locked = spec.lock.find(file.path);
    if (locked == spec.lock.end()) continue;
    ++found;

    const LockedFile& lock = locked->second;
    if (file.size != lock.size) return differs(file, "size", file.size, lock.size);
    if (file.blob != lock.blob())
      return differs(file, "digest", file.blob.hex(), lock.blob().hex());
    file.locked_sha256 = lock.sha256;
    file.locked = true;
  }

  if (!spec.fully_locked || found == spec.lock.size()) return ok();
  for (const auto& entry : spec.lock)
    if (std::ranges::find(files, entry.first, &RemoteFile::path) == files.end())
      return lock_error(spec, entry.first,
                        "the lock contains this file, but the Hub does not list it");
  return ok();
}

std::vector<RemoteFile> locked_files(const ModelSpec& spec) {
  std::vector<RemoteFile> files;
  for (const auto& [path, lock] : spec.lock)
    files.push_back({.path = path,
                     .size = lock.size,
                     .blob = lock.blob(),
                     .oid = lock.git_sha1,
                     .locked_sha256 = lock.sha256,
                     .xet_hash = {},
                     .locked = true});
  return files;
}

}  // namespace model_prep
