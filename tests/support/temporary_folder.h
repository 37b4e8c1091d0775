// SPDX-License-Identifier: Apache-2.0
// A temporary directory for one test, below $TMPDIR.
#pragma once

#include <filesystem>
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

}  // namespace model_prep::testing
