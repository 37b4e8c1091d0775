// SPDX-License-Identifier: Apache-2.0
// CMakeLists.txt is the only source of the version; this checks the files that repeat it for users.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>

#include "repository.h"
#include "support/catch.h"

namespace {

namespace fs = std::filesystem;

using model_prep::testing::kRoot;

std::string read_file(const fs::path& file) {
  std::ifstream stream(file);
  REQUIRE(stream);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string first_match(const std::string& text, const std::string& pattern) {
  std::smatch match;
  REQUIRE(std::regex_search(text, match, std::regex(pattern)));
  return match[1];
}

std::string project_version() {
  return first_match(read_file(kRoot / "CMakeLists.txt"), R"(project\(model-prep VERSION (\S+))");
}

}  // namespace

TEST_CASE("the Dockerfile builds the version of the project") {
  CHECK(first_match(read_file(kRoot / "Dockerfile"), R"(ARG VERSION=(\S+))") == project_version());
}

TEST_CASE("the Kubernetes files name the image of this version") {
  for (const char* folder : {"docker/kubernetes", "docker/kserve"})
    for (const fs::directory_entry& entry : fs::directory_iterator(kRoot / folder)) {
      CAPTURE(entry.path());
      // In this one only the models come from an image of ours.
      if (entry.path().filename() == "image-volume.yaml") continue;
      CHECK(first_match(read_file(entry.path()), R"(homeiq-model-prep:(\S+))") ==
            project_version());
    }
}
