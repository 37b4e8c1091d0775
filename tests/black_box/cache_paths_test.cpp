// SPDX-License-Identifier: Apache-2.0
// Where files go for every combination of variables, and the legacy directories that link there
// (docs/cache-layout.md).
#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

const std::string kFolder = "models--org--small";

/// The real directory that `place` leads to, relative to the machine's directory; empty if there is
/// none.
std::string real_folder(const TestHost& machine, const fs::path& place) {
  std::error_code error;
  const fs::path real = fs::canonical(place / kFolder, error);
  return error ? std::string() : real.lexically_relative(machine.folder()).string();
}

struct CachePlace {
  const char* name;
  ProgramEnvironment variables;      ///< paths below the machine's folder
  std::vector<std::string> options;  ///< likewise, of --cache-dir
  std::string cache;
  std::vector<std::string> legacy_dirs;
};

ProgramEnvironment absolute(const TestHost& machine, ProgramEnvironment variables) {
  for (auto& [name, value] : variables)
    if (!value.empty()) value = machine.folder() / value;
  return variables;
}

}  // namespace

TEST_CASE("the cache is where the variables say, and the legacy directories link to it") {
  const CachePlace place = GENERATE(
      CachePlace{"HF_HOME", {{"HF_HOME", "m"}}, {}, "m/hub", {"m"}},
      CachePlace{"HF_HOME and TRANSFORMERS_CACHE alike",
                 {{"HF_HOME", "m"}, {"TRANSFORMERS_CACHE", "m"}},
                 {},
                 "m/hub",
                 {"m"}},
      CachePlace{"TRANSFORMERS_CACHE elsewhere",
                 {{"HF_HOME", "m"}, {"TRANSFORMERS_CACHE", "t"}},
                 {},
                 "m/hub",
                 {"m", "t"}},
      CachePlace{
          "HF_HUB_CACHE", {{"HF_HOME", "m"}, {"HF_HUB_CACHE", "c"}}, {}, "c", {"m", "m/hub"}},
      CachePlace{
          "HUGGINGFACE_HUB_CACHE", {{"HF_HOME", ""}, {"HUGGINGFACE_HUB_CACHE", "c"}}, {}, "c", {}},
      CachePlace{"the newer of two",
                 {{"HF_HUB_CACHE", "c"}, {"HUGGINGFACE_HUB_CACHE", "d"}, {"HF_HOME", "m"}},
                 {},
                 "c",
                 {"m"}},
      CachePlace{
          "--cache-dir", {{"HF_HOME", "m"}, {"HF_HUB_CACHE", "c"}}, {"x"}, "x", {"m", "m/hub"}},
      CachePlace{"a flat cache in HF_HOME", {{"HF_HOME", "m"}}, {"m"}, "m", {"m/hub"}},
      CachePlace{"XDG_CACHE_HOME",
                 {{"HF_HOME", ""}, {"XDG_CACHE_HOME", "x"}},
                 {},
                 "x/huggingface/hub",
                 {}},
      CachePlace{"HOME", {{"HF_HOME", ""}, {"HOME", "h"}}, {}, "h/.cache/huggingface/hub", {}});
  INFO(place.name);
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  std::vector<std::string> arguments = {"org/small", "--summary", "-"};
  for (const std::string& folder : place.options) {
    arguments.insert(arguments.end(), {"--cache-dir", machine.folder() / folder});
  }
  const Run run = machine.run(arguments, absolute(machine, place.variables));
  CHECK(run.exit_code == 0);
  CHECK(nlohmann::json::parse(run.out)["cache_dir"] == (machine.folder() / place.cache).string());
  CHECK(real_folder(machine, machine.folder() / place.cache) == place.cache + "/" + kFolder);
  for (const std::string& view : place.legacy_dirs) {
    CHECK(real_folder(machine, machine.folder() / view) == place.cache + "/" + kFolder);
    CHECK(fs::read_symlink(machine.folder() / view / kFolder).is_relative());
  }
}

TEST_CASE("a real repository in a legacy directory stays where it is and is used") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small", "--cache-dir", machine.home()}).exit_code == 0);
  fs::remove_all(machine.cache());  // the link to the flat cache
  hub.clear_requests();
  const Run run = machine.run({"org/small"});
  CHECK(run.exit_code == 0);
  CHECK(hub.requests("payload").empty());
  CHECK_FALSE(fs::is_symlink(machine.home() / kFolder));
  CHECK(fs::read_symlink(machine.cache() / kFolder) == "../" + kFolder);
}

TEST_CASE("a dry run adopts nothing, but counts what a legacy directory holds") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small", "--cache-dir", machine.home()}).exit_code == 0);
  fs::remove_all(machine.cache());
  const Run run = machine.run({"org/small", "--dry-run"});
  CHECK(run.exit_code == 0);
  CHECK(contains(run.out, "0.0 kB to download"));
  CHECK_FALSE(fs::exists(machine.cache()));
}

TEST_CASE("a second real copy in a legacy directory is reported and left alone") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  write_text(machine.cache() / kFolder / "blobs/x", "");
  write_text(machine.home() / kFolder / "of-another-tool", "");
  const Run run = machine.run({"org/small"});
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err, "is a separate directory"));
  CHECK(fs::exists(machine.home() / kFolder / "of-another-tool"));
}

TEST_CASE("a removed link in a legacy directory is recreated without a request") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small@" + main_of(repo)}).exit_code == 0);
  fs::remove(machine.home() / kFolder);
  hub.clear_requests();
  CHECK(machine.run({"org/small@" + main_of(repo)}).exit_code == 0);
  CHECK(hub.requests().empty());
  CHECK(fs::read_symlink(machine.home() / kFolder) == "hub/" + kFolder);
}

TEST_CASE("a dangling link in a legacy directory is repaired") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  fs::create_directories(machine.home());
  fs::create_symlink("nowhere", machine.home() / kFolder);
  CHECK(machine.run({"org/small"}).exit_code == 0);
  CHECK(fs::read_symlink(machine.home() / kFolder) == "hub/" + kFolder);
}

TEST_CASE("a cache behind a symlink is used at its real location") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  fs::create_directories(machine.folder() / "volume");
  fs::create_directory_symlink("volume", machine.folder() / "home");
  CHECK(machine.run({"org/small"}).exit_code == 0);
  CHECK(tree_of(machine.folder() / "volume/hub") == published(repo));
}

TEST_CASE("the summary is written to HF_HOME, or to the cache if only the cache is named") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small"}).exit_code == 0);
  CHECK(fs::exists(machine.summary()));
  const fs::path cache = machine.folder() / "cache";
  REQUIRE(machine.run({"org/small"}, {{"HF_HOME", ""}, {"HF_HUB_CACHE", cache}}).exit_code == 0);
  CHECK(fs::exists(cache / "model-prep-summary.json"));
}

TEST_CASE("neither HOME nor HF_HOME is needed if the cache is named") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const ProgramEnvironment bare = {{"HF_HOME", ""}};
  CHECK(machine.run({"org/small", "--cache-dir", machine.folder() / "c"}, bare).exit_code == 0);
  const Run nowhere = machine.run({"org/small"}, bare);
  CHECK(nowhere.exit_code == 1);
  CHECK(contains(nowhere.err, "HF_HOME"));
}

}  // namespace model_prep::testing
