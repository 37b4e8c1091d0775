// SPDX-License-Identifier: Apache-2.0
// Errors of the Hub, the token and the command line: the model fails with a kind and a hint, and
// the others are downloaded.
#include <algorithm>

#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

const std::string kHubToken = "hf_theSecretOfThisTest";

HubOptions with_tokens() {
  HubOptions options;
  options.tokens = {kHubToken};
  options.tokens_without_access = {"hf_withoutAccess"};
  return options;
}

HubRepo closed_repo(HubRepo::Access access) {
  HubRepo repo = small_repo("org/closed");
  repo.access = access;
  return repo;
}

std::string hint_of(const Run& run, const std::string& key) {
  const nlohmann::json hint = run.model(key)["error"]["hint"];
  return hint.is_string() ? hint.get<std::string>() : "";
}

struct Refusal {
  const char* name;
  HubRepo::Access access;
  std::string token;
  std::string wanted;
  std::string kind;
  std::string hint;  ///< a part of it
};

}  // namespace

TEST_CASE("a refused model fails with its kind and hint while another continues") {
  const Refusal refusal = GENERATE(
      Refusal{"missing", HubRepo::Access::open, "", "org/nowhere", "not_found", "HF_TOKEN"},
      Refusal{"missing, with a token", HubRepo::Access::open, kHubToken, "org/nowhere", "not_found",
              "spelling"},
      Refusal{"private", HubRepo::Access::private_, "", "org/closed", "not_found", "HF_TOKEN"},
      Refusal{"gated, without a token", HubRepo::Access::gated, "", "org/closed", "gated",
              "HF_TOKEN"},
      Refusal{"gated, not granted", HubRepo::Access::gated, "hf_withoutAccess", "org/closed",
              "gated", "org/closed"},
      Refusal{"gated and masked", HubRepo::Access::gated_masked, "", "org/closed", "gated",
              "HF_TOKEN"},
      Refusal{"disabled", HubRepo::Access::disabled, "", "org/closed", "disabled", "another model"},
      Refusal{"no such branch", HubRepo::Access::open, "", "org/closed@nowhere",
              "revision_not_found", "branch"},
      Refusal{"no such commit", HubRepo::Access::open, "", "org/closed@" + std::string(40, 'e'),
              "revision_not_found", "commit"});
  INFO(refusal.name);
  FakeHub hub(with_tokens());
  hub.add(small_repo());
  hub.add(closed_repo(refusal.access));
  const TestHost machine(hub);
  const Run run = machine.run({refusal.wanted, "org/small"}, {{"HF_TOKEN", refusal.token}});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind(refusal.wanted) == refusal.kind);
  CHECK(contains(hint_of(run, refusal.wanted), refusal.hint));
  CHECK(run.model(refusal.wanted)["status"] == "failed");
  CHECK(run.model("org/small")["status"] == "downloaded");
  CHECK(run.summary["totals"]["failed"] == 1);
  CHECK(tree_of(machine.cache()).contains("models--org--small/refs/main"));
  CHECK_FALSE(tree_of(machine.cache()).contains("models--org--closed/refs"));
  CHECK(contains(run.err, refusal.wanted.substr(0, refusal.wanted.find('@'))));
}

TEST_CASE("a bad token is reported as such") {
  FakeHub hub(with_tokens());
  hub.add(small_repo());
  const TestHost machine(hub);
  const Run run = machine.run({"org/small"}, {{"HF_TOKEN", "hf_mistyped"}});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "unauthorized");
  CHECK(contains(hint_of(run, "org/small"), "HF_TOKEN"));
}

TEST_CASE("a gated model is downloaded with a token that has access") {
  FakeHub hub(with_tokens());
  const HubRepo repo = closed_repo(HubRepo::Access::gated_masked);
  hub.add(repo);
  const TestHost machine(hub);
  CHECK(machine.run({"org/closed"}, {{"HF_TOKEN", kHubToken}}).exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("the token goes to the Hub with every request, and never to the payload host") {
  FakeHub hub(with_tokens());
  hub.add(closed_repo(HubRepo::Access::private_));
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/closed"}, {{"HF_TOKEN", kHubToken}}).exit_code == 0);
  REQUIRE_FALSE(hub.requests("payload").empty());
  for (const LoggedRequest& request : hub.requests()) {
    CHECK(request.headers.contains("authorization") == (request.origin == "hub"));
  }
}

TEST_CASE("the token and signatures appear nowhere in the program's output or files") {
  FakeHub hub(with_tokens());
  hub.add(closed_repo(HubRepo::Access::private_));
  hub.add(Fault{.on = Fault::On::payload, .what = ExpiredSignature{}});
  hub.add(Fault{.on = Fault::On::payload, .what = Reset{.after = 10}});
  const TestHost machine(hub);
  const Run run =
      machine.run({"org/closed", "org/none", "--log-level", "debug"}, {{"HF_TOKEN", kHubToken}});
  REQUIRE(run.error_kind("org/closed") == "none");
  for (const std::string& secret : {kHubToken, std::string("Signature=")}) {
    CHECK_FALSE(contains(run.out + run.err, secret));
    CHECK_FALSE(contains(run.summary.dump(), secret));
  }
}

TEST_CASE("HF_HUB_DISABLE_IMPLICIT_TOKEN keeps the token from being sent") {
  FakeHub hub(with_tokens());
  hub.add(small_repo());
  const TestHost machine(hub);
  const ProgramEnvironment changes = {{"HF_TOKEN", kHubToken},
                                      {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"}};
  CHECK(machine.run({"org/small"}, changes).exit_code == 0);
  const auto requests = hub.requests();
  CHECK(std::none_of(requests.begin(), requests.end(), [](const auto& request) {
    return request.headers.contains("authorization");
  }));
}

TEST_CASE("the token of $HF_HOME/token is used") {
  FakeHub hub(with_tokens());
  hub.add(closed_repo(HubRepo::Access::private_));
  const TestHost machine(hub);
  write_text(machine.home() / "token", kHubToken + "\n");
  CHECK(machine.run({"org/closed"}).exit_code == 0);
}

TEST_CASE("an unknown key is an error that lists the known keys, before any request") {
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  machine.use_manifest(hub.manifest());
  const Run run = machine.run({"smal"});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "unknown model 'smal'"));
  CHECK(contains(run.err, "the manifest contains small"));
  CHECK(hub.requests().empty());
  CHECK(run.summary["error"]["kind"] == "usage");
}

TEST_CASE("a bad command line names the flag and exits with 1 before any request") {
  FakeHub hub;
  const TestHost machine(hub);
  const Run run = machine.run({"--jobs", "many"});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "--jobs is 'many'"));
  CHECK(machine.run({"--no-such-flag"}).exit_code == 1);
  CHECK(hub.requests().empty());
}

TEST_CASE("a missing or invalid manifest is reported with its path") {
  FakeHub hub;
  TestHost machine(hub);
  CHECK(contains(machine.run({"--manifest", "/no/such/manifest"}).err, "/no/such/manifest"));
  machine.use_manifest(R"({"version":1,"models":{"a":{"repo":"org/small","revisoin":"main"}}})");
  const Run run = machine.run({});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "models.a.revisoin"));
  CHECK(hub.requests().empty());
}

TEST_CASE("a branch below a tag of the cache is refused before the download") {
  FakeHub hub;
  HubRepo repo = small_repo();
  repo.refs["v1"] = repo.refs["v1/fix"] = main_of(repo);
  hub.add(repo);
  const bool tag_first = GENERATE(true, false);
  const std::string first = tag_first ? "org/small@v1" : "org/small@v1/fix";
  const std::string second = tag_first ? "org/small@v1/fix" : "org/small@v1";
  const TestHost machine(hub);
  REQUIRE(machine.run({first}).exit_code == 0);
  hub.clear_requests();
  const Run run = machine.run({second});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "refs/v1/fix and refs/v1 cannot be in one cache"));
  CHECK(hub.requests().empty());
  CHECK(machine.run({"org/small@" + main_of(repo)}).exit_code == 0);  // as the hint says
}

TEST_CASE("a locked file that the repository lacks fails the model") {
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  nlohmann::json manifest = nlohmann::json::parse(hub.manifest());
  manifest["models"]["small"]["files"]["more.json"] = {{"size", 3},
                                                       {"git_sha1", std::string(40, 'd')}};
  machine.use_manifest(manifest.dump());
  const Run run = machine.run({});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("small") == "not_found");
  CHECK_FALSE(tree_of(machine.cache()).contains("models--org--small/refs"));
}

}  // namespace model_prep::testing
