// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/listing.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {

Status check_listing(Listing& listing, std::string_view object) {
  const auto error = [&](std::string_view path, const char* what) {
    return Error{ErrorKind::protocol,
                 fmt::format("{}: the Hub lists '{}' {}", object, truncated(path), what)};
  };

  std::ranges::sort(listing.files, {}, &RemoteFile::path);

  // Files of one digest share a blob. If it had two sizes, the result of a run would depend on
  // which of the files is fetched.
  std::vector<const RemoteFile*> by_blob;
  for (const RemoteFile& file : listing.files) by_blob.push_back(&file);
  std::ranges::sort(by_blob, {}, &RemoteFile::blob);
  for (std::size_t i = 1; i < by_blob.size(); ++i)
    if (by_blob[i]->blob == by_blob[i - 1]->blob && by_blob[i]->size != by_blob[i - 1]->size)
      return error(by_blob[i]->path.text(), "with a digest that it also lists with another size");

  std::vector<std::string_view> paths;
  paths.reserve(listing.files.size() + listing.masked.size());
  for (const RemoteFile& file : listing.files) paths.push_back(file.path.text());
  for (const RepoPath& path : listing.masked) paths.push_back(path.text());
  std::ranges::sort(paths);

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
