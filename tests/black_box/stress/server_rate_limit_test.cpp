// SPDX-License-Identifier: Apache-2.0
// Rate limits and Retry-After: when requests arrive at a hub that asked for a pause, read from its
// log.
#include <algorithm>
#include <chrono>
#include <optional>

#include "black_box/parallel.h"
#include "black_box/test_host.h"
#include "support/catch.h"
#include "support/hub_http.h"

namespace model_prep::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::system_clock;

/// LFS files: each needs one request to the hub's resolver and one to the payload host.
HubRepo crowd(int count) {
  std::vector<HubFile> files = {{"config.json", "{}"}};
  for (int i = 0; i < count; ++i)
    files.push_back({"part/" + std::to_string(i) + ".json",
                     MadeUpBytes{3000 + i, static_cast<std::uint64_t>(i)}, true});
  return make_repo("org/crowd", std::move(files));
}

struct Wish {
  const char* name;
  HeaderList headers;
  milliseconds quiet;  ///< at least so long
};

std::size_t refusals(const std::vector<LoggedRequest>& log) {
  return static_cast<std::size_t>(std::count_if(
      log.begin(), log.end(), [](const LoggedRequest& request) { return request.status == 429; }));
}

struct Seen {
  Run run;
  std::vector<LoggedRequest> log;
  bool is_whole = false;
};

Seen run_against(const HubRepo& repo, const HubOptions& options, const std::string& jobs,
                 const std::optional<Fault>& fault, const std::vector<std::string>& more = {}) {
  FakeHub hub(options);
  hub.add(repo);
  if (fault) hub.add(*fault);
  const TestHost machine(hub);
  std::vector<std::string> arguments = {"org/crowd", "--jobs", jobs};
  arguments.insert(arguments.end(), more.begin(), more.end());
  Seen seen{.run = machine.run(arguments), .log = hub.requests(), .is_whole = false};
  seen.is_whole = tree_of(machine.cache()) == published(repo);
  return seen;
}

}  // namespace

TEST_CASE("one 429 holds back all requests to that host until its time has passed") {
  // A date has whole seconds, so up to one second of the wait may be over already.
  const std::vector<Wish> wishes = {
      {"seconds", {{"Retry-After", "2"}}, milliseconds(2000)},
      {"a date",
       {{"Retry-After", http_date(system_clock::now() + seconds(4))}},
       milliseconds(2000)},
      {"a window", {{"RateLimit", "\"resolvers\";r=0;t=1"}}, milliseconds(2000)},
      {"both", {{"Retry-After", "1"}, {"RateLimit", "\"resolvers\";r=0;t=2"}}, milliseconds(3000)}};
  const HubRepo repo = crowd(60);
  std::vector<Seen> seen(wishes.size());
  in_parallel(wishes.size(), wishes.size(), [&](std::size_t i) {
    seen[i] = run_against(
        repo, {}, "8",
        Fault{.on = Fault::On::resolve, .skip = 12, .what = Status{429, wishes[i].headers}});
  });
  for (std::size_t i = 0; i < wishes.size(); ++i) {
    INFO(wishes[i].name << seen[i].run.err);
    CHECK(seen[i].run.exit_code == 0);
    CHECK(seen[i].is_whole);
    const auto& log = seen[i].log;
    REQUIRE(refusals(log) == 1);
    const auto no = std::find_if(log.begin(), log.end(),
                                 [](const auto& request) { return request.status == 429; });
    // Requests in flight when the 429 arrived are allowed; they are few and arrive soon.
    const auto in_flight = milliseconds(700);
    std::size_t under_way = 0;
    for (const LoggedRequest& request : log) {
      if (request.origin != "hub" || request.at <= no->at) continue;
      const auto since = std::chrono::duration_cast<milliseconds>(request.at - no->at);
      if (since < in_flight) ++under_way;
      INFO(request.target << " after " << since.count() << " ms");
      CHECK((since < in_flight || since >= wishes[i].quiet));
    }
    CHECK(under_way <= 8);
  }
}

TEST_CASE("a run that sees a rate-limit window close pauses before it is refused") {
  const std::vector<std::pair<std::string, std::size_t>> cases = {{"1", 0}, {"8", 1}};
  HubOptions options;
  options.rate_limit = RateLimit{.api = 100, .resolvers = 30, .window = seconds(2)};
  const HubRepo repo = crowd(50);
  std::vector<Seen> seen(cases.size());
  in_parallel(cases.size(), cases.size(), [&](std::size_t i) {
    seen[i] = run_against(repo, options, cases[i].first, std::nullopt);
  });
  for (std::size_t i = 0; i < cases.size(); ++i) {
    INFO(cases[i].first << " jobs" << seen[i].run.err);
    CHECK(seen[i].run.exit_code == 0);
    CHECK(seen[i].is_whole);
    CHECK(refusals(seen[i].log) <= cases[i].second);
    CHECK(seen[i].run.summary["duration_s"] >= 1.5);  // two windows
    CHECK(contains(seen[i].run.err, " is used up: continuing in "));
    CHECK(contains(seen[i].run.err, "; with a token, in HF_TOKEN, it may allow more"));
  }
}

TEST_CASE("--deadline bounds every wait that a server requests") {
  const HeaderList long_window = {{"RateLimit", "\"api\";r=0;t=3600"}};
  const std::string date = http_date(system_clock::now() + seconds(3600));
  const std::vector<Fault> faults = {
      {.on = Fault::On::repo_info, .what = Status{429, {{"Retry-After", "3600"}}}},
      {.on = Fault::On::repo_info, .what = Status{503, {{"Retry-After", date}}}},
      {.on = Fault::On::repo_info, .what = ChangeHeaders{.set = long_window}},
      {.on = Fault::On::tree, .what = Status{429, long_window}},
      {.on = Fault::On::resolve, .what = ChangeHeaders{.set = long_window}},
      {.on = Fault::On::payload, .what = Status{503, {{"Retry-After", "3600"}}}}};
  // More files than connections, so that some are requested after the first responses on any
  // machine.
  const HubRepo repo = crowd(40);
  std::vector<Seen> seen(faults.size());
  in_parallel(faults.size(), faults.size(), [&](std::size_t i) {
    seen[i] = run_against(repo, {}, "8", faults[i], {"--deadline", "1"});
  });
  for (const Seen& one : seen) {
    INFO(one.run.err);
    CHECK(one.run.exit_code == 1);
    CHECK(one.run.error_kind("org/crowd") == "deadline");
    CHECK(one.run.summary["duration_s"] < 3.0);
  }
}

}  // namespace model_prep::testing
