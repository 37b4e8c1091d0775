// SPDX-License-Identifier: Apache-2.0
// Other repositories that a model needs: reported, fetched, required, locked.
#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

using Arguments = std::vector<std::string>;

std::string auto_map(const std::string& repo) {
  return R"({"auto_map": {"AutoModel": ")" + repo + R"(--modeling.Model"}})";
}
HubFile weights(std::uint64_t seed) {
  return {"model.safetensors", MadeUpBytes{5'000, seed}, true};
}

/// An adapter needs a base model, whose code is in a third repository.
struct Repositories {
  FakeHub hub;
  HubRepo code = make_repo("org/code", {{"modeling.py", "import helper\n"},
                                        {"helper.py", "# helps\n"},
                                        {"config.json", "{}"},
                                        {"pytorch_model.bin", MadeUpBytes{4'000, 3}, true}});
  HubRepo base = make_repo("org/base", {{"config.json", auto_map("org/code")}, weights(1)});
  HubRepo adapter = make_repo(
      "org/adapter", {{"adapter_config.json", R"({"base_model_name_or_path": "org/base"})"},
                      {"adapter_model.safetensors", MadeUpBytes{3'000, 2}, true}});
  TestHost machine{hub};

  Repositories() {
    for (const HubRepo* repo : {&code, &base, &adapter}) hub.add(*repo);
  }
  std::string pinned(const HubRepo& repo) const { return repo.id + "@" + main_of(repo); }
  bool has(const HubRepo& repo, const std::string& path) const {
    const std::string folder = "models--org--" + repo.id.substr(4);
    return fs::exists(machine.cache() / folder / "snapshots" / main_of(repo) / path);
  }
};

/// `org/base: true` for each dependency of a model that is in the cache.
std::map<std::string, bool> dependencies(const Run& run, const std::string& key) {
  std::map<std::string, bool> found;
  const nlohmann::json listed = run.model(key)["dependencies"];
  for (const auto& each : listed) found[each["repo"]] = each["present"];
  return found;
}

using Found = std::map<std::string, bool>;

}  // namespace

TEST_CASE("a repository that a model needs is reported, with what to do, and not fetched") {
  const Repositories at;
  const Run run = at.machine.run({"org/base"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err,
                 "org/base needs org/code, Python code, for trust_remote_code=True "
                 "(config.json), which is not in the cache; model-prep --dependencies "
                 "fetch downloads it; it is code, which will run"));
  CHECK_FALSE(fs::exists(at.machine.cache() / "models--org--code"));
  const nlohmann::json listed = run.model("org/base")["dependencies"];
  REQUIRE(listed.size() == 1);
  CHECK(listed[0] == nlohmann::json{{"repo", "org/code"},
                                    {"revision", "main"},
                                    {"reason", "Python code, for trust_remote_code=True"},
                                    {"file", "config.json"},
                                    {"code", true},
                                    {"present", false}});
}

TEST_CASE("--dependencies fetch gets code without the weights beside it") {
  const Repositories at;
  const Run run = at.machine.run({"org/base", "--dependencies", "fetch"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(dependencies(run, "org/base") == Found{{"org/code", true}});
  CHECK(run.model("org/code")["status"] == "downloaded");
  CHECK(at.has(at.code, "modeling.py"));
  CHECK(at.has(at.code, "helper.py"));
  CHECK_FALSE(at.has(at.code, "pytorch_model.bin"));
  CHECK(read_text(at.machine.cache() / "models--org--code/refs/main") == main_of(at.code));
}

TEST_CASE("what a fetched model needs is fetched as well") {
  const Repositories at;
  const Run run = at.machine.run({"org/adapter"}, {{"MODEL_PREP_DEPENDENCIES", "fetch"}});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(dependencies(run, "org/adapter") == Found{{"org/base", true}, {"org/code", true}});
  CHECK(at.has(at.base, "model.safetensors"));
  CHECK(at.has(at.code, "modeling.py"));
  CHECK(run.summary["totals"]["models"] == 3);
}

TEST_CASE("a second run with --dependencies fetch sends no request") {
  Repositories at;
  const Arguments arguments = {at.pinned(at.adapter), "--dependencies", "fetch"};
  REQUIRE(at.machine.run(arguments).exit_code == 0);
  at.hub.clear_requests();
  const Run run = at.machine.run(arguments);
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(at.hub.requests().empty());
  CHECK(run.model("org/base")["status"] == "cached");
  CHECK(dependencies(run, at.pinned(at.adapter)) == Found{{"org/base", true}, {"org/code", true}});
  CHECK(at.machine.run({"--offline", "org/adapter", "--dependencies", "require"}).exit_code == 0);
}

TEST_CASE("--dependencies require fails a model of which a dependency is not in the cache") {
  const Repositories at;
  const Run missing = at.machine.run({"org/base", "--dependencies", "require"});
  CAPTURE(missing.err);
  CHECK(missing.exit_code == 1);
  CHECK(missing.error_kind("org/base") == "dependency_missing");
  CHECK(missing.model("org/base")["status"] == "failed");
  CHECK_FALSE(fs::exists(at.machine.cache() / "models--org--code"));

  const Run both = at.machine.run({"org/base", "org/code", "--dependencies", "require"});
  CAPTURE(both.err);
  CHECK(both.exit_code == 0);
}

TEST_CASE("a dependency without the files that are needed of it is missing") {
  const Repositories at;
  REQUIRE(at.machine.run({"org/code", "--include", "*.json"}).exit_code == 0);
  REQUIRE(at.machine.run({"org/base", "--include", "*.json"}).exit_code == 0);
  CHECK(at.machine.run({"org/base", "--dependencies", "require"}).error_kind("org/base") ==
        "dependency_missing");
  const Run run = at.machine.run({"org/adapter"});
  CHECK(run.exit_code == 0);
  CHECK(dependencies(run, "org/adapter") == Found{{"org/base", true}, {"org/code", false}});
  fs::remove_all(at.machine.cache() / "models--org--base");
  REQUIRE(at.machine.run({"org/base", "--include", "*.json"}).exit_code == 0);
  CHECK(dependencies(at.machine.run({"org/adapter"}), "org/adapter") == Found{{"org/base", false}});
}

TEST_CASE("a dependency that a killed download left without weights is missing") {
  const Repositories at;
  const fs::path base = at.machine.cache() / "models--org--base";
  REQUIRE(at.machine.run({"org/adapter", "--dependencies", "fetch"}).exit_code == 0);

  // As huggingface_hub leaves it: without our record, and in older versions without a listing.
  fs::remove_all(base / ".model-prep");
  fs::remove_all(base / "trees");
  const std::vector<std::string> again = {"org/adapter", "--dependencies", "require", "--offline"};
  CHECK(at.machine.run(again).exit_code == 0);
  const fs::path snapshot = base / "snapshots" / main_of(at.base);
  fs::remove(snapshot / "model.safetensors");
  CHECK(at.machine.run(again).error_kind("org/adapter") == "dependency_missing");

  // Of a model in several files, the small ones come first.
  write_text(snapshot / "model.safetensors.index.json", "{}");
  write_text(snapshot / "training_args.bin", "x");
  CHECK(at.machine.run(again).error_kind("org/adapter") == "dependency_missing");
  write_text(snapshot / "model-00001-of-00002.safetensors", "x");
  CHECK(at.machine.run(again).error_kind("org/adapter") == "dependency_missing");
  write_text(snapshot / "model-00002-of-00002.safetensors", "x");
  CHECK(at.machine.run(again).exit_code == 0);
}

TEST_CASE("a model whose file that names dependencies is damaged fails, if they are required") {
  const Repositories at;
  REQUIRE(at.machine.run({"org/adapter"}).exit_code == 0);
  const fs::path config = blob_of(at.machine, at.adapter, "adapter_config.json");
  const auto time = fs::last_write_time(config);
  flip_byte(config, 3);
  fs::last_write_time(config, time);

  const Run run = at.machine.run({"org/adapter", "--dependencies", "require", "--offline"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/adapter") == "digest_mismatch");
  CHECK(contains(run.err, "org/adapter adapter_config.json does not have its digest"));
}

TEST_CASE("a model that is removed while what it needs arrives is not ready") {
  Repositories at;
  at.hub.add(Fault{.on = Fault::On::payload,
                   .path = "model.safetensors",
                   .skip = 1,  // the adapter's weights
                   .what = Stall{.after = 0, .lasting = std::chrono::seconds(3)}});
  const auto program = at.machine.start({"org/adapter", "--dependencies", "fetch"});
  REQUIRE(program->wait_for_err("also needed: org/base"));
  fs::remove_all(at.machine.cache() / "models--org--adapter");
  const Run run = at.machine.end_of(*program);
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.model("org/adapter")["status"] == "failed");
  CHECK(run.model("org/base")["status"] == "downloaded");
}

TEST_CASE("repositories that need each other are fetched once each") {
  FakeHub hub;
  for (const auto& [name, other] : {std::pair("org/a", "org/b"), std::pair("org/b", "org/a")})
    hub.add(make_repo(name, {{"adapter_config.json",
                              std::string(R"({"base_model_name_or_path": ")") + other + "\"}"},
                             {"config.json", "{}"}}));
  const TestHost machine(hub);
  const Run run = machine.run({"org/a", "--dependencies", "fetch"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(run.summary["totals"]["models"] == 2);
  CHECK(dependencies(run, "org/a") == Found{{"org/b", true}});
  CHECK(dependencies(run, "org/b") == Found{{"org/a", true}});
}

TEST_CASE("a dependency is fetched at the revision that the file names") {
  Repositories at;
  const std::string old(40, 'd');
  at.base.commits[old] = {{"config.json", "{}"}, weights(9)};
  at.base.refs["v1"] = old;
  at.hub.add(at.base);
  at.hub.add(make_repo(
      "org/adapter",
      {{"adapter_config.json", R"({"base_model_name_or_path": "org/base", "revision": "v1"})"}}));
  const Run run = at.machine.run({"org/adapter", "--dependencies", "fetch"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(run.model("org/base@v1")["commit"] == old);
  CHECK(read_text(at.machine.cache() / "models--org--base/refs/v1") == old);
  CHECK_FALSE(fs::exists(at.machine.cache() / "models--org--base/refs/main"));
  CHECK(dependencies(run, "org/adapter") == Found{{"org/base", true}});
}

TEST_CASE("a dependency that the manifest pins is fetched at that pin") {
  Repositories at;
  const std::string pinned = main_of(at.base);
  at.base.commits[std::string(40, 'd')] = {{"config.json", R"({"newer": true})"}, weights(9)};
  at.base.refs["main"] = std::string(40, 'd');
  at.hub.add(at.base);
  at.machine.use_manifest(R"({"version": 1, "models": {
      "lora": {"repo": "org/adapter"},
      "base": {"repo": "org/base", "revision": ")" +
                          pinned + "\"}}}");

  const Arguments fetching = {"lora", "--dependencies", "fetch"};
  const Run run = at.machine.run(fetching);
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(run.model("org/base")["revision"] == pinned);
  CHECK(read_text(at.machine.cache() / "models--org--base/refs/main") == pinned);
}

TEST_CASE("a dependency that cannot be fetched fails the run") {
  FakeHub hub;
  hub.add(make_repo("org/base", {{"config.json", auto_map("org/gone")}, weights(1)}));
  const TestHost machine(hub);
  const Run run = machine.run({"org/base", "--dependencies", "fetch"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/gone") == "not_found");
  CHECK(run.error_kind("org/base") == "dependency_missing");
}

TEST_CASE("a build without Python code needs no code") {
  FakeHub hub;
  hub.add(make_repo("org/base", {{"config.json", auto_map("org/code")},
                                 {"onnx/model.onnx", MadeUpBytes{5'000, 1}, true}}));
  const TestHost machine(hub);
  const Run run = machine.run({"org/base", "--variant", "onnx", "--dependencies", "require"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(dependencies(run, "org/base").empty());
}

TEST_CASE("a dry run shows what a model needs, and with fetch what that would download") {
  const Repositories at;
  const Run shown = at.machine.run({"org/base", "--dry-run"});
  CAPTURE(shown.err);
  CHECK(shown.exit_code == 0);
  CHECK(contains(shown.out,
                 "org/base needs org/code, Python code, for trust_remote_code=True "
                 "(config.json): not in the cache\n"));

  const Run planned = at.machine.run({"org/base", "--dry-run", "--dependencies", "fetch"});
  CHECK(planned.exit_code == 0);
  CHECK(contains(planned.out, "helper.py"));
  CHECK(planned.model("org/code")["status"] == "planned");
  CHECK(at.machine.run({"org/base", "--dry-run", "--dependencies", "require"}).exit_code == 1);
  CHECK(tree_of(at.machine.cache()).empty());
}

TEST_CASE("lock --dependencies fetch locks what the models need") {
  const Repositories at;
  const Run alone = at.machine.run({"lock", "org/adapter"});
  CHECK(alone.exit_code == 0);
  CHECK(contains(alone.err, "org/adapter needs org/base, the base model of an adapter"));
  CHECK(at.machine.run({"lock", "org/adapter", "--dependencies", "require"}).exit_code == 1);

  const Run locked = at.machine.run({"lock", "org/adapter", "--dependencies", "fetch"});
  CAPTURE(locked.err);
  REQUIRE(locked.exit_code == 0);
  CHECK_FALSE(contains(locked.err, "not in the cache"));
  const auto models = nlohmann::json::parse(locked.out)["models"];
  REQUIRE(models.size() == 3);
  CHECK(models["org/code"]["revision"] == main_of(at.code));
  CHECK(models["org/code"]["files"].size() == 2);

  const TestHost& machine = at.machine;
  write_text(machine.folder() / "lock.json", locked.out);
  const Run run = machine.run(
      {"--manifest", (machine.folder() / "lock.json").string(), "--dependencies", "require"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
}

TEST_CASE("a model of another repository is no dependency, though its key has that name") {
  Repositories at;
  at.hub.add(make_repo("org/other", {{"config.json", "{}"}, weights(7)}));
  TestHost machine(at.hub);
  machine.use_manifest(R"({"version": 1, "models": {
      "lora": {"repo": "org/adapter"}, "org/base": {"repo": "org/other"}}})");

  const Run locked = machine.run({"lock", "--dependencies", "fetch"});
  CAPTURE(locked.err);
  REQUIRE(locked.exit_code == 0);
  const auto models = nlohmann::json::parse(locked.out)["models"];
  CHECK(models["org/base"]["repo"] == "org/other");
  CHECK(models["org/base@main"]["repo"] == "org/base");
  CHECK(models.size() == 4);

  const Run run = machine.run({"--dependencies", "fetch"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(run.model("org/base@main")["status"] == "downloaded");
  CHECK(dependencies(run, "lora") == Found{{"org/base", true}, {"org/code", true}});
}

TEST_CASE("a bill of materials names what a locked model needs, whatever the cache holds") {
  Repositories at;
  const Run lock = at.machine.run({"lock", "org/adapter"});
  REQUIRE(lock.exit_code == 0);
  at.machine.use_manifest(lock.out);
  const auto needs = [&] {
    return nlohmann::json::parse(
        at.machine.run({"lock", "--format", "cyclonedx"}).out)["dependencies"][0]["dependsOn"];
  };

  CHECK(needs() == nlohmann::json{"pkg:huggingface/org/base"});
  REQUIRE(at.machine.run({"--dependencies", "fetch"}).exit_code == 0);
  CHECK(needs() == nlohmann::json{"pkg:huggingface/org/base"});
}

TEST_CASE("verify warns of what a model needs and the cache does not have") {
  const Repositories at;
  REQUIRE(at.machine.run({"org/base"}).exit_code == 0);
  const Run without = at.machine.run({"verify", "org/base"});
  CHECK(without.exit_code == 0);
  CHECK(contains(without.err, "org/base needs org/code"));
  CHECK(dependencies(without, "org/base") == Found{{"org/code", false}});
  REQUIRE(at.machine.run({"org/code"}).exit_code == 0);
  const Run with = at.machine.run({"verify", "org/base"});
  CHECK_FALSE(contains(with.err, "org/base needs"));
  CHECK(dependencies(with, "org/base") == Found{{"org/code", true}});
}

TEST_CASE("--cleanup leaves what this run fetched because a model needs it") {
  Repositories at;
  const std::string old(40, 'd');
  at.code.commits[old] = {{"modeling.py", "old"}};
  at.hub.add(at.code);
  at.machine.use_manifest(R"({"version":1,"models":{"old":{"repo":"org/code","revision":")" + old +
                          R"(","ref":"old"},"base":{"repo":"org/base"}}})");
  const Run run = at.machine.run({"--cleanup", "--dependencies", "fetch"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(at.has(at.code, "modeling.py"));
}

TEST_CASE("cleanup leaves a revision that a model of the manifest needs, though no model pins it") {
  Repositories at;
  const std::string old(40, 'd');
  at.code.commits[old] = {{"modeling.py", "old"}};
  at.hub.add(at.code);
  REQUIRE(at.machine.run({"org/code"}).exit_code == 0);
  at.machine.use_manifest(R"({"version":1,"models":{"old":{"repo":"org/code","revision":")" + old +
                          R"(","ref":"old"},"base":{"repo":"org/base"}}})");

  const Run run = at.machine.run({"--cleanup", "--dependencies", "require"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(dependencies(run, "base") == Found{{"org/code", true}});
  CHECK(at.has(at.code, "modeling.py"));

  at.hub.clear_requests();
  for (const Arguments& arguments : {Arguments{"cleanup"}, Arguments{"cleanup", "old"}}) {
    CHECK(at.machine.run(arguments).exit_code == 0);
    CHECK(at.has(at.code, "modeling.py"));
  }
  CHECK(at.hub.requests().empty());

  at.machine.use_manifest(R"({"version":1,"models":{"old":{"repo":"org/code","revision":")" + old +
                          R"(","ref":"old"}}})");
  CHECK(at.machine.run({"cleanup"}).exit_code == 0);
  CHECK_FALSE(at.has(at.code, "modeling.py"));
}

}  // namespace model_prep::testing
