// SPDX-License-Identifier: Apache-2.0
// The layers are real: which header may include what, read from the sources themselves
// (docs/developing/architecture.md, section 2).
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/catch.h"

namespace {

namespace fs = std::filesystem;

const fs::path kRoot = MODEL_PREP_SOURCE_DIR;

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

/// What stands between the brackets or quotes of its includes.
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

std::set<std::string> sources_that_include(const std::string& beginning) {
  std::set<std::string> names;
  for (const Source& source : sources())
    for (const std::string& include : includes(source))
      if (include.starts_with(beginning)) names.insert(source.name);
  return names;
}

std::set<std::string> sources_that_contain(const std::string& text) {
  std::set<std::string> names;
  for (const Source& source : sources())
    for (const std::string& line : source.lines)
      if (line.substr(0, line.find("//")).find(text) != std::string::npos)
        names.insert(source.name);
  return names;
}

bool is_standard_cxx(const std::string& include) {
  return include.find_first_of("./") == std::string::npos;
}

using Names = std::set<std::string>;

}  // namespace

TEST_CASE("the sources are found") { CHECK(sources().size() > 40); }

TEST_CASE("an include only points down the layers") {
  const std::map<std::string, std::vector<std::string>> allowed = {
      {"base", {"model_prep/base/"}},
      {"core", {"model_prep/base/", "model_prep/core/"}},
      {"io", {"model_prep/base/", "model_prep/core/", "model_prep/io/"}},
      {"report", {"model_prep/base/", "model_prep/core/", "model_prep/io/", "model_prep/report/"}},
      {"cli",
       {"model_prep/base/", "model_prep/core/", "model_prep/io/", "model_prep/report/",
        "model_prep/cli/"}},
      {"commands", {"model_prep/"}},
  };
  for (const Source& source : sources()) {
    const auto found = allowed.find(source.layer);
    if (found == allowed.end()) continue;  // main.cpp
    for (const std::string& include : includes(source)) {
      CAPTURE(source.name, include);
      CHECK((!include.starts_with("model_prep/") || begins_with_any(include, found->second)));
    }
  }
}

TEST_CASE("base and core include nothing that reaches the world") {
  const Names worldly = {
      "thread",  "mutex",    "condition_variable", "atomic", "future", "shared_mutex",
      "fstream", "iostream", "filesystem",         "random", "cstdio", "csignal",
      "cstdlib", "ctime"};
  for (const Source& source : sources()) {
    if (source.layer != "base" && source.layer != "core") continue;
    for (const std::string& include : includes(source)) {
      CAPTURE(source.name, include);
      CHECK_FALSE(worldly.contains(include));
      CHECK((is_standard_cxx(include) ||
             begins_with_any(include, {"model_prep/", "fmt/", "nlohmann/"})));
    }
  }
}

TEST_CASE("base and core ask no clock, no environment and throw nothing of their own") {
  for (const char* call : {"::now(", "getenv", "std::rand", "random_device", "throw "})
    for (const std::string& name : sources_that_contain(call)) {
      CAPTURE(call, name);
      CHECK_FALSE(begins_with_any(
          name, {"include/model_prep/base", "include/model_prep/core", "src/base", "src/core"}));
    }
}

TEST_CASE("each third-party library has one owner") {
  // For transfers; and its parser for addresses, so that nobody else reads them another way.
  CHECK(sources_that_include("curl/") == Names{"src/io/http.cpp", "src/io/libcurl_info.cpp",
                                               "src/io/transfer_error.cpp", "src/io/url.cpp"});
  // For digests; and for what libcurl has no words for: authorities beside the system's, a
  // certificate's names.
  CHECK(sources_that_include("openssl/") == Names{"src/io/hasher.cpp", "src/io/tls.cpp"});
  CHECK(sources_that_include("CLI/") == Names{"src/cli/command_line.cpp"});
  CHECK(sources_that_include("spdlog/") == Names{"src/report/log.cpp"});
}

TEST_CASE("JSON is read and written in five places") {
  CHECK(sources_that_include("nlohmann/") ==
        Names{"src/core/json_reader.cpp", "src/core/manifest.cpp", "src/core/snapshot_record.cpp",
              "src/report/log.cpp", "src/report/summary_json.cpp"});
}

TEST_CASE("no header includes a third party's") {
  for (const Source& source : sources()) {
    if (!source.name.ends_with(".h")) continue;
    for (const std::string& include : includes(source)) {
      CAPTURE(source.name, include);
      CHECK((is_standard_cxx(include) ||
             begins_with_any(include, {"model_prep/", "sys/", "unistd.h", "fcntl.h"})));
    }
  }
}

TEST_CASE("nothing sleeps") { CHECK(sources_that_contain("sleep").empty()); }

TEST_CASE("no source is longer than 450 lines") {
  for (const Source& source : sources()) {
    CAPTURE(source.name);
    CHECK(source.lines.size() <= 450);
  }
}

TEST_CASE("every source says its licence first, and every header is included once") {
  for (const Source& source : sources()) {
    CAPTURE(source.name);
    REQUIRE_FALSE(source.lines.empty());
    CHECK(source.lines.front() == "// SPDX-License-Identifier: Apache-2.0");
    const bool once =
        std::find(source.lines.begin(), source.lines.end(), "#pragma once") != source.lines.end();
    CHECK(once == source.name.ends_with(".h"));
  }
}
