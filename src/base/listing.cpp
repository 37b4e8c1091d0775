// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/listing.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {

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

}  // namespace model_prep
