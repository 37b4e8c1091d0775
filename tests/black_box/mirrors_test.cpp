// SPDX-License-Identifier: Apache-2.0
// Several endpoints: two real servers, of which the first fails in every way.
#include <chrono>
#include <memory>

#include "support/catch.h"
#include "support/reserved_ports.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

const std::string kNobody = "http://127.0.0.1:1";  // no server

std::string list_of(const FakeHub& first, const FakeHub& second) {
  return first.endpoint() + "," + second.endpoint();
}

/// Lines of the log with all of these words.
int lines_with(const std::string& text, const std::string& one, const std::string& other) {
  int found = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    found += contains(line, one) && contains(line, other) ? 1 : 0;
    begin = end + 1;
  }
  return found;
}

bool got_authorization(const FakeHub& hub) {
  for (const LoggedRequest& request : hub.requests())
    if (request.headers.contains("authorization")) return true;
  return false;
}

HubOptions guarded_by(const std::string& token) {
  HubOptions options;
  options.tokens = {token};
  return options;
}

/// Two endpoints: the first fails, the second has the repository.
struct Pair {
  HubRepo repo = small_repo();
  FakeHub first;
  FakeHub second;
  TestHost machine{list_of(first, second)};

  Pair() {
    first.add(repo);
    second.add(repo);
  }
  Run run(std::vector<std::string> arguments = {"org/small"},
          const ProgramEnvironment& changes = {}) const {
    return machine.run(arguments, changes);
  }
  bool is_whole() const { return tree_of(machine.cache()) == published(repo); }
};

}  // namespace

TEST_CASE("with two working endpoints, the first gets every request") {
  const Pair pair;
  const Run run = pair.run();
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(pair.is_whole());
  CHECK(pair.second.requests().empty());
  CHECK(contains(run.err, " at " + pair.first.endpoint()));
  CHECK(run.summary["endpoint"] == pair.first.endpoint());
  CHECK(run.summary["endpoints"] == nlohmann::json{pair.first.endpoint(), pair.second.endpoint()});
}

TEST_CASE("an unreachable endpoint is reported once, and everything comes from the next") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(kNobody + "," + hub.endpoint());
  const Run run = machine.run({"org/small", "--log-level", "debug"});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
  CHECK(lines_with(run.err, "warn", kNobody + " cannot be reached") == 1);
  CHECK(lines_with(run.err, "warn", "using " + hub.endpoint() + " first from now on") == 1);
  CHECK(lines_with(run.err, "warn", kNobody) == 1);
  CHECK(contains(run.err, " at " + hub.endpoint()));
  CHECK(run.summary["totals"]["requests"].get<int>() ==
        static_cast<int>(hub.requests().size()) + 1);
}

TEST_CASE("an endpoint that accepts connections but never responds costs one timeout") {
  Pair pair;
  pair.first.add(Fault{.times = -1, .what = Stall{}});
  const Run run = pair.run({"org/small", "--timeout", "1"});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(pair.is_whole());
  CHECK(pair.first.requests().size() == 1);
  CHECK(lines_with(run.err, pair.first.endpoint(), "did not respond in time") == 1);
}

TEST_CASE("an endpoint with a server error or a rate limit is left at once") {
  Pair pair;
  const int status = GENERATE(500, 503, 429);
  pair.first.add(Fault{.times = -1, .what = Status{status, {{"Retry-After", "300"}}}});
  const auto begun = std::chrono::steady_clock::now();
  const Run run = pair.run({"org/small"});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(pair.is_whole());
  CHECK(pair.first.requests().size() == 1);
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(60));
}

TEST_CASE("whatever one endpoint lacks comes from the next") {
  HubRepo repo = small_repo();
  FakeHub first;
  FakeHub second;
  second.add(repo);
  std::string name = "org/small";
  SECTION("the repository") {}
  SECTION("the commit") {
    name += "@" + main_of(repo);
    first.add(make_repo("org/small", {{"config.json", "{}"}}, std::string(40, 'a')));
  }
  SECTION("a file") {
    first.add(repo);
    first.add(Fault{.on = Fault::On::resolve,
                    .path = "model.safetensors",
                    .times = -1,
                    .what = Status{404, {{"X-Error-Code", "EntryNotFound"}}, "Entry not found"}});
  }
  SECTION("the bytes behind its signed URL") {
    first.add(repo);
    first.add(Fault{.on = Fault::On::payload, .times = -1, .what = ExpiredSignature{}});
  }
  SECTION("valid repository info") {
    first.add(repo);
    first.add(Fault{.on = Fault::On::repo_info, .times = -1, .what = GarbageJson{}});
  }
  SECTION("a valid listing") {
    first.add(repo);
    first.add(Fault{.on = Fault::On::tree, .times = -1, .what = GarbageJson{}});
  }
  SECTION("anything but a captive portal's page") { first.add(Fault{.times = -1, .what = Html{}}); }
  const TestHost machine(list_of(first, second));
  const Run run = machine.run({name});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK_FALSE(first.requests().empty());
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("both forms of the listing are tried on a mirror before the next endpoint is used") {
  HubRepo bare = small_repo();
  bare.has_tree_api = false;
  Pair pair;
  pair.first.add(bare);
  const Run run = pair.run();
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(pair.second.requests().empty());
}

TEST_CASE("a mirror that lists its own branch for every commit is not believed") {
  HubRepo bare = small_repo();
  bare.has_tree_api = false;
  Pair pair;
  pair.first.add(bare);
  const std::string other = R"({"sha":")" + std::string(40, 'b') + R"(","siblings":[]})";
  pair.first.add(Fault{.on = Fault::On::repo_info, .times = -1, .what = BodyOverride{other}});
  const std::string pinned = "org/small@" + main_of(pair.repo);

  const Run alone = pair.run({pinned, "--endpoint", pair.first.endpoint()});
  CHECK(alone.error_kind(pinned) == "protocol");
  CHECK(contains(alone.err, "the response is about another commit"));

  const Run both = pair.run({pinned});
  INFO(both.err);
  CHECK(both.exit_code == 0);
  CHECK(pair.is_whole());
}

TEST_CASE("an endpoint that cannot complete its listing is left at once") {
  Pair pair;
  const std::string folder =
      R"([{"type":"directory","path":"data","oid":")" + std::string(40, 'd') + R"(","size":0}])";
  pair.first.add(Fault{.on = Fault::On::tree, .times = -1, .what = BodyOverride{folder}});
  pair.first.add(Fault{.on = Fault::On::repo_info, .times = -1, .what = Status{503}});
  const Run run = pair.run({"org/small@" + main_of(pair.repo)});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(pair.is_whole());
  CHECK(pair.first.requests("repo_info").size() == 1);
}

TEST_CASE("what the user can do is said, whatever another endpoint answered") {
  FakeHub mirror;
  FakeHub hub;
  const HubRepo repo = small_repo();
  mirror.add(repo);
  mirror.add(Fault{.on = Fault::On::repo_info, .times = -1, .what = GarbageJson{}});
  hub.add(repo);
  hub.add(Fault{.on = Fault::On::repo_info,
                .times = -1,
                .what = Status{403, {{"X-Error-Code", "GatedRepo"}}, "gated"}});
  const TestHost machine(list_of(mirror, hub));
  const Run run = machine.run({"org/small"});
  CHECK(run.error_kind("org/small") == "gated");
}

TEST_CASE("the Hub's reason is told when a mirror redirects to it") {
  FakeHub hub;
  FakeHub mirror;
  const HubRepo repo = small_repo();
  mirror.add(repo);
  hub.add(Fault{.times = -1, .what = Status{403, {{"X-Error-Code", "GatedRepo"}}, "gated"}});
  mirror.add(Fault{.on = Fault::On::resolve,
                   .path = "model.safetensors",
                   .times = -1,
                   .what = Redirect{hub.endpoint() + "/org/small/resolve/main/model.safetensors"}});
  const TestHost machine(mirror);
  const Run run = machine.run({"org/small"});
  INFO(run.err);
  CHECK(run.error_kind("org/small") == "gated");
  CHECK(hub.requests().size() == 1);
}

TEST_CASE("a listing that breaks off is restarted at the next endpoint, from its first page") {
  HubOptions pages;
  pages.page_size = 2;
  FakeHub first(pages);
  FakeHub second;
  const HubRepo repo = small_repo();
  first.add(repo);
  second.add(repo);
  first.add(Fault{.on = Fault::On::tree, .times = -1, .skip = 2, .what = Status{404, {}, "gone"}});
  const TestHost machine(list_of(first, second));
  const Run run = machine.run({"org/small"});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(first.requests("tree").size() == 3);
  CHECK(second.requests("tree").size() == 1);
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("if the listings of both endpoints break off, each is read from the first page once") {
  HubOptions pages;
  pages.page_size = 2;
  FakeHub first(pages);
  FakeHub second(pages);
  const HubRepo repo = small_repo();
  for (FakeHub* hub : {&first, &second}) {
    hub->add(repo);
    for (int skip = 1; skip < 20; skip += 2)  // every second page, so that each first one is there
      hub->add(
          Fault{.on = Fault::On::tree, .times = 1, .skip = skip, .what = Status{404, {}, "gone"}});
  }
  const TestHost machine(list_of(first, second));
  const Run run = machine.run({"org/small", "--deadline", "20"});
  INFO(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "not_found");
  CHECK(first.requests("tree").size() <= 3);
  CHECK(second.requests("tree").size() <= 3);
}

TEST_CASE(
    "the first endpoint that answers decides the commit of a branch, and any may have its files") {
  HubRepo stale =
      make_repo("org/small", {{"config.json", "{\"old\": true}"}}, std::string(40, 'a'));
  HubRepo both = small_repo();
  both.commits[main_of(stale)] = stale.commits.at(main_of(stale));
  FakeHub first;
  FakeHub second;
  first.add(stale);
  second.add(both);
  first.add(Fault{.on = Fault::On::resolve, .times = -1, .what = Reset{}});
  const TestHost machine(list_of(first, second));
  const Run run = machine.run({"org/small"});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(run.model("org/small")["commit"] == main_of(stale));
  CHECK(contains(run.err, "main is aaaaaaaaaaaa at " + first.endpoint()));
  CHECK(tree_of(machine.cache()) == published(stale));
}

TEST_CASE("wrong bytes from one endpoint are replaced by the right ones from another") {
  Pair pair;
  const bool both = GENERATE(false, true);
  pair.first.add(Fault{.file = "model.safetensors", .times = -1, .what = FlipByte{1000}});
  if (both)
    pair.second.add(Fault{.file = "model.safetensors", .times = -1, .what = FlipByte{2000}});
  const Run run = pair.run();
  INFO(run.err);
  CHECK(lines_with(run.err, "hash to", "from " + pair.first.endpoint()) >= 1);
  CHECK(sent_of(pair.first, "model.safetensors") == 300'000);
  CHECK(sent_of(pair.second, "model.safetensors") == 300'000);
  CHECK(run.exit_code == (both ? 1 : 0));
  CHECK(pair.is_whole() == !both);
  if (!both) return;
  CHECK(run.error_kind("org/small") == "digest_mismatch");
  CHECK(lines_with(run.err, pair.first.endpoint() + " sent wrong bytes",
                   pair.second.endpoint() + " sent wrong bytes") >= 1);
  CHECK(leftovers_in(pair.machine.cache()).empty());
}

TEST_CASE("if an endpoint dies in the middle of a file, the next one serves the rest") {
  constexpr std::int64_t kSize = 40'000'000;
  const HubRepo repo = large_repo(kSize);
  const ReservedPorts ports;
  HubOptions slow = ports.options();
  slow.bytes_per_second_per_connection = 4'000'000;
  auto first = std::make_unique<FakeHub>(slow);
  FakeHub second;
  first->add(repo);
  second.add(repo);
  const TestHost machine(list_of(*first, second));
  const auto program = machine.start({"org/large", "--jobs", "2"});
  REQUIRE(first->wait_until(
      [](const auto& log) { return sent_of(log, "model.safetensors") > 6'000'000; }));
  first.reset();
  const Run run = machine.end_of(*program);
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
  CHECK(sent_of(second, "model.safetensors") < kSize);
  CHECK(run.model("org/large")["bytes_downloaded"] == kSize + 2);
}

TEST_CASE("if no endpoint has the file, the error lists every endpoint's answer") {
  FakeHub first;
  FakeHub second;
  const TestHost machine(list_of(first, second));
  const Run run = machine.run({"org/small", "--retries", "1"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "not_found");
  CHECK(lines_with(run.err, first.endpoint() + " does not have it",
                   second.endpoint() + " does not have it") == 1);
}

TEST_CASE("an unreachable endpoint keeps `not_found` from being reported") {
  const FakeHub hub;
  const TestHost machine(hub.endpoint() + "," + kNobody);
  const Run run = machine.run({"org/small", "--retries", "1"});
  INFO(run.err);
  CHECK(run.error_kind("org/small") == "network");
  CHECK(lines_with(run.err, kNobody + " cannot be reached", hub.endpoint() + " does not have it") ==
        1);
}

TEST_CASE("the run's token is sent to no endpoint of a list except the Hub") {
  FakeHub first(guarded_by("hf_secretOfTheRun"));
  FakeHub second(guarded_by("hf_secretOfTheRun"));
  HubRepo closed = small_repo();
  closed.access = HubRepo::Access::gated;
  first.add(closed);
  second.add(closed);
  const TestHost machine(list_of(first, second));
  const Run run =
      machine.run({"org/small", "--log-level", "debug"}, {{"HF_TOKEN", "hf_secretOfTheRun"}});
  INFO(run.err);
  CHECK_FALSE(got_authorization(first));
  CHECK_FALSE(got_authorization(second));
  CHECK(run.error_kind("org/small") == "gated");
  CHECK(contains(run.err, "write it before the host in HF_ENDPOINT"));
  CHECK(lines_with(run.err, first.endpoint(), "is sent no token") == 1);
}

TEST_CASE("a token given with an endpoint is sent only to that endpoint") {
  const std::string token = "hf_xyzzyTOKENxyzzy";
  FakeHub first(guarded_by(token));
  FakeHub second;
  HubRepo closed = small_repo();
  closed.access = HubRepo::Access::gated;
  first.add(closed);
  second.add(small_repo());
  const std::string named = "http://" + token + "@" + first.endpoint().substr(7);
  SECTION("if the run has another token") {
    const TestHost machine(named + "," + second.endpoint());
    const Run run =
        machine.run({"org/small", "--log-level", "debug"}, {{"HF_TOKEN", "hf_another"}});
    INFO(run.err);
    CHECK(run.exit_code == 0);
    CHECK(second.requests().empty());
    for (const LoggedRequest& request : first.requests())
      CHECK(request.headers.contains("authorization") == (request.origin == "hub"));
    CHECK(first.requests("repo_info").front().headers.at("authorization") == "Bearer " + token);
    CHECK_FALSE(contains(run.out + run.err + run.summary.dump(), "xyzzy"));
    CHECK(contains(run.err, "the token is sent to " + first.endpoint() + " unencrypted"));
  }
  SECTION("if it redirects to the other endpoint") {
    first.add(Fault{.on = Fault::On::resolve,
                    .times = -1,
                    .what = Redirect{second.endpoint() + "/org/small/resolve/" + main_of(closed) +
                                     "/config.json"}});
    const TestHost machine(named + "," + second.endpoint());
    static_cast<void>(machine.run({"org/small", "--retries", "1"}));
    CHECK_FALSE(second.requests().empty());
    CHECK(got_authorization(first));
    CHECK_FALSE(got_authorization(second));
  }
  SECTION("if it fails and the other endpoint takes over") {
    first.add(Fault{.on = Fault::On::resolve, .times = -1, .what = Reset{}});
    const TestHost machine(named + "," + second.endpoint());
    CHECK(machine.run({"org/small"}).exit_code == 0);
    CHECK(got_authorization(first));
    CHECK_FALSE(got_authorization(second));
  }
  SECTION("if it is the only endpoint") {
    const TestHost machine(named);
    CHECK(machine.run({"org/small"}).exit_code == 0);
  }
}

TEST_CASE("a mirror below a path, and one without redirects, take over like any other") {
  FakeHub first;
  HubOptions options;
  options.path_prefix = "/hf/mirror";
  options.style = HubOptions::Style::mirror;
  FakeHub second(options);
  const HubRepo repo = small_repo();
  second.add(repo);
  const TestHost machine(first.endpoint() + "/no/such/prefix/," + second.endpoint() + "/");
  const Run run = machine.run({"org/small"});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("--endpoint flags replace the variable's whole list and keep their order") {
  Pair pair;
  const TestHost machine(kNobody);
  const Run run = machine.run({"org/small", "--endpoint", kNobody, "--endpoint",
                               pair.second.endpoint(), "--endpoint", pair.first.endpoint()});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(pair.first.requests().empty());
  CHECK(run.summary["endpoints"].size() == 3);
}

TEST_CASE("lock, lock --check and verify --repair fall back to the next endpoint too") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  TestHost machine(kNobody + "," + hub.endpoint());
  const Run lock = machine.run({"lock", "org/small"});
  INFO(lock.err);
  CHECK(lock.exit_code == 0);
  machine.use_manifest(lock.out);
  CHECK(machine.run({"lock", "--check"}).exit_code == 0);
  CHECK(machine.run({}).exit_code == 0);
  flip_byte(blob_of(machine, repo, "model.safetensors"), 7);
  CHECK(machine.run({"verify", "--repair"}).exit_code == 0);
}

}  // namespace model_prep::testing
