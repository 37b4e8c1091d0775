// SPDX-License-Identifier: Apache-2.0
// File systems on which locks are refused or do not exclude: the blobs are right, and nothing is
// fetched twice if a resume record can prevent it.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "black_box/test_host.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

std::vector<std::unique_ptr<RunningProgram>> start_all(const TestHost& machine, int count,
                                                       const std::string& model) {
  std::vector<std::unique_ptr<RunningProgram>> programs;
  for (int i = 0; i < count; ++i) programs.push_back(machine.start({model}));
  return programs;
}

/// A slow hub, and a process that is downloading from it.
struct Begun {
  FakeHub hub;
  HubRepo repo = large_repo(30 * kMB);
  TestHost machine{hub};
  std::unique_ptr<RunningProgram> first;

  explicit Begun(const std::vector<std::string>& without = {"flock=0"}) {
    hub.add(repo);
    hub.add(
        Fault{.on = Fault::On::payload, .times = -1, .what = Drip{.bytes_per_second = 500'000}});
    machine.take_away(without);
    first = machine.start({"org/large"});
    REQUIRE(hub.wait_until([](const auto& log) { return sent_of(log, kWeights) >= 4 * kMB; }));
    REQUIRE(has_saved());
  }
  /// Waits for a resume record with ranges in it.
  bool has_saved() const {
    return hub.wait_until([&](const auto&) {
      for (const fs::path& leftover : leftovers_in(machine.cache()))
        if (leftover.extension() == ".resume" &&
            read_text(leftover).find('-', 60) != std::string::npos)
          return true;
      return false;
    });
  }
};

/// A killed writer's small staging files are kept for a day if nothing proves its death.
Tree without_leftovers(const TestHost& machine) {
  Tree tree = tree_of(machine.cache());
  for (const fs::path& path : leftovers_in(machine.cache()))
    tree.erase(path.lexically_relative(machine.cache()));
  return tree;
}

}  // namespace

TEST_CASE(
    "without working locks, concurrent runs end with the right tree and fetch large files once") {
  const std::string rule = GENERATE("flock=0", "flock=ENOSYS", "flock=ENOLCK", "flock=ENOTSUP");
  INFO(rule);
  FakeHub hub;
  const HubRepo repo = large_repo(12 * kMB);
  hub.add(repo);
  hub.add(Fault{.on = Fault::On::payload, .times = -1, .what = Drip{.bytes_per_second = 4 * kMB}});
  TestHost machine(hub);
  machine.take_away({rule});
  auto programs = start_all(machine, 4, "org/large");
  for (const auto& program : programs) CHECK(machine.end_of(*program).exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
  CHECK(sent_of(hub, kWeights) == 12 * kMB);
}

TEST_CASE(
    "without working locks, eight processes at once all download many small files correctly") {
  FakeHub hub;
  std::vector<HubFile> files;
  for (int i = 0; i < 100; ++i)
    files.push_back({"part/" + std::to_string(i),
                     MadeUpBytes{5000 + i, static_cast<std::uint64_t>(i)}, i % 2 == 0});
  const HubRepo repo = make_repo("org/crowd", files);
  hub.add(repo);
  TestHost machine(hub);
  machine.take_away({"flock=0"});
  auto programs = start_all(machine, 8, "org/crowd");
  for (const auto& program : programs) {
    const Run run = machine.end_of(*program);
    CAPTURE(run.err);
    CHECK(run.exit_code == 0);
  }
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("without working locks, a killed writer's file is taken over after its heartbeat stops") {
  Begun begun;
  begun.first->send_signal(SIGKILL);
  begun.first->wait();
  begun.hub.clear_faults();
  begun.hub.clear_requests();
  const Run run = begun.machine.run({"org/large"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err, "waiting for process "));
  CHECK(contains(
      run.err,
      "the process downloading it stopped responding; resuming from a copy of its partial file"));
  CHECK(contains(run.err, "resuming at "));
  CHECK(sent_of(begun.hub, kWeights) < 30 * kMB - kMB);
  CHECK(without_leftovers(begun.machine) == published(begun.repo));
}

TEST_CASE(
    "without working locks, a suspended writer finds its file taken over and still succeeds") {
  Begun begun;
  begun.first->send_signal(SIGSTOP);
  auto second = begun.machine.start({"org/large"});
  REQUIRE(second->wait_for_err("resuming from a copy", std::chrono::seconds(60)));
  begun.first->send_signal(SIGCONT);
  begun.hub.clear_faults();
  const Run woken = begun.machine.end_of(*begun.first);
  CAPTURE(woken.err);
  CHECK(woken.exit_code == 0);
  CHECK(begun.machine.end_of(*second).exit_code == 0);
  CHECK(tree_of(begun.machine.cache()) == published(begun.repo));
}

TEST_CASE("if all lock files are deleted during a download, a second process still waits for it") {
  Begun begun(std::vector<std::string>{});
  const fs::path small = blob_of(begun.machine, begun.repo, "config.json");
  REQUIRE(begun.hub.wait_until([&](const auto&) { return fs::exists(small); }));
  fs::remove_all(begun.machine.cache() / ".locks");
  const auto second = begun.machine.start({"org/large", "--summary", "-"});
  CHECK(second->wait_for_err("waiting for process "));
  begun.hub.clear_faults();
  CHECK(begun.machine.end_of(*begun.first).exit_code == 0);
  const ProgramResult waited = second->wait();
  CAPTURE(waited.err);
  CHECK(waited.exit_code == 0);
  CHECK(nlohmann::json::parse(waited.out)["models"]["org/large"]["bytes_downloaded"] < 100);
  CHECK(sent_of(begun.hub, kWeights) == 30 * kMB);

  // Nobody needed the lock of the small file again.
  Tree expected = published(begun.repo);
  expected.erase(".locks/models--org--large/" + small.filename().string() + ".lock");
  CHECK(tree_of(begun.machine.cache()) == expected);
}

TEST_CASE(
    "without working locks, an empty resume record is waited for as long as a silent writer") {
  FakeHub hub;
  const HubRepo repo = large_repo(3 * kMB);
  hub.add(repo);
  TestHost machine(hub);
  machine.take_away({"flock=0"});
  const fs::path blob = blob_of(machine, repo, kWeights);
  write_text(blob.string() + ".model-prep.resume", "");
  const Run run = machine.run({"org/large", "--deadline", "60"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err, "waiting for another process"));
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("with working locks, a killed writer's partial file is resumed at once, in place") {
  FakeHub hub;
  const HubRepo repo = large_repo(30 * kMB);
  hub.add(repo);
  hub.add(Fault{.on = Fault::On::payload, .times = -1, .what = Drip{.bytes_per_second = 500'000}});
  const TestHost machine(hub);
  auto first = machine.start({"org/large"});
  REQUIRE(hub.wait_until([](const auto& log) { return sent_of(log, kWeights) >= 6 * kMB; }));
  first->send_signal(SIGKILL);
  first->wait();
  hub.clear_faults();
  const Run run = machine.run({"org/large"});
  CHECK(run.exit_code == 0);
  CHECK_FALSE(contains(run.err, "waiting"));
  CHECK(run.summary["duration_s"] < 10.0);
}

}  // namespace model_prep::testing
