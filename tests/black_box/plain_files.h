// SPDX-License-Identifier: Apache-2.0
// Folders of plain files, as loaders that want a path find them.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "support/hub_content.h"
#include "test_host.h"

namespace model_prep::testing {

/// By relative path.
using Texts = std::map<std::string, std::string>;

/// The names and contents of a commit's files.
inline Texts texts_of(const HubRepo& repo, const std::string& commit) {
  Texts files;
  for (const HubFile& file : repo.commits.at(commit)) files[file.path] = content_text(file.content);
  return files;
}

inline constexpr const char* kNoRealFile = "no real file";

/// What a folder holds besides the record: real files with one name each. Anything else, and a
/// folder without a file, is `kNoRealFile`.
inline Texts plain_files_in(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  Texts files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().lexically_relative(folder);
    const auto status = fs::symlink_status(entry.path());
    if (fs::is_directory(status) && !fs::is_empty(entry.path())) continue;
    const bool is_real = fs::is_regular_file(status) && fs::hard_link_count(entry.path()) == 1;
    files[name] = is_real ? read_text(entry.path()) : kNoRealFile;
  }
  files.erase(".model-prep.json");
  return files;
}

}  // namespace model_prep::testing
