// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/listing.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

/// Every name but those of directories, sorted. They are parts of `listing`.
std::vector<std::string_view> names_of(const Listing& listing) {
  std::vector<std::string_view> names(listing.unusable.begin(), listing.unusable.end());
  names.reserve(listing.size());
  for (const RemoteFile& file : listing.files) names.push_back(file.path.text());
  for (const RepoPath& path : listing.masked) names.push_back(path.text());
  if (!std::ranges::is_sorted(names)) std::ranges::sort(names);
  return names;
}

}  // namespace

void append(Listing& listing, Listing page) {
  std::ranges::move(page.files, std::back_inserter(listing.files));
  std::ranges::move(page.masked, std::back_inserter(listing.masked));
  std::ranges::move(page.unusable, std::back_inserter(listing.unusable));
  std::ranges::move(page.folders, std::back_inserter(listing.folders));
}

void add_missing(Listing& listing, Listing more) {
  const auto known = names_of(listing);
  const auto is_known = [&](std::string_view name) {
    return std::ranges::binary_search(known, name);
  };
  std::erase_if(more.files, [&](const RemoteFile& file) { return is_known(file.path.text()); });
  std::erase_if(more.masked, [&](const RepoPath& path) { return is_known(path.text()); });
  std::erase_if(more.unusable, is_known);
  append(listing, std::move(more));
}

std::optional<std::string> empty_folder(const Listing& listing) {
  const auto names = names_of(listing);
  for (const std::string& folder : listing.folders) {
    const std::string inside = folder + "/";
    const auto first = std::ranges::lower_bound(names, inside);
    if (first == names.end() || !first->starts_with(inside)) return folder;
  }
  return std::nullopt;
}

Status check_listing(Listing& listing, std::string_view object) {
  const auto error = [&](std::string_view path, const char* what) {
    return Error{ErrorKind::protocol,
                 fmt::format("{}: the Hub lists '{}' {}", object, truncated(path), what)};
  };

  // A record's are in order.
  if (!std::ranges::is_sorted(listing.files, {}, &RemoteFile::path))
    std::ranges::sort(listing.files, {}, &RemoteFile::path);

  // Files of one digest share a blob. If it had two sizes, the result of a run would depend on
  // which of the files is fetched.
  std::vector<const RemoteFile*> by_blob;
  for (const RemoteFile& file : listing.files) by_blob.push_back(&file);
  std::ranges::sort(by_blob, {}, &RemoteFile::blob);
  for (std::size_t i = 1; i < by_blob.size(); ++i)
    if (by_blob[i]->blob == by_blob[i - 1]->blob && by_blob[i]->size != by_blob[i - 1]->size)
      return error(by_blob[i]->path.text(),
                   "with the digest of another file, but a different size");

  const auto paths = names_of(listing);
  const auto twice = std::ranges::adjacent_find(paths);
  if (twice != paths.end()) return error(*twice, "twice");

  // No parent of a path may be a file.
  for (const std::string_view path : paths)
    for (std::size_t slash = path.find('/'); slash != std::string_view::npos;
         slash = path.find('/', slash + 1))
      if (std::ranges::binary_search(paths, path.substr(0, slash)))
        return error(path.substr(0, slash), "both as a file and as a directory");
  return ok();
}

}  // namespace model_prep
