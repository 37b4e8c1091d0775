// SPDX-License-Identifier: Apache-2.0
// --include and --exclude, which select files instead of the variant.
#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

/// org/small in a manifest that locks all of it, as the hub writes it, or the variant fp32 alone.
std::string lock_of(const FakeHub& hub, const char* variant) {
  nlohmann::json manifest = nlohmann::json::parse(hub.manifest());
  nlohmann::json& model = manifest["models"]["small"];
  model["variants"] = {{"fp32", {{"include", {"*.safetensors"}}}}, {"all", {{"include", {"*"}}}}};
  model["locked"] = {variant};
  return manifest.dump();
}

}  // namespace

TEST_CASE("patterns replace the variant's choice of files, and the summary lists them") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  const Run run = machine.run({"org/small", "--include", "*.json", "--include", "vocab.*",
                               "--exclude", "1_Pooling/", "--exclude", "x,y"});
  CHECK(run.exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo, {.paths = {"config.json", "vocab.txt"}}));
  CHECK(run.model("org/small")["variant"] == "fp32");
  CHECK(run.model("org/small")["include"] == nlohmann::json{"*.json", "vocab.*"});
  CHECK(run.model("org/small")["exclude"] == nlohmann::json{"1_Pooling/", "x,y"});
}

TEST_CASE("without patterns the summary has no pattern members") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const Run run = machine.run({"org/small"});
  CHECK_FALSE(run.model("org/small").contains("include"));
  CHECK_FALSE(run.model("org/small").contains("exclude"));
}

TEST_CASE("an exclude alone keeps all other files, and include * is the whole commit") {
  FakeHub hub;
  HubRepo repo = small_repo();
  repo.commits.begin()->second.push_back({"tf_model.h5", MadeUpBytes{1000, 9}, true});
  hub.add(repo);
  const TestHost machine(hub);
  CHECK(machine.run({"org/small", "--exclude", "copy/*", "--exclude", "*.txt"}).exit_code == 0);
  CHECK(tree_of(machine.cache()) ==
        published(repo, {.paths = {"config.json", "1_Pooling/config.json", "model.safetensors",
                                   "tf_model.h5"}}));
  CHECK(machine.run({"org/small", "--include", "*"}).exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("the same patterns again send no request, and other patterns fetch what they miss") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  const std::string pinned = "org/small@" + main_of(repo);
  REQUIRE(machine.run({pinned, "--include", "*.json"}).exit_code == 0);
  hub.clear_requests();

  const Run same = machine.run({pinned, "--include", "*.json"});
  CHECK(same.exit_code == 0);
  CHECK(same.summary["totals"]["requests"] == 0);
  CHECK(hub.requests().empty());

  const Run other = machine.run({pinned, "--include", "*.txt"});
  CHECK(other.exit_code == 0);
  CHECK(other.model(pinned)["status"] == "downloaded");
  CHECK(hub.requests("tree").empty());
  CHECK(tree_of(machine.cache())
            .contains("models--org--small/snapshots/" + main_of(repo) + "/copy/vocab.txt"));
  CHECK_FALSE(
      tree_of(machine.cache())
          .contains("models--org--small/snapshots/" + main_of(repo) + "/model.safetensors"));

  const Run variant = machine.run({pinned});
  CHECK(variant.exit_code == 0);
  CHECK(variant.model(pinned)["status"] == "downloaded");
  CHECK(sent_of(hub, "model.safetensors") == 300'000);
}

TEST_CASE("a record without a listing is not used for other patterns") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  TestHost machine(hub);
  machine.use_manifest(lock_of(hub, "fp32"));  // fetched by the lock, without a listing
  REQUIRE(machine.run({}).exit_code == 0);
  REQUIRE(hub.requests("tree").empty());
  const Run run = machine.run({"--include", "*.json", "--include", "*.safetensors"});
  CHECK(run.exit_code == 0);
  CHECK(hub.requests("tree").size() == 1);
  CHECK(run.model("small")["files"].size() == 3);
}

TEST_CASE("a lock of the whole commit serves any patterns without a listing") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  TestHost machine(hub);
  machine.use_manifest(lock_of(hub, "all"));
  const Run run = machine.run({"--include", "*.json"});
  CHECK(run.exit_code == 0);
  CHECK(hub.requests("info").empty());
  CHECK(hub.requests("tree").empty());
  CHECK(run.model("small")["files"].size() == 2);
  const Run none = machine.run({"--include", "*.none"});
  CHECK(none.exit_code == 1);
  CHECK(none.error_kind("small") == "not_found");
}

TEST_CASE("patterns do not bypass a lock") {
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  nlohmann::json manifest = nlohmann::json::parse(lock_of(hub, "fp32"));
  manifest["models"]["small"]["files"]["model.safetensors"]["sha256"] = std::string(64, 'b');
  machine.use_manifest(manifest.dump());
  const Run run = machine.run({"--include", "*.json", "--include", "*.safetensors"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("small") == "lock_mismatch");
  CHECK(hub.requests("resolve").empty());
}

TEST_CASE("patterns that match nothing are an error that names them") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const Run run = machine.run({"org/small", "--include", "*.JSON", "--exclude", "vocab.txt"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "not_found");
  CHECK(contains(run.err,
                 "no file of this revision matches --include '*.JSON' --exclude 'vocab.txt'"));
  CHECK(hub.requests("resolve").empty());
}

TEST_CASE("offline, patterns find the files they fetched and report the others as missing") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small", "--include", "*.json"}).exit_code == 0);
  CHECK(machine.run({"org/small", "--offline", "--include", "*.json"}).exit_code == 0);
  const Run run = machine.run({"org/small", "--offline", "--include", "vocab.txt"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "offline_missing");
}

TEST_CASE("a lock made with patterns holds only those files, and drives their download") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  TestHost machine(hub);
  const Run lock = machine.run({"lock", "org/small", "--include", "*.json"});
  REQUIRE(lock.exit_code == 0);
  hub.clear_requests();
  machine.use_manifest(lock.out);
  CHECK(machine.run({}).exit_code == 0);
  CHECK(hub.requests("tree").empty());
  CHECK(tree_of(machine.cache()) ==
        published(repo, {.paths = {"config.json", "1_Pooling/config.json"}}));
}

TEST_CASE("list and verify check the files that patterns select") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small", "--include", "*.json"}).exit_code == 0);
  CHECK(machine.run({"verify", "org/small", "--include", "*.json"}).exit_code == 0);
  CHECK(machine.run({"verify", "org/small"}).exit_code == 1);
  const auto state = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"list", "--json", "org/small"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return nlohmann::json::parse(machine.run(arguments).out)["models"][0]["state"]
        .get<std::string>();
  };
  CHECK(state({"--include", "*.json"}) == "cached");
  CHECK(state({}) == "partial");
  CHECK(contains(machine.run({"list", "org/small", "--include", "*.json"}).out, " patterns "));
}

}  // namespace model_prep::testing
