// SPDX-License-Identifier: Apache-2.0
// Checks tests/promises.md: each test that it names exists, each promise names a test, and each
// guarantee of README.md is on it.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "repository.h"
#include "support/catch.h"

namespace {

namespace fs = std::filesystem;
using model_prep::testing::kRoot;
using model_prep::testing::read_text;

std::string promises() { return read_text(kRoot / "tests/promises.md"); }

/// The page's sections, from one heading to the next.
std::vector<std::string> sections_of(const std::string& page) {
  std::vector<std::string> sections;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("### ")) sections.emplace_back();
    if (!sections.empty()) sections.back() += line + "\n";
  }
  return sections;
}

/// The bold beginnings of the numbered list in README.md, without their period.
std::vector<std::string> guarantees() {
  std::vector<std::string> found;
  std::ifstream readme(kRoot / "README.md");
  for (std::string line; std::getline(readme, line);) {
    if (line.find(". **") != 1) continue;
    std::string bold = line.substr(5, line.find("**", 5) - 5);
    if (bold.ends_with('.')) bold.pop_back();
    found.push_back(bold);
  }
  return found;
}

/// All texts in quotation marks.
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

/// `TEST_CASE("…")` in C++; `def test_…` in Python, with spaces for underscores.
std::set<std::string> names_of_tests() {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "tests")) {
    const bool python = entry.path().extension() == ".py";
    if (!python && entry.path().extension() != ".cpp") continue;
    const std::string text = read_text(entry.path());
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
  const auto named = quoted(promises());
  CHECK(named.size() > 100);
  for (const std::string& name : named) {
    CAPTURE(name);
    CHECK(tests.contains(name));
  }
}

TEST_CASE("every promise names a test") {
  const auto sections = sections_of(promises());
  CHECK(sections.size() > 20);
  for (const std::string& section : sections) {
    CAPTURE(section);
    CHECK(section.find("\n- \"") != std::string::npos);
  }
}

TEST_CASE("every guarantee of the README is a promise on the page") {
  const auto wanted = guarantees();
  CHECK(wanted.size() >= 5);
  for (const std::string& guarantee : wanted) {
    CAPTURE(guarantee);
    CHECK(promises().find("\n### " + guarantee + "\n") != std::string::npos);
  }
}
