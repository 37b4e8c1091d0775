// SPDX-License-Identifier: Apache-2.0
// The rules about includes, calls and files that docs/developing/architecture.md, section 2,
// states, checked by reading the sources; and that every test file is built.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "repository.h"
#include "support/catch.h"

namespace {

namespace fs = std::filesystem;
using model_prep::testing::kRoot;
using model_prep::testing::read_text;

struct Source {
  std::string name;   // include/model_prep/base/error.h
  std::string layer;  // base
  std::vector<std::string> lines;
};

std::vector<Source> read_sources() {
  std::vector<Source> sources;
  for (const char* top : {"include", "src"}) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kRoot / top)) {
      if (entry.path().extension() != ".h" && entry.path().extension() != ".cpp") continue;
      Source source{
          entry.path().lexically_relative(kRoot), entry.path().parent_path().filename(), {}};
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) source.lines.push_back(line);
      sources.push_back(std::move(source));
    }
  }
  return sources;
}

const std::vector<Source>& sources() {
  static const std::vector<Source> all = read_sources();
  return all;
}

/// The names in its #include lines, without quotes and brackets.
std::vector<std::string> includes(const Source& source) {
  std::vector<std::string> found;
  for (const std::string& line : source.lines) {
    if (!line.starts_with("#include")) continue;
    const std::size_t open = line.find_first_of("<\"");
    found.push_back(line.substr(open + 1, line.find_first_of(">\"", open + 1) - open - 1));
  }
  return found;
}

bool begins_with_any(const std::string& text, const std::vector<std::string>& beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](const std::string& beginning) { return text.starts_with(beginning); });
}

using Names = std::set<std::string>;

Names sources_that_include(const std::string& beginning) {
  Names names;
  for (const Source& source : sources())
    for (const std::string& include : includes(source))
      if (include.starts_with(beginning)) names.insert(source.name);
  return names;
}

Names sources_that_contain(const std::string& text) {
  Names names;
  for (const Source& source : sources())
    for (const std::string& line : source.lines)
      if (line.substr(0, line.find("//")).find(text) != std::string::npos)
        names.insert(source.name);
  return names;
}

bool is_standard_cxx(const std::string& include) {
  return include.find_first_of("./") == std::string::npos;
}

/// base, core, and the part of report that only makes text and values.
bool is_pure(const std::string& name) {
  return begins_with_any(
      name, {"include/model_prep/base/", "src/base/", "include/model_prep/core/", "src/core/",
             "include/model_prep/report/progress_tracker.", "src/report/progress_tracker.",
             "include/model_prep/report/progress_view.", "src/report/progress_view.",
             "include/model_prep/report/run_summary_text.", "src/report/run_summary_text.",
             "include/model_prep/report/table.", "src/report/table."});
}

}  // namespace

TEST_CASE("the sources are found") { CHECK(sources().size() > 40); }

TEST_CASE("an include only points down the layers") {
  const std::vector<std::string> layers = {"base", "core", "io", "report", "cli", "commands"};

  for (const Source& source : sources()) {
    const auto own = std::find(layers.begin(), layers.end(), source.layer);
    if (own == layers.end()) continue;  // main.cpp

    for (const std::string& include : includes(source)) {
      if (!include.starts_with("model_prep/")) continue;
      CAPTURE(source.name, include);
      const auto other = std::find_if(layers.begin(), layers.end(), [&](const std::string& layer) {
        return include.starts_with("model_prep/" + layer + "/");
      });
      CHECK(other <= own);
    }
  }
}

TEST_CASE("headers do not include each other in a circle") {
  std::map<std::string, Names> edges;
  for (const Source& source : sources()) {
    if (!source.name.ends_with(".h")) continue;
    Names& targets = edges[source.name];
    for (const std::string& include : includes(source))
      if (include.starts_with("model_prep/")) targets.insert("include/" + include);
  }

  // Remove headers that include no remaining header until none is left; a circle never gets there.
  while (!edges.empty()) {
    Names leaves;
    for (const auto& [header, targets] : edges)
      if (targets.empty()) leaves.insert(header);
    if (leaves.empty()) break;

    for (const std::string& leaf : leaves) edges.erase(leaf);
    for (auto& [header, targets] : edges)
      std::erase_if(targets, [&](const std::string& target) { return leaves.contains(target); });
  }

  Names circular;
  for (const auto& [header, targets] : edges) circular.insert(header);
  CHECK(circular == Names{});
}

TEST_CASE("the pure layers include no threads, files, clocks or processes") {
  const Names impure = {"thread",  "mutex",    "condition_variable", "atomic", "future",
                        "fstream", "iostream", "shared_mutex",       "random", "cstdio",
                        "csignal", "cstdlib",  "filesystem",         "ctime"};

  for (const Source& source : sources()) {
    if (!is_pure(source.name)) continue;
    for (const std::string& include : includes(source)) {
      CAPTURE(source.name, include);
      CHECK_FALSE(impure.contains(include));
      CHECK((is_standard_cxx(include) ||
             begins_with_any(include, {"model_prep/", "fmt/", "nlohmann/"})));
      CHECK_FALSE(include.starts_with("model_prep/io/"));
    }
  }
}

// Without --long, the thread sanitizer watches only io.
TEST_CASE("only io has threads") {
  for (const char* header : {"thread", "mutex", "shared_mutex", "atomic", "future",
                             "condition_variable", "semaphore", "latch", "barrier"}) {
    for (const std::string& name : sources_that_include(header)) {
      CAPTURE(header, name);
      CHECK(begins_with_any(name, {"include/model_prep/io/", "src/io/"}));
    }
  }
}

TEST_CASE("the pure layers read no clock and no environment, and throw no exceptions") {
  for (const char* call : {"::now(", "getenv", "std::rand", "random_device", "throw "}) {
    for (const std::string& name : sources_that_contain(call)) {
      CAPTURE(call, name);
      CHECK_FALSE(is_pure(name));
    }
  }
}

TEST_CASE("each third-party library has one owner") {
  // For transfers, and for its URL parser, so that all code reads a URL in the same way.
  CHECK(sources_that_include("curl/") == Names{"src/io/http.cpp", "src/io/libcurl_info.cpp",
                                               "src/io/libcurl_response.cpp",
                                               "src/io/transfer_error.cpp", "src/io/url.cpp"});
  // For digests, and for what libcurl has no option for: CA certificates in addition to the
  // system's, and the names in a certificate.
  CHECK(sources_that_include("openssl/") == Names{"include/model_prep/io/openssl.h",
                                                  "src/io/hasher.cpp", "src/io/model_signature.cpp",
                                                  "src/io/signature.cpp", "src/io/tls.cpp"});
  CHECK(sources_that_include("model_prep/io/openssl.h") ==
        Names{"src/io/model_signature.cpp", "src/io/signature.cpp", "src/io/tls.cpp"});
  CHECK(sources_that_include("CLI/") == Names{"src/cli/command_line.cpp"});
  CHECK(sources_that_include("spdlog/") == Names{"src/report/log.cpp"});
}

TEST_CASE("only the listed sources read or write JSON") {
  CHECK(sources_that_include("nlohmann/") ==
        Names{"src/core/bom.cpp", "src/core/json_reader.cpp", "src/core/lock_text.cpp",
              "src/core/manifest.cpp", "src/core/oci_image.cpp", "src/core/safetensors.cpp",
              "src/core/snapshot_record.cpp", "src/report/log.cpp", "src/report/summary_json.cpp"});
}

TEST_CASE("no header but the one for OpenSSL includes a header of a third-party library") {
  for (const Source& source : sources()) {
    if (!source.name.ends_with(".h") || source.name == "include/model_prep/io/openssl.h") continue;
    for (const std::string& include : includes(source)) {
      CAPTURE(source.name, include);
      CHECK((is_standard_cxx(include) ||
             begins_with_any(include, {"model_prep/", "sys/", "unistd.h", "fcntl.h"})));
    }
  }
}

TEST_CASE("no source sleeps") { CHECK(sources_that_contain("sleep").empty()); }

TEST_CASE("no source is longer than 450 lines") {
  for (const Source& source : sources()) {
    CAPTURE(source.name);
    CHECK(source.lines.size() <= 450);
  }
}

TEST_CASE("every source begins with its licence, and every header has #pragma once") {
  for (const Source& source : sources()) {
    CAPTURE(source.name);
    REQUIRE_FALSE(source.lines.empty());
    CHECK(source.lines.front() == "// SPDX-License-Identifier: Apache-2.0");
    const bool once =
        std::find(source.lines.begin(), source.lines.end(), "#pragma once") != source.lines.end();
    CHECK(once == source.name.ends_with(".h"));
  }
}

TEST_CASE("the architecture page names every header in its table of modules") {
  const std::string page = read_text(kRoot / "docs/developing/architecture.md");
  const std::size_t begin = page.find("### 2.1 Modules");
  REQUIRE(begin != std::string::npos);
  const std::string table = page.substr(begin, page.find("\n## ", begin) - begin);

  for (const Source& source : sources()) {
    if (!source.name.ends_with(".h")) continue;
    CAPTURE(source.name);
    CHECK(table.find("`" + fs::path(source.name).stem().string() + "`") != std::string::npos);
  }
}

TEST_CASE("every test file is listed in tests/CMakeLists.txt") {
  const std::string list = read_text(kRoot / "tests/CMakeLists.txt");
  std::size_t count = 0;

  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "tests")) {
    const std::string name = entry.path().lexically_relative(kRoot / "tests").string();
    if (!name.ends_with("_test.cpp")) continue;
    CAPTURE(name);
    CHECK(list.find("  " + name + "\n") != std::string::npos);
    ++count;
  }
  CHECK(count > 80);
}
