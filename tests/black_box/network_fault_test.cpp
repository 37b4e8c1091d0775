// SPDX-License-Identifier: Apache-2.0
// Network faults (docs/reliability.md): what is retried, what is not, and that wrong bytes are
// never published.
#include <algorithm>
#include <chrono>

#include "support/catch.h"
#include "support/hub_http.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::system_clock;

/// A hub with one repository, and a machine that downloads it.
struct NetworkFaultCase {
  FakeHub hub;
  HubRepo repo;
  TestHost machine{hub};

  explicit NetworkFaultCase(HubRepo served = small_repo()) : repo(std::move(served)) {
    hub.add(repo);
  }
  Run run(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {repo.id};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return machine.run(arguments);
  }
  bool nothing_is_published() const {
    const fs::path folder = machine.cache() / ("models--org--" + repo.id.substr(4));
    return !fs::exists(folder / "refs") && !fs::exists(blob_of(machine, repo, kWeights)) &&
           !fs::exists(folder / "snapshots" / main_of(repo));
  }
};

struct Named {
  const char* name;
  Fault fault;
};

}  // namespace

TEST_CASE("transient failures are retried, and the tree is right") {
  const Named named = GENERATE(
      Named{"a 503 for the payload", {.on = Fault::On::payload, .what = Status{503}}},
      Named{"a 500 for the address", {.on = Fault::On::resolve, .what = Status{500}}},
      Named{"a 502 for the listing", {.on = Fault::On::tree, .what = Status{502}}},
      Named{"a 408 for the commit", {.on = Fault::On::repo_info, .what = Status{408}}},
      Named{"a 429 without a time", {.on = Fault::On::resolve_cache, .what = Status{429}}},
      Named{"a reset before the answer", {.on = Fault::On::payload, .what = Reset{}}},
      Named{"a reset in the body", {.on = Fault::On::payload, .what = Reset{.after = 70'000}}},
      Named{"a reset of the listing", {.on = Fault::On::tree, .what = Reset{.after = 100}}},
      Named{"a body cut short", {.on = Fault::On::payload, .what = ShortBody{1000}}});
  NetworkFaultCase one;
  one.hub.add(named.fault);
  INFO(named.name);
  const Run run = one.run();
  CHECK(run.exit_code == 0);
  CHECK(run.summary["totals"]["retries"] == 1);
  CHECK(tree_of(one.machine.cache()) == published(one.repo));
}

TEST_CASE("a response without a length is accepted") {
  NetworkFaultCase one;
  one.hub.add(Fault{.on = Fault::On::payload, .times = -1, .what = Chunked{}});
  CHECK(one.run().exit_code == 0);
  CHECK(tree_of(one.machine.cache()) == published(one.repo));
}

TEST_CASE("a stalled transfer is aborted after --timeout and retried") {
  NetworkFaultCase one;
  one.hub.add(Fault{.on = Fault::On::payload, .what = Stall{.after = 0}});
  const Run run = one.run({"--timeout", "1"});
  CHECK(run.exit_code == 0);
  CHECK(run.summary["totals"]["retries"] == 1);
}

TEST_CASE("a hub that never responds is a timeout") {
  NetworkFaultCase one;
  one.hub.add(Fault{.on = Fault::On::repo_info, .times = -1, .what = Stall{}});
  const Run run = one.run({"--timeout", "1", "--retries", "1"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "timeout");
}

TEST_CASE("a file resumes where its connection was lost") {
  NetworkFaultCase one(large_repo(6 * kMB));
  one.hub.add(Fault{.on = Fault::On::payload, .what = Reset{.after = 3 * kMB}});
  CHECK(one.run({"--jobs", "1"}).exit_code == 0);
  CHECK(sent_of(one.hub, kWeights) == 6 * kMB);
  CHECK(tree_of(one.machine.cache()) == published(one.repo));
}

TEST_CASE("a file fails after as many consecutive failures as --retries allows") {
  NetworkFaultCase one;
  one.hub.add(Fault{.on = Fault::On::payload, .times = -1, .what = Status{503}});
  const Run run = one.run({"--retries", "2"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "server");
  CHECK(one.hub.requests("payload").size() == 2);
  CHECK(one.nothing_is_published());
}

TEST_CASE("Retry-After, as seconds or as a date, is the minimum wait") {
  const bool as_date = GENERATE(false, true);
  NetworkFaultCase one;
  const std::string wait = as_date ? http_date(system_clock::now() + seconds(3)) : "1";
  one.hub.add(Fault{.on = Fault::On::tree, .what = Status{503, {{"Retry-After", wait}}}});
  const Run run = one.run();
  CHECK(run.exit_code == 0);
  CHECK(run.summary["duration_s"] >= 1.0);
}

TEST_CASE("an exhausted RateLimit window is waited out") {
  NetworkFaultCase one;
  one.hub.add(
      Fault{.on = Fault::On::repo_info, .what = Status{429, {{"RateLimit", "\"api\";r=0;t=1"}}}});
  const Run run = one.run();
  CHECK(run.exit_code == 0);
  CHECK(run.summary["duration_s"] >= 2.0);
}

TEST_CASE("a host's Retry-After also delays its other requests") {
  NetworkFaultCase one;
  one.hub.add(Fault{.on = Fault::On::resolve, .what = Status{429, {{"Retry-After", "3600"}}}});
  const Run run = one.run({"--jobs", "1", "--deadline", "1"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "deadline");
  CHECK(one.hub.requests("resolve").size() == 1);
}

TEST_CASE("wrong bytes are fetched once more from byte 0") {
  NetworkFaultCase one;
  const Named named = GENERATE(
      Named{"a flipped byte", {.on = Fault::On::payload, .what = FlipByte{1000}}},
      Named{"a flipped byte of a plain file",
            {.on = Fault::On::resolve_cache, .what = FlipByte{0}}},
      Named{"an encoding nobody asked for", {.on = Fault::On::payload, .what = ContentEncoding{}}},
      Named{"a range that cannot be", {.on = Fault::On::payload, .what = Status{416}}});
  INFO(named.name);
  one.hub.add(named.fault);
  CHECK(one.run().exit_code == 0);
  CHECK(tree_of(one.machine.cache()) == published(one.repo));
}

TEST_CASE("a file whose bytes are wrong twice fails the model, and nothing of it is published") {
  NetworkFaultCase one;
  one.hub.add(Fault{.on = Fault::On::payload, .times = -1, .what = FlipByte{1000}});
  const Run run = one.run();
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "digest_mismatch");
  CHECK(one.hub.requests("payload").size() == 2);
  CHECK(one.nothing_is_published());
  CHECK(leftovers_in(one.machine.cache()).empty());
}

TEST_CASE("one flipped byte among many ranges is detected") {
  NetworkFaultCase one(large_repo(20 * kMB));
  one.hub.add(Fault{.on = Fault::On::payload, .what = FlipByte{17 * kMB}});
  CHECK(one.run().exit_code == 0);
  CHECK(tree_of(one.machine.cache()) == published(one.repo));
}

TEST_CASE("a large file is fetched in ranges, each requested from the Hub") {
  NetworkFaultCase one(large_repo(20 * kMB));
  CHECK(one.run().exit_code == 0);
  const auto payload = one.hub.requests("payload");
  CHECK(payload.size() >= 4);
  CHECK(std::all_of(payload.begin(), payload.end(),
                    [](const auto& request) { return request.status == 206; }));
  CHECK(sent_of(one.hub, kWeights) == 20 * kMB);
}

TEST_CASE("from a server that ignores ranges, the file is fetched in one piece") {
  NetworkFaultCase one(large_repo(20 * kMB));
  one.hub.add(Fault{.on = Fault::On::payload, .times = -1, .what = RangeIgnored{}});
  CHECK(one.run().exit_code == 0);
  CHECK(tree_of(one.machine.cache()) == published(one.repo));
}

TEST_CASE("a stray 200 to a ranged request costs no byte that is on disk") {
  NetworkFaultCase one(large_repo(20 * kMB));
  one.hub.add(Fault{.on = Fault::On::payload, .skip = 2, .what = RangeIgnored{}});
  const Run run = one.run({"--jobs", "1"});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(tree_of(one.machine.cache()) == published(one.repo));
  const auto payload = one.hub.requests("payload");
  CHECK(std::count_if(payload.begin(), payload.end(),
                      [](const auto& request) { return request.status == 200; }) == 1);
  CHECK_FALSE(contains(run.err, "downloading the file in one request"));
}

TEST_CASE("a partial response that does not say that it is all of its range is not used") {
  const auto ranges = [](const std::string& given) {
    return given.empty() ? ChangeHeaders{.remove = {"Content-Range"}}
                         : ChangeHeaders{.set = {{"Content-Range", given}}};
  };
  const std::string given = GENERATE("", "bytes 0-4999999/*", "bytes 0-9/20000000");
  CAPTURE(given);
  NetworkFaultCase one(large_repo(20 * kMB));
  // All but the request for the whole file have a range.
  one.hub.add(Fault{.on = Fault::On::payload, .times = 2, .what = ranges(given)});
  const Run run = one.run({"--jobs", "1"});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(tree_of(one.machine.cache()) == published(one.repo));
  CHECK(one.hub.requests("payload").back().status == 200);
}

TEST_CASE("a file that is served as a web page is taken if it is the right one") {
  NetworkFaultCase one(GENERATE(small_repo(), large_repo(20 * kMB)));
  one.hub.add(Fault{.on = Fault::On::resolve_cache,
                    .times = -1,
                    .what = ChangeHeaders{.set = {{"Content-Type", "text/html"}}}});
  one.hub.add(Fault{.on = Fault::On::payload,
                    .times = -1,
                    .what = ChangeHeaders{.set = {{"Content-Type", "text/html; charset=utf-8"}}}});
  CHECK(one.run().exit_code == 0);
  CHECK(tree_of(one.machine.cache()) == published(one.repo));
}

TEST_CASE("a response with the wrong range is refused before its first byte is used") {
  NetworkFaultCase one(large_repo(20 * kMB));
  one.hub.add(Fault{.on = Fault::On::payload, .times = -1, .what = WrongRange{1}});
  const Run run = one.run();
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/large") == "protocol");
  CHECK(one.nothing_is_published());
}

TEST_CASE("a response with another total size restarts the file once") {
  NetworkFaultCase one(large_repo(20 * kMB));
  const int times = GENERATE(1, -1);
  one.hub.add(Fault{.on = Fault::On::payload, .times = times, .what = WrongTotal{1}});
  const Run run = one.run();
  CHECK(run.exit_code == (times == 1 ? 0 : 1));
  CHECK(run.error_kind("org/large") == (times == 1 ? "none" : "protocol"));
}

TEST_CASE("a captive portal's page, a redirect loop or a broken response is refused at once") {
  NetworkFaultCase one;
  const std::string self = "/org/small/resolve/" + main_of(one.repo) + "/" + kWeights;
  const Named named = GENERATE_REF(
      Named{"a page for the commit", {.on = Fault::On::repo_info, .times = -1, .what = Html{}}},
      Named{"a page for the listing", {.on = Fault::On::tree, .times = -1, .what = Html{}}},
      Named{"a page for weights", {.on = Fault::On::payload, .times = -1, .what = Html{}}},
      Named{"half a listing", {.on = Fault::On::tree, .times = -1, .what = GarbageJson{}}},
      Named{"a listing that is no list",
            {.on = Fault::On::tree, .times = -1, .what = BodyOverride{"{}"}}},
      Named{"a redirect in a circle",
            {.on = Fault::On::resolve, .file = kWeights, .times = -1, .what = Redirect{self}}},
      Named{"a redirect to no address",
            {.on = Fault::On::resolve, .file = kWeights, .times = -1, .what = Redirect{""}}},
      Named{"a redirect to a file",
            {.on = Fault::On::resolve, .times = -1, .what = Redirect{"file:///etc/passwd"}}},
      Named{"a body too long", {.on = Fault::On::payload, .times = -1, .what = LongBody{100}}});
  INFO(named.name);
  one.hub.add(named.fault);
  const Run run = one.run();
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "protocol");
  CHECK(run.summary["totals"]["retries"] == 0);
  CHECK(one.hub.requests().size() < 20);
  CHECK(one.nothing_is_published());
}

TEST_CASE("a signed URL that has expired is asked for again, also for a file that decides") {
  const std::string index = R"({"weight_map":{"w":"model-00001-of-00001.safetensors"}})";
  NetworkFaultCase one(
      make_repo("org/sharded", {{"config.json", "{}"},
                                {"model.safetensors.index.json", index, true},
                                {"model-00001-of-00001.safetensors", MadeUpBytes{900, 1}, true}}));
  one.hub.add(Fault{.on = Fault::On::payload, .path = "index.json", .what = ExpiredSignature{}});
  const Run run = one.run();
  INFO(run.err);
  CHECK(run.exit_code == 0);
}

TEST_CASE("an expired signed URL is requested again without a wait") {
  NetworkFaultCase one;
  one.hub.add(Fault{.on = Fault::On::payload, .what = ExpiredSignature{}});
  const Run run = one.run();
  CHECK(run.exit_code == 0);
  CHECK(run.summary["totals"]["retries"] == 0);
  CHECK(one.hub.requests("payload").size() == 2);
}

TEST_CASE("signed URLs that are always expired are not requested forever") {
  NetworkFaultCase one;
  one.hub.add(Fault{.on = Fault::On::payload, .times = -1, .what = ExpiredSignature{}});
  const Run run = one.run();
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "protocol");
  CHECK(one.hub.requests("payload").size() == 3);
}

TEST_CASE("a listing of sizes beyond any disk is refused without an overflow") {
  NetworkFaultCase one;
  const auto entry = [](const std::string& path, char digit) {
    return nlohmann::json{{"type", "file"},
                          {"oid", std::string(40, digit)},
                          {"size", 9'000'000'000'000'000'000},
                          {"path", path}};
  };
  const nlohmann::json listing = {entry("a", 'a'), entry("b", 'b'), entry("c", 'c')};
  one.hub.add(Fault{.on = Fault::On::tree, .times = -1, .what = BodyOverride{listing.dump()}});
  const Run run = one.run();
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "protocol");
  CHECK(one.hub.requests("resolve").empty());
}

TEST_CASE("an endpoint without a server is a network error") {
  const TestHost machine([] {
    FakeHub gone;
    return gone.endpoint();
  }());
  const Run run = machine.run({"org/small", "--retries", "1"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "network");
}

}  // namespace model_prep::testing
