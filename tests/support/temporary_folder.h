// SPDX-License-Identifier: Apache-2.0
// A folder of its own for one test, below $TMPDIR.
#pragma once

#include <filesystem>
#include <string_view>

namespace model_prep::testing {

/// Made at construction, removed with all that is in it at destruction, also folders without
/// permissions.
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
