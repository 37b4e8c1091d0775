// SPDX-License-Identifier: Apache-2.0
// Random series of faults against the real program: the right tree, or an error that is explained
// and does not recur without faults. (With far more faults, in virtual time:
// tests/core/scheduler_random_faults_test.cpp.)
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

constexpr std::int64_t kKiB = 1024;
const std::string kFaultyRepo = "org/faults";

/// One hub, one machine, and a random series of faults.
class FaultSeries {
 public:
  FaultSeries(unsigned seed, int files) : random_(seed), repo_(make(files)) { hub_.add(repo_); }

  /// Transient faults, each on a request that cannot be avoided.
  void add_transient_faults() {
    for (const HubFile& file : repo_.commits.at(main_of(repo_))) {
      const auto on = file.lfs ? Fault::On::payload : Fault::On::resolve_cache;
      if (file.path == kWeights) {
        for (int i = 0; i < 8; ++i)
          add({.on = on, .file = file.path, .what = Reset{.after = from(300, 900) * kKiB}});
        continue;
      }
      if (from(0, 3) == 0) add({.on = Fault::On::resolve, .file = file.path, .what = transient()});
      if (from(0, 2) == 0) add({.on = on, .file = file.path, .what = transient()});
      // Wrong bytes are fetched again once, and a signed URL is requested twice.
      if (from(0, 4) == 0) add({.on = on, .file = file.path, .what = FlipByte{from(0, 300)}});
      if (from(0, 4) == 0 && file.lfs)
        add({.on = on, .file = file.path, .what = ExpiredSignature{}});
    }
    add({.on = Fault::On::repo_info, .what = transient()});
    add({.on = Fault::On::tree, .what = transient()});
  }

  /// One permanent fault.
  void add_permanent_fault() {
    const Fault::What bad[] = {
        Html{}, Status{400}, Status{418}, FlipByte{1}, Redirect{"ftp://127.0.0.1/"}, LongBody{9}};
    const auto& files = repo_.commits.at(main_of(repo_));
    const HubFile& file =
        files[static_cast<std::size_t>(from(1, static_cast<int>(files.size()) - 1))];
    hub_.add(Fault{.on = file.lfs ? Fault::On::payload : Fault::On::resolve_cache,
                   .file = file.path,
                   .times = -1,
                   .what = bad[from(0, 5)]});
  }

  Run run() { return machine_.run({kFaultyRepo, "--retries", "50", "--timeout", "20"}); }
  void clear_faults() { hub_.clear_faults(); }

  std::vector<std::string> wrong_after(const Run& run) const {
    std::vector<std::string> wrong = wrong_in(machine_.cache(), {repo_});
    if (run.exit_code == 0) {
      if (tree_of(machine_.cache()) != published(repo_)) wrong.emplace_back("another tree");
      return wrong;
    }
    const nlohmann::json error = run.model(kFaultyRepo)["error"];
    if (error.is_null() || error["message"].get<std::string>().size() < 20)
      wrong.emplace_back("no explanation");
    if (std::filesystem::exists(machine_.cache() / "models--org--faults/refs"))
      wrong.emplace_back("a ref exists");
    return wrong;
  }

  int faults = 0;
  std::size_t requests() const { return hub_.requests().size(); }

 private:
  static HubRepo make(int count) {
    std::vector<HubFile> files = {{kWeights, MadeUpBytes{9 * kMiB, 9}, true}};
    for (int i = 0; i < count; ++i) {
      const std::string name = "part" + std::to_string(i % 5) + "/" + std::to_string(i) + ".json";
      files.push_back(
          {name, MadeUpBytes{400 + 131 * i, static_cast<std::uint64_t>(i)}, i % 2 == 0});
    }
    return make_repo(kFaultyRepo, std::move(files));
  }

  int from(int least, int most) { return std::uniform_int_distribution(least, most)(random_); }

  Fault::What transient() {
    constexpr int kStatuses[] = {408, 425, 429, 500, 502, 503, 504};
    switch (from(0, 6)) {
      case 0: return Reset{};
      case 1: return Reset{.after = from(0, 300)};
      case 2: return ShortBody{from(1, 300)};
      case 3: return Stall{.after = from(-1, 300), .lasting = milliseconds(from(1, 400))};
      case 4: return Chunked{};
      case 5: return Redirect{"http://127.0.0.1:1/"};
      default: return Status{kStatuses[from(0, 6)]};
    }
  }

  void add(const Fault& fault) {
    hub_.add(fault);
    ++faults;
  }

  std::mt19937 random_;
  HubRepo repo_;
  FakeHub hub_;
  const TestHost machine_{hub_};
};

struct Lane {
  std::vector<std::string> wrong;
  std::string log;
  int faults = 0;
  std::size_t requests = 0;
};

}  // namespace

TEST_CASE("transient faults never fail a run, and a permanent one is reported") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  const std::size_t count = is_long_run() ? 24 : 6;
  const int files = is_long_run() ? 250 : 70;
  std::vector<Lane> lanes(count);
  in_parallel(count, count, [&](std::size_t i) {
    Lane& lane = lanes[i];
    FaultSeries series(seed + static_cast<unsigned>(i), files);
    const bool permanent = i % 3 == 2;
    if (permanent) series.add_permanent_fault();
    series.add_transient_faults();
    const Run run = series.run();
    lane.wrong = series.wrong_after(run);
    if (run.exit_code != (permanent ? 1 : 0))
      lane.wrong.push_back("exit code " + std::to_string(run.exit_code));
    lane.log = run.err;
    lane.faults = series.faults;
    lane.requests = series.requests();
    series.clear_faults();
    const Run after = series.run();
    for (const std::string& wrong : series.wrong_after(after))
      lane.wrong.push_back("without faults: " + wrong);
    if (after.exit_code != 0) lane.wrong.emplace_back("it still fails without faults");
  });
  int faults = 0;
  std::size_t requests = 0;
  for (const Lane& lane : lanes) {
    INFO(lane.log);
    CHECK(lane.wrong == std::vector<std::string>());
    faults += lane.faults;
    requests += lane.requests;
  }
  std::cout << "random faults: seed " << seed << ", " << faults << " faults in " << count
            << " runs, " << requests << " requests\n";
}

TEST_CASE(
    "a connection that keeps dropping still delivers, as long as each attempt makes progress") {
  const int breaks = is_long_run() ? 60 : 6;
  FakeHub hub;
  const HubRepo repo = large_repo(breaks * 400 * kKiB);
  hub.add(repo);
  hub.add(Fault{.on = Fault::On::payload, .times = breaks, .what = Reset{.after = 300 * kKiB}});
  const TestHost machine(hub);
  const Run run = machine.run({"org/large", "--jobs", "1", "--retries", is_long_run() ? "5" : "2"});
  CHECK(run.exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
  CHECK(run.summary["totals"]["retries"] == breaks);
  CHECK(sent_of(hub, kWeights) == breaks * 400 * kKiB);
}

TEST_CASE("a connection that keeps dropping before making progress fails the file") {
  FakeHub hub;
  hub.add(large_repo(4 * kMiB));
  hub.add(Fault{.on = Fault::On::payload, .times = -1, .what = Reset{.after = 60 * kKiB}});
  const TestHost machine(hub);
  const Run run = machine.run({"org/large", "--jobs", "1", "--retries", "3"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/large") == "network");
  CHECK(hub.requests("payload").size() == 3);
}

}  // namespace model_prep::testing
