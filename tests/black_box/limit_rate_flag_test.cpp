// SPDX-License-Identifier: Apache-2.0
// --limit-rate: never faster and hardly slower, for any number of connections and files; and that
// timeouts, signals and the deadline still work.
#include <signal.h>

#include <algorithm>
#include <chrono>

#include "parallel.h"
#include "support/catch.h"
#include "support/hub_tls.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

using std::chrono::steady_clock;

constexpr double kPiece = 16 * 1024;  // tolerance

HubRepo many_files(int count, std::int64_t size) {
  std::vector<HubFile> files;
  for (int i = 0; i < count; ++i)
    files.push_back({"part/" + std::to_string(i), MadeUpBytes{size, static_cast<std::uint64_t>(i)},
                     i % 2 == 0});
  return make_repo("org/many", std::move(files));
}

double total_of(const HubRepo& repo) {
  double bytes = 0;
  for (const HubFile& file : repo.commits.at(main_of(repo)))
    bytes += static_cast<double>(size_of(file.content));
  return bytes;
}

double seconds_since(steady_clock::time_point begun) {
  return std::chrono::duration<double>(steady_clock::now() - begun).count();
}

struct Limited {
  const char* name;
  HubRepo repo;
  std::string jobs;
  bool tls;
};

}  // namespace

TEST_CASE(
    "a limited run takes as long as its bytes need at that rate, with one connection or eight") {
  const HubRepo large = large_repo(3'000'000);
  const HubRepo many = many_files(150, 20'000);
  const std::vector<Limited> cases = {{"one file, one connection", large, "1", false},
                                      {"one file, eight connections", large, "8", false},
                                      {"one file, one connection, TLS", large, "1", true},
                                      {"one file, eight connections, TLS", large, "8", true},
                                      {"many files", many, "8", false},
                                      {"many files, TLS", many, "8", true}};
  constexpr double kRate = 1024 * 1024;
  std::vector<Run> runs(cases.size());
  std::vector<double> took(cases.size());
  std::vector<char> whole(cases.size());
  in_parallel(cases.size(), cases.size(), [&](std::size_t i) {
    const TestAuthority authority("Test Root");
    HubOptions options;
    if (cases[i].tls) options.tls = authority.certify({});
    FakeHub hub(options);
    hub.add(cases[i].repo);
    const TestHost machine(hub);
    const auto ca = machine.folder() / "root.pem";
    write_text(ca, authority.pem());
    runs[i] = machine.run({cases[i].repo.id, "--limit-rate", "1M", "--jobs", cases[i].jobs},
                          {{"SSL_CERT_FILE", ca}});

    // From the first request for a file: starting up takes long on a busy machine, and is not
    // limited.
    const auto requests = hub.requests();
    const auto first = std::ranges::find(requests, "resolve", &LoggedRequest::kind);
    took[i] = first == requests.end() ? 0 : seconds_since(first->at);
    whole[i] = tree_of(machine.cache()) == published(cases[i].repo) ? 1 : 0;
  });
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const double least = (total_of(cases[i].repo) - kPiece) / kRate;
    INFO(cases[i].name << ": " << took[i] << " s of " << least << "\n" << runs[i].err);
    CHECK(runs[i].exit_code == 0);
    CHECK(whole[i] == 1);
    CHECK(took[i] >= least);
    CHECK(took[i] <= 1.5 * least + (is_sanitized() ? 5 : 1));
    CHECK(runs[i].summary["totals"]["retries"] == 0);
  }
}

TEST_CASE("a transfer throttled by --limit-rate does not count as stalled") {
  FakeHub hub;
  const HubRepo repo = many_files(8, 2'500);
  hub.add(repo);
  const TestHost machine(hub);
  // Each of eight connections gets 1 KiB every two seconds, which is more than the stall timeout.
  const Run run =
      machine.run({"org/many", "--limit-rate", "4K", "--timeout", "1", "--retries", "0"});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(run.summary["totals"]["retries"] == 0);
  CHECK(run.summary["duration_s"] >= (20'000 - 1024) / 4096.0);
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("a stalled server is abandoned despite --limit-rate") {
  FakeHub hub;
  const HubRepo repo = large_repo(1'000'000);
  hub.add(repo);
  hub.add(Fault{.on = Fault::On::payload, .what = Stall{.after = 100'000}});
  const TestHost machine(hub);
  const Run run = machine.run({"org/large", "--limit-rate", "400K", "--timeout", "1"});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(run.summary["totals"]["retries"] >= 1);
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE(
    "--deadline and signals take effect at once while --limit-rate throttles every transfer") {
  FakeHub hub;
  hub.add(large_repo(50'000'000));
  const TestHost machine(hub);
  const Run late = machine.run({"org/large", "--limit-rate", "4K", "--deadline", "1"});
  CHECK(late.exit_code == 1);
  CHECK(late.error_kind("org/large") == "deadline");
  CHECK(late.summary["duration_s"] < 2.0);
  hub.clear_requests();
  const auto program = machine.start({"org/large", "--limit-rate", "4K"});
  REQUIRE(hub.wait_until([](const std::vector<LoggedRequest>& log) {
    return std::any_of(log.begin(), log.end(),
                       [](const LoggedRequest& one) { return one.kind == "payload"; });
  }));
  const auto begun = steady_clock::now();
  ::kill(program->pid(), SIGTERM);
  const Run stopped = machine.end_of(*program);
  CHECK(stopped.exit_code == 143);
  CHECK(seconds_since(begun) < 1);
}

}  // namespace model_prep::testing
