// SPDX-License-Identifier: Apache-2.0
// Checks that every test that tests/promises.md names exists.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "support/catch.h"

namespace {

namespace fs = std::filesystem;

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// All that stands between two quotation marks.
std::set<std::string> quoted(const std::string& text) {
  std::set<std::string> found;
  for (std::size_t open = text.find('"'); open != std::string::npos;) {
    const std::size_t close = text.find('"', open + 1);
    if (close == std::string::npos) break;
    found.insert(text.substr(open + 1, close - open - 1));
    open = text.find('"', close + 1);
  }
  return found;
}

/// `TEST_CASE("…")` of C++, `def test_…` of Python with blanks for underscores.
std::set<std::string> names_of_tests() {
  std::set<std::string> names;
  for (const auto& entry :
       fs::recursive_directory_iterator(fs::path(MODEL_PREP_SOURCE_DIR) / "tests")) {
    const bool python = entry.path().extension() == ".py";
    if (!python && entry.path().extension() != ".cpp") continue;
    const std::string text = read_all(entry.path());
    const std::string mark = python ? "def test_" : "TEST_CASE(";
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) {
      std::size_t begin = at + mark.size();
      if (!python) begin = text.find('"', begin) + 1;
      std::string name = text.substr(begin, text.find(python ? '(' : '"', begin) - begin);
      if (python) std::replace(name.begin(), name.end(), '_', ' ');
      names.insert(name);
    }
  }
  return names;
}

}  // namespace

TEST_CASE("every test named on the page of promises exists") {
  const auto tests = names_of_tests();
  const auto named = quoted(read_all(fs::path(MODEL_PREP_SOURCE_DIR) / "tests/promises.md"));
  CHECK(named.size() > 50);
  for (const std::string& name : named) {
    CAPTURE(name);
    CHECK(tests.contains(name));
  }
}
