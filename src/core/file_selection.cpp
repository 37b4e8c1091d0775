// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/file_selection.h"

#include <algorithm>
#include <array>
#include <string>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

std::string_view next_code_point(std::string_view& text) {
  std::size_t length = 1;
  while (length < text.size() && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80)
    ++length;
  const std::string_view point = text.substr(0, length);
  text.remove_prefix(length);
  return point;
}

/// Code points in UTF-8 compare as bytes do.
bool in_set(std::string_view set, std::string_view point) {
  while (!set.empty()) {
    const std::string_view low = next_code_point(set);
    if (set.size() > 1 && set.front() == '-') {
      set.remove_prefix(1);
      const std::string_view high = next_code_point(set);
      if (low <= point && point <= high) return true;
    } else if (low == point) {
      return true;
    }
  }
  return false;
}

/// Where the set that begins at `open` (the index of '[') closes; npos: an unclosed '[' is itself.
std::size_t set_end(std::string_view pattern, std::size_t open) {
  std::size_t from = open + 1;
  if (from < pattern.size() && pattern[from] == '!') ++from;
  if (from < pattern.size() && pattern[from] == ']') ++from;  // a first ']' is a member
  return pattern.find(']', from);
}

/// Matches one code point of `text` against the element of `pattern` at `at`; gives the index
/// behind that element.
std::size_t match_one(std::string_view pattern, std::size_t at, std::string_view point) {
  constexpr std::size_t kNo = std::string_view::npos;
  if (pattern[at] == '?') return at + 1;
  if (pattern[at] == '[') {
    if (const std::size_t end = set_end(pattern, at); end != std::string_view::npos) {
      std::string_view set = pattern.substr(at + 1, end - at - 1);
      const bool negated = set.starts_with('!');
      if (negated) set.remove_prefix(1);
      return in_set(set, point) != negated ? end + 1 : kNo;
    }
  }
  return pattern.substr(at).starts_with(point) ? at + point.size() : kNo;
}

/// Greedy with one step back to the last '*': linear for what people write, never exponential.
bool matches(std::string_view pattern, std::string_view text) {
  std::size_t at = 0;
  std::size_t star = std::string_view::npos;
  std::string_view retry_from;
  while (!text.empty()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = ++at;
      retry_from = text;
      continue;
    }
    std::string_view rest = text;
    const std::string_view point = next_code_point(rest);
    const std::size_t next =
        at < pattern.size() ? match_one(pattern, at, point) : std::string_view::npos;
    if (next != std::string_view::npos) {
      at = next;
      text = rest;
    } else if (star != std::string_view::npos) {
      next_code_point(retry_from);
      text = retry_from;
      at = star;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

template <class Patterns>
bool any_matches(const Patterns& patterns, std::string_view path) {
  return std::any_of(std::begin(patterns), std::end(patterns),
                     [&](std::string_view pattern) { return matches_pattern(pattern, path); });
}

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

bool matches_pattern(std::string_view pattern, std::string_view path) {
  std::string slashed(pattern);
  std::replace(slashed.begin(), slashed.end(), '\\', '/');
  if (slashed.ends_with('/')) slashed += '*';
  return matches(slashed, path);
}

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

Status check_listing(Listing& listing, std::string_view object) {
  std::sort(listing.files.begin(), listing.files.end(),
            [](const RemoteFile& a, const RemoteFile& b) { return a.path < b.path; });
  std::vector<std::string_view> names;
  const auto fault = [&](std::string_view path, const char* what) {
    return Error{ErrorKind::protocol,
                 fmt::format("{}: the hub lists '{}' {}", object, truncated(path), what),
                 {}};
  };
  names.reserve(listing.files.size() + listing.masked.size());
  for (const RemoteFile& file : listing.files) names.push_back(file.path.text());
  for (const RepoPath& path : listing.masked) names.push_back(path.text());
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) return fault(*twice, "twice");
  for (const std::string_view path : names)
    for (std::size_t slash = path.find('/'); slash != std::string_view::npos;
         slash = path.find('/', slash + 1))
      if (std::binary_search(names.begin(), names.end(), path.substr(0, slash)))
        return fault(path.substr(0, slash), "as file and as folder");
  return ok();
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
