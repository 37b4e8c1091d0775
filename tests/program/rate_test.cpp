// SPDX-License-Identifier: Apache-2.0
// A host that says «not now» says it to all: when requests come at the hub, read from its log.
#include <algorithm>
#include <chrono>
#include <ctime>

#include "machine.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// LFS files, so that each asks the hub's resolver once, then the payload host.
HubRepo crowd(int count) {
  std::vector<HubFile> files = {{"config.json", "{}"}};
  for (int i = 0; i < count; ++i)
    files.push_back(
        {"part/" + std::to_string(i) + ".json", MadeUpBytes{3000 + i, static_cast<std::uint64_t>(i)}, true});
  return make_repo("org/crowd", std::move(files));
}

std::string http_date(std::time_t when) {
  char text[64];
  std::tm parts{};
  ::gmtime_r(&when, &parts);
  std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return text;
}

struct Wish {
  const char* name;
  HeaderList headers;
  milliseconds quiet;  ///< at least so long
};

std::size_t refused(const std::vector<LoggedRequest>& log) {
  return static_cast<std::size_t>(
      std::count_if(log.begin(), log.end(), [](const LoggedRequest& request) { return request.status == 429; }));
}

}  // namespace

TEST_CASE("one 429 holds back all requests to that host until its time has passed") {
  const int which = GENERATE(0, 1, 2, 3);
  // A date has whole seconds, so a second of it may be over already.
  const Wish wishes[] = {{"seconds", {{"Retry-After", "2"}}, milliseconds(2000)},
                         {"a date", {{"Retry-After", http_date(std::time(nullptr) + 4)}}, milliseconds(2500)},
                         {"a window", {{"RateLimit", "\"resolvers\";r=0;t=1"}}, milliseconds(2000)},
                         {"both", {{"Retry-After", "1"}, {"RateLimit", "\"resolvers\";r=0;t=2"}}, milliseconds(3000)}};
  const Wish& wish = wishes[which];
  INFO(wish.name);
  FakeHub hub;
  const HubRepo repo = crowd(60);
  hub.add(repo);
  hub.add(Fault{.on = Fault::On::resolve, .skip = 12, .what = Status{429, wish.headers}});
  const Machine machine(hub);
  const Run run = machine.run({"org/crowd", "--jobs", "8"});
  CHECK(run.exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
  const auto log = hub.requests();
  REQUIRE(refused(log) == 1);
  const auto no = std::find_if(log.begin(), log.end(), [](const auto& request) { return request.status == 429; });
  // What was under way when the answer came is nobody's fault; it is there soon, and it is not many.
  const auto in_flight = milliseconds(500);
  std::size_t under_way = 0;
  for (const LoggedRequest& request : log) {
    if (request.origin != "hub" || request.at <= no->at) continue;
    const auto since = std::chrono::duration_cast<milliseconds>(request.at - no->at);
    if (since < in_flight) ++under_way;
    INFO(request.target << " after " << since.count() << " ms");
    CHECK((since < in_flight || since >= wish.quiet));
  }
  CHECK(under_way <= 8);
}

TEST_CASE("a run that sees the end of a window coming waits before it is refused") {
  HubOptions options;
  options.rate_limit = RateLimit{.api = 100, .resolvers = 20, .window = seconds(2)};
  FakeHub hub(options);
  const HubRepo repo = crowd(50);
  hub.add(repo);
  const Machine machine(hub);
  const Run run = machine.run({"org/crowd", "--jobs", "8"});
  CHECK(run.exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
  CHECK(refused(hub.requests()) <= 1);
  CHECK(run.summary["duration_s"] >= 4.0);  // three windows
}

TEST_CASE("the deadline bounds every wait that a server asks for") {
  const HeaderList long_window = {{"RateLimit", "\"api\";r=0;t=3600"}};
  const Fault fault = GENERATE_REF(
      Fault{.on = Fault::On::repo_info, .what = Status{429, {{"Retry-After", "3600"}}}},
      Fault{.on = Fault::On::repo_info, .what = Status{503, {{"Retry-After", http_date(std::time(nullptr) + 3600)}}}},
      Fault{.on = Fault::On::repo_info, .what = ChangeHeaders{.set = long_window}},
      Fault{.on = Fault::On::tree, .what = Status{429, long_window}},
      Fault{.on = Fault::On::payload, .what = Status{503, {{"Retry-After", "3600"}}}});
  FakeHub hub;
  hub.add(crowd(3));
  hub.add(fault);
  const Machine machine(hub);
  const Run run = machine.run({"org/crowd", "--deadline", "1"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/crowd") == "deadline");
  CHECK(run.summary["duration_s"] < 3.0);
}

}  // namespace model_prep::testing
