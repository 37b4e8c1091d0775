// SPDX-License-Identifier: Apache-2.0
// A temporary directory for one test, below $TMPDIR, and what tests read and write in it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace model_prep::testing {

/// Created by the constructor. The destructor removes it with all its content, including
/// directories without permissions.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// Empty if the file cannot be read.
std::string read_text(const std::filesystem::path& file);
/// Creates the directories above the file.
void write_text(const std::filesystem::path& file, const std::string& text);

}  // namespace model_prep::testing
