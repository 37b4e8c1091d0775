// SPDX-License-Identifier: Apache-2.0
// Many processes in one cache, some of them killed: each blob is fetched once in all, and the
// survivors succeed.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <random>

#include "black_box/parallel.h"
#include "black_box/test_host.h"
#include "black_box/tree_check.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

using std::chrono::milliseconds;

HubRepo repo_of(const std::string& id, std::uint64_t seed) {
  std::vector<HubFile> files = {{kWeights, MadeUpBytes{6 * kMiB, seed}, true}};
  for (int i = 0; i < 20; ++i)
    files.push_back({"part/" + std::to_string(i) + ".json",
                     MadeUpBytes{500 + 100 * i, seed + 50 + unsigned(i)}, i % 3 == 0});
  return make_repo(id, std::move(files));
}

struct Crowd {
  FakeHub hub{{.bytes_per_second_per_connection = 4 * kMiB}};
  const std::vector<HubRepo> repos = {repo_of("org/one", 1000), repo_of("org/two", 2000),
                                      repo_of("org/three", 3000)};
  const TestHost machine{hub};
  std::vector<std::unique_ptr<RunningProgram>> programs;

  Crowd() {
    for (const HubRepo& repo : repos) hub.add(repo);
  }
  void start(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--jobs", "4", "--summary", "-"});
    programs.push_back(machine.start(arguments));
  }
  Tree wanted(std::size_t count) const {
    Tree tree;
    for (std::size_t i = 0; i < count; ++i) tree = merged(tree, published(repos[i]));
    return tree;
  }
  std::vector<std::string> wrong(std::size_t count) const {
    return differences(machine.cache(), wanted(count));
  }
  /// Bytes of all files that were fetched more than once.
  std::int64_t fetched_too_much(std::size_t count) const {
    const auto log = hub.requests();
    std::int64_t bytes = 0;
    for (const LoggedRequest& request : log)
      if (request.status == 200 || request.status == 206)
        if (!request.file.empty()) bytes += request.body_bytes_sent;
    for (std::size_t i = 0; i < count; ++i)
      for (const HubFile& file : repos[i].commits.at(main_of(repos[i])))
        bytes -= size_of(file.content);
    return bytes;
  }
};

}  // namespace

TEST_CASE("2 to 16 concurrent processes fetch each blob once in all") {
  Crowd crowds[3];
  const std::size_t counts[] = {2, 4, 16};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t started = 0; started < counts[i]; ++started) crowds[i].start({"org/one"});
  for (const Crowd& crowd : crowds) {
    for (const auto& program : crowd.programs) {
      const ProgramResult result = program->wait();
      INFO(result.err);
      CHECK(result.exit_code == 0);
    }
    CHECK(crowd.fetched_too_much(1) == 0);
    CHECK(crowd.wrong(1) == std::vector<std::string>());
  }
}

TEST_CASE("processes with overlapping models fetch each shared blob once") {
  Crowd crowd;
  const std::vector<std::vector<std::string>> wants = {
      {"org/one", "org/two"}, {"org/two", "org/three"}, {"org/three", "org/one"}, {"org/two"}};
  for (const auto& models : wants) crowd.start(models);
  for (const auto& program : crowd.programs) {
    const ProgramResult result = program->wait();
    INFO(result.err);
    CHECK(result.exit_code == 0);
    CHECK(nlohmann::json::parse(result.out)["success"] == true);
  }
  CHECK(crowd.fetched_too_much(3) == 0);
  CHECK(crowd.wrong(3) == std::vector<std::string>());
}

TEST_CASE("when eight of sixteen processes are killed, the others still succeed") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Crowd crowd;
  const std::size_t count = 16;
  for (std::size_t i = 0; i < count; ++i) crowd.start({"org/one", "org/two"});
  int kills = 0;
  for (std::size_t i = 0; i < count / 2; ++i) {
    // Kill after a random number of further bytes.
    const std::int64_t more = std::uniform_int_distribution<std::int64_t>(0, 2 * kMiB)(random);
    const std::int64_t from = sent_of(crowd.hub, kWeights);
    crowd.hub.wait_until([&](const auto& log) { return sent_of(log, kWeights) >= from + more; },
                         milliseconds(1000));
    crowd.programs[i]->send_signal(SIGKILL);
    if (crowd.programs[i]->wait().signal == SIGKILL) ++kills;
    CHECK(wrong_in(crowd.machine.cache(), crowd.repos) == std::vector<std::string>());
  }
  for (std::size_t i = count / 2; i < count; ++i) {
    const ProgramResult result = crowd.programs[i]->wait();
    INFO(result.err);
    CHECK(result.exit_code == 0);
  }
  CHECK(crowd.wrong(2) == std::vector<std::string>());
  const std::int64_t again = crowd.fetched_too_much(2);
  // A kill loses the data in flight and since the last save of the record: at most the process's
  // whole share.
  CHECK(again <= kills * 4 * 4 * kMiB);
  std::cout << "many at once: seed " << seed << ", " << kills << " of " << count << " killed, "
            << again / 1000 << " kB came again\n";
}

TEST_CASE("waiting for a lock ends at --deadline, without affecting the other processes") {
  Crowd crowd;
  crowd.hub.add(Fault{.on = Fault::On::payload,
                      .file = kWeights,
                      .what = Stall{.after = kMiB, .lasting = milliseconds(2500)}});
  crowd.start({"org/one"});
  REQUIRE(crowd.hub.wait_until([](const auto& log) { return sent_of(log, kWeights) >= kMiB; }));
  for (int i = 0; i < 3; ++i) crowd.start({"org/one", "--deadline", "1"});
  crowd.start({"org/one", "--deadline", "60"});
  for (std::size_t i = 0; i < crowd.programs.size(); ++i) {
    const ProgramResult result = crowd.programs[i]->wait();
    const auto summary = nlohmann::json::parse(result.out);
    INFO(result.err);
    const bool is_short = i >= 1 && i <= 3;
    CHECK(result.exit_code == (is_short ? 1 : 0));
    if (is_short) {
      CHECK(summary["models"]["org/one"]["error"]["kind"] == "deadline");
      CHECK(summary["duration_s"] < 2.5);
    }
  }
  CHECK(crowd.fetched_too_much(1) == 0);
  CHECK(crowd.wrong(1) == std::vector<std::string>());
}

}  // namespace model_prep::testing
