// SPDX-License-Identifier: Apache-2.0
// cleanup killed at any instant, and during downloads of the revisions that it removes.
#include <signal.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "black_box/parallel.h"
#include "black_box/test_host.h"
#include "black_box/tree_check.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

const std::string kOld(40, 'a');
const std::string kNew(40, 'b');

/// Two commits that share every other file.
HubRepo two_commits(int files) {
  HubRepo repo;
  repo.id = "org/two";
  repo.refs = {{"main", kNew}, {"v1", kOld}};
  for (const std::string& commit : {kOld, kNew})
    for (int i = 0; i < files; ++i) {
      const std::uint64_t seed =
          static_cast<std::uint64_t>(i) + (i % 2 == 0 || commit == kOld ? 0U : 10'000U);
      repo.commits[commit].push_back({"part" + std::to_string(i % 7) + "/" + std::to_string(i),
                                      MadeUpBytes{1000 + i, seed}, i % 3 == 0});
    }
  return repo;
}

struct Moving {
  FakeHub hub;
  HubRepo repo;
  TestHost machine{hub};

  explicit Moving(int files) : repo(two_commits(files)) {
    hub.add(repo);
    machine.use_manifest(R"({"version":1,"models":{"two":{"repo":"org/two","revision":")" + kNew +
                         "\"}}}");
    REQUIRE(machine.run({"org/two@" + kOld}).exit_code == 0);
    REQUIRE(machine.run({"two"}).exit_code == 0);
  }
  fs::path in_repo(const std::string& path) const {
    return machine.cache() / "models--org--two" / path;
  }
};

bool is_lock(const std::string& path) { return path.starts_with(".locks"); }

}  // namespace

TEST_CASE(
    "cleanup killed or stopped at any instant leaves a valid cache, and the next one finishes") {
  const Moving moving(300);
  const fs::path copy = moving.machine.folder() / "copy";
  fs::copy(moving.machine.cache(), copy,
           fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  HubRepo only = moving.repo;
  only.commits.erase(kOld);
  Tree wanted = published(only);
  std::erase_if(wanted, [](const auto& entry) { return is_lock(entry.first); });
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  int kills = 0;
  for (int life = 0; life < (is_long_run() ? 30 : 4); ++life) {
    fs::remove_all(moving.machine.cache());
    fs::copy(copy, moving.machine.cache(),
             fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    for (int kill = 0; kill < 5; ++kill) {
      const auto program = moving.machine.start({"cleanup"});
      std::this_thread::sleep_for(
          std::chrono::microseconds(std::uniform_int_distribution(2'000, 60'000)(random)));
      program->send_signal(kill % 2 == 0 ? SIGKILL : SIGTERM);
      const ProgramResult result = program->wait();
      kills += result.signal || result.exit_code == 128 + SIGTERM ? 1 : 0;
      if (!result.signal) CHECK((result.exit_code == 0 || result.exit_code == 128 + SIGTERM));
      CHECK(wrong_in(moving.machine.cache(), {moving.repo}) == std::vector<std::string>());
    }
    CHECK(moving.machine.run({"cleanup"}).exit_code == 0);
    Tree there = tree_of(moving.machine.cache());
    std::erase_if(there, [](const auto& entry) { return is_lock(entry.first); });
    CHECK(there == wanted);
  }
  CHECK(kills > 2);
}

TEST_CASE("downloads of revisions that cleanup removes at the same time succeed") {
  const Moving moving(60);
  std::atomic<bool> done = false;
  std::atomic<int> cleanups = 0;
  std::vector<std::string> wrong;
  std::jthread cleaner([&] {
    while (!done) {
      const auto result = moving.machine.start({"cleanup", "--summary", "-"})->wait();
      if (result.exit_code != 0) wrong.push_back("cleanup: " + result.err);
      ++cleanups;
    }
  });
  std::vector<std::string> failed;
  for (int i = 0; i < (is_long_run() ? 200 : 20); ++i) {
    const std::string model = i % 3 == 0 ? "two" : "org/two@" + kOld;
    const auto result = moving.machine.start({model, "--summary", "-"})->wait();
    if (result.exit_code != 0) failed.push_back(result.err);
  }
  done = true;
  cleaner.join();
  CHECK(failed == std::vector<std::string>());
  CHECK(wrong == std::vector<std::string>());
  CHECK(cleanups > 2);
  CHECK(wrong_in(moving.machine.cache(), {moving.repo}) == std::vector<std::string>());
  CHECK(moving.machine.run({"two", "--offline"}).exit_code == 0);
  CHECK(moving.machine.run({"cleanup"}).exit_code == 0);
  CHECK_FALSE(fs::exists(moving.in_repo("snapshots/" + kOld)));
}

}  // namespace model_prep::testing
