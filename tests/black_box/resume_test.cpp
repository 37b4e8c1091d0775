// SPDX-License-Identifier: Apache-2.0
// Kills, signals, locks and deadlines during a download: nothing partial is visible, and little is
// fetched twice.
#include <signal.h>

#include <algorithm>
#include <chrono>

#include "support/catch.h"
#include "test_host.h"
#include "tree_check.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Sends every payload at this rate.
Fault slow(std::int64_t bytes_per_second) {
  return {
      .on = Fault::On::payload, .times = -1, .what = Drip{.bytes_per_second = bytes_per_second}};
}

auto has_sent(std::int64_t bytes) {
  return [bytes](const std::vector<LoggedRequest>& log) { return sent_of(log, kWeights) >= bytes; };
}

auto has_answered(std::size_t requests) {
  return [requests](const std::vector<LoggedRequest>& log) { return log.size() >= requests; };
}

/// A repository of many small files.
HubRepo crowd() {
  std::vector<HubFile> files;
  for (int i = 0; i < 60; ++i) {
    const std::string number = std::to_string(i);
    files.push_back({"part/" + number + ".bin",
                     MadeUpBytes{2000 + i, static_cast<std::uint64_t>(i)}, i % 2 == 0});
  }
  return make_repo("org/crowd", std::move(files));
}

/// The files with the names of blobs.
std::vector<fs::path> blobs_in(const fs::path& folder) {
  std::vector<fs::path> found;
  if (!fs::exists(folder)) return found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension().empty()) found.push_back(entry.path());
  return found;
}

}  // namespace

TEST_CASE("after SIGKILL in the middle of a file, the next run resumes there") {
  FakeHub hub;
  const HubRepo repo = large_repo(12 * kMB);
  hub.add(repo);
  hub.add(slow(4 * kMB));
  const TestHost machine(hub);
  {
    const auto program = machine.start({"org/large", "--jobs", "1"});
    REQUIRE(hub.wait_until(has_sent(9 * kMB), milliseconds(30'000)));
    program->send_signal(SIGKILL);
    CHECK(program->wait().signal == SIGKILL);
  }
  CHECK_FALSE(fs::exists(blob_of(machine, repo, kWeights)));
  hub.clear_faults();
  hub.clear_requests();
  const Run second = machine.run({"org/large"});
  CHECK(second.exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
  CHECK(sent_of(hub, kWeights) <
        9 * kMB);  // 3 MB were missing, and the 4 MB of one second may be lost
  CHECK(second.model("org/large")["bytes_reused"] > 3 * kMB);
}

TEST_CASE("a download that is killed repeatedly still ends with the right tree") {
  FakeHub hub;
  const HubRepo repo = large_repo(20 * kMB);
  hub.add(repo);
  hub.add(slow(3 * kMB));
  const TestHost machine(hub);
  for (const std::int64_t moment : {0 * kMB, 1 * kMB, 5 * kMB, 8 * kMB}) {
    hub.clear_requests();
    const auto program = machine.start({"org/large", "--jobs", "4"});
    REQUIRE(
        hub.wait_until([&](const auto& log) { return log.size() >= 3 && has_sent(moment)(log); },
                       milliseconds(30'000)));
    program->send_signal(SIGKILL);
    program->wait();
    CHECK_FALSE(fs::exists(machine.cache() / "models--org--large/refs/main"));
  }
  hub.clear_faults();
  CHECK(machine.run({"org/large"}).exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("killed anywhere among many files, a run leaves only complete blobs") {
  FakeHub hub;
  const HubRepo repo = crowd();
  hub.add(repo);
  const TestHost machine(hub);
  for (const std::size_t moment : {1U, 2U, 5U, 20U, 40U, 60U}) {
    hub.clear_requests();
    const auto program = machine.start({"org/crowd"});
    hub.wait_until(has_answered(moment), milliseconds(10'000));
    program->send_signal(SIGKILL);
    program->wait();
    const auto blobs = blobs_in(machine.cache() / "models--org--crowd/blobs");
    CHECK(std::all_of(blobs.begin(), blobs.end(), is_what_its_name_says));
  }
  CHECK(machine.run({"org/crowd"}).exit_code == 0);
  const Tree tree = tree_of(machine.cache());
  const Tree wanted = published(repo);
  CHECK(std::includes(tree.begin(), tree.end(), wanted.begin(), wanted.end()));
}

TEST_CASE(
    "SIGTERM and SIGINT end the run within a second with a summary, and no stored byte is lost") {
  FakeHub hub;
  const HubRepo repo = large_repo(12 * kMB);
  hub.add(repo);
  hub.add(slow(8 * kMB));
  const TestHost machine(hub);
  const int signal = GENERATE(SIGTERM, SIGINT);
  const auto program = machine.start({"org/large", "--jobs", "1"});
  REQUIRE(hub.wait_until(has_sent(4 * kMB), milliseconds(30'000)));
  const auto begun = steady_clock::now();
  program->send_signal(signal);
  const Run run = machine.end_of(*program);
  CHECK(steady_clock::now() - begun < std::chrono::seconds(1));
  CHECK(run.exit_code == 128 + signal);
  CHECK(run.summary["exit_code"] == 128 + signal);
  CHECK(run.model("org/large")["status"] == "interrupted");
  CHECK(run.error_kind("org/large") == "interrupted");
  hub.clear_faults();
  hub.clear_requests();
  CHECK(machine.run({"org/large"}).exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
  CHECK(sent_of(hub, kWeights) <
        9 * kMB);  // everything but the data in kernel buffers was recorded
}

TEST_CASE("a signal while the hub is silent ends the run") {
  FakeHub hub;
  hub.add(small_repo());
  hub.add(Fault{.on = Fault::On::repo_info, .what = Stall{}});
  const TestHost machine(hub);
  const auto program = machine.start({"org/small"});
  REQUIRE(hub.wait_until(has_answered(1)));
  const auto begun = steady_clock::now();
  program->send_signal(SIGTERM);
  const Run run = machine.end_of(*program);
  CHECK(steady_clock::now() - begun < std::chrono::seconds(1));
  CHECK(run.exit_code == 143);
  CHECK(run.model("org/small")["status"] == "interrupted");
}

TEST_CASE("a model completed before the signal stays complete in the summary") {
  FakeHub hub;
  hub.add(small_repo());
  hub.add(large_repo(12 * kMB));
  hub.add(Fault{.on = Fault::On::payload, .file = "config.json", .times = -1, .what = Stall{}});
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small"}).exit_code == 0);
  hub.add(slow(kMB));
  hub.clear_requests();
  const auto program = machine.start({"org/small", "org/large"});
  REQUIRE(hub.wait_until(has_sent(1), milliseconds(30'000)));
  program->send_signal(SIGINT);
  const Run run = machine.end_of(*program);
  CHECK(run.exit_code == 130);
  CHECK(run.model("org/small")["status"] == "cached");
  CHECK(run.model("org/large")["status"] == "interrupted");
}

TEST_CASE("a process waiting for a lock names the holder, and then reuses its file") {
  FakeHub hub;
  const HubRepo repo = large_repo(4 * kMB);
  hub.add(repo);
  hub.add(slow(kMB));
  const TestHost machine(hub);
  const auto first = machine.start({"org/large", "--jobs", "1"});
  REQUIRE(hub.wait_until(has_sent(2 * kMB), milliseconds(30'000)));
  const auto second = machine.start({"org/large", "--summary", "-"});
  CHECK(second->wait_for_err("waiting for"));
  hub.clear_faults();
  CHECK(first->wait().exit_code == 0);
  const ProgramResult result = second->wait();
  CHECK(result.exit_code == 0);
  CHECK(nlohmann::json::parse(result.out)["models"]["org/large"]["bytes_reused"] == 4 * kMB);
  CHECK(sent_of(hub, kWeights) == 4 * kMB);
}

TEST_CASE("--deadline ends a long run, and the next run resumes") {
  FakeHub hub;
  const HubRepo repo = large_repo(12 * kMB);
  hub.add(repo);
  hub.add(slow(4 * kMB));
  const TestHost machine(hub);
  const auto begun = steady_clock::now();
  const Run run = machine.run({"org/large", "--jobs", "1", "--deadline", "1"});
  CHECK(steady_clock::now() - begun < std::chrono::seconds(3));
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/large") == "deadline");
  hub.clear_faults();
  hub.clear_requests();
  CHECK(machine.run({"org/large"}).exit_code == 0);
  CHECK(sent_of(hub, kWeights) < 12 * kMB);
  CHECK(tree_of(machine.cache()) == published(repo));
}

}  // namespace model_prep::testing
