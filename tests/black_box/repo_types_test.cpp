// SPDX-License-Identifier: Apache-2.0
// Datasets and spaces: each command treats them like models, in directories of their own.
#include "support/catch.h"
#include "test_host.h"
#include "tree_check.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

const Published kWhole{};

/// A model, a dataset and a space of one name and other bytes.
struct Kinds {
  FakeHub hub;
  HubRepo model = small_repo("org/name");
  HubRepo dataset = small_repo("datasets/org/name");
  HubRepo space = small_repo("spaces/org/name");
  TestHost machine{hub};

  Kinds() {
    for (const HubRepo* repo : {&model, &dataset, &space}) hub.add(*repo);
  }
  /// Downloads the whole model too, so that all three are alike.
  Run run(std::vector<std::string> arguments, const ProgramEnvironment& changes = {}) const {
    arguments.insert(arguments.end(), {"--variant", "all"});
    return machine.run(arguments, changes);
  }
  std::string pinned(const HubRepo& repo) const { return repo.id + "@" + main_of(repo); }
  Tree all() const {
    return merged(merged(published(model, kWhole), published(dataset, kWhole)),
                  published(space, kWhole));
  }
};

}  // namespace

TEST_CASE("a model, a dataset and a space of one name have directories of their own") {
  Kinds at;
  const Run run = at.run({"org/name", "datasets/org/name", "spaces/org/name"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(tree_of(at.machine.cache()) == at.all());
  CHECK(wrong_in(at.machine.cache(), {at.model, at.dataset, at.space}).empty());
  CHECK(run.model("datasets/org/name")["repo"] == "datasets/org/name");
}

TEST_CASE(
    "MODELS_TO_DOWNLOAD may name datasets and spaces, which are fetched whole without a warning") {
  Kinds at;
  const Run run =
      at.machine.run({}, {{"MODELS_TO_DOWNLOAD", "datasets/org/name, spaces/org/name@main"}});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(tree_of(at.machine.cache()) ==
        merged(published(at.dataset, kWhole), published(at.space, kWhole)));
  CHECK_FALSE(contains(run.err, "variant"));
  CHECK(run.model("datasets/org/name")["variant"] == "all");
  CHECK(run.model("datasets/org/name")["variant_requested"] == "all");
}

TEST_CASE("a kernel is fetched whole into a directory of its own, and found again") {
  FakeHub hub;
  const HubRepo kernel = small_repo("kernels/org/name");
  hub.add(kernel);
  const TestHost machine(hub);
  const Run run = machine.run({"kernels/org/name@" + main_of(kernel)});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(kernel, kWhole));
  CHECK(fs::exists(machine.cache() / "kernels--org--name"));
  CHECK(machine.run({"--offline", "kernels/org/name"}).exit_code == 0);
}

TEST_CASE("patterns select files of a dataset as of a model") {
  const Kinds at;
  const Run run = at.machine.run({"datasets/org/name", "--include", "*.txt", "--exclude", "copy/"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(tree_of(at.machine.cache()) ==
        published(at.dataset, {.paths = {"empty.txt", "vocab.txt"}}));
}

TEST_CASE("a second run of a pinned dataset sends no request, and works offline") {
  Kinds at;
  REQUIRE(at.machine.run({at.pinned(at.dataset)}).exit_code == 0);
  at.hub.clear_requests();
  CHECK(at.machine.run({at.pinned(at.dataset)}).exit_code == 0);
  CHECK(at.machine.run({"--offline", "datasets/org/name"}).exit_code == 0);
  CHECK(at.hub.requests().empty());
  const Run missing = at.machine.run({"--offline", "spaces/org/name"});
  CHECK(missing.exit_code == 1);
  CHECK(missing.error_kind("spaces/org/name") == "offline_missing");
}

TEST_CASE("a dataset that has moved is stored under the requested name") {
  FakeHub hub;
  HubRepo old = small_repo("datasets/squad");
  HubRepo moved = old;
  old.renamed_to = moved.id = "datasets/rajpurkar/squad";
  hub.add(old);
  hub.add(moved);
  const TestHost machine(hub);
  const Run run = machine.run({"datasets/squad"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(old, kWhole));
  CHECK(fs::exists(machine.cache() / "datasets--squad"));
}

TEST_CASE("a gated dataset's error links to the page where access is granted") {
  FakeHub hub;
  HubRepo repo = small_repo("datasets/org/closed");
  repo.access = GENERATE(HubRepo::Access::gated, HubRepo::Access::gated_masked);
  hub.add(repo);
  const TestHost machine(hub);
  const Run run = machine.run({"datasets/org/closed"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("datasets/org/closed") == "gated");
  CHECK(contains(run.err, "https://huggingface.co/datasets/org/closed"));
}

TEST_CASE("a dataset in a manifest can be locked, and its lock needs no listing") {
  Kinds at;
  at.machine.use_manifest(R"({"version":1,"models":{"rows":{"repo":"datasets/org/name"}}})");
  const Run locked = at.machine.run({"lock"});
  CAPTURE(locked.err);
  REQUIRE(locked.exit_code == 0);
  const auto lock = nlohmann::json::parse(locked.out)["models"]["rows"];
  CHECK(lock["repo"] == "datasets/org/name");
  CHECK(lock["locked"] == nlohmann::json{"all"});
  at.machine.use_manifest(locked.out);
  at.hub.clear_requests();
  const Run run = at.machine.run({});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(at.hub.requests("tree").empty());
  CHECK(at.hub.requests("repo_info").empty());
  CHECK_FALSE(contains(run.err, "WARN"));
  CHECK(tree_of(at.machine.cache()) == published(at.dataset, kWhole));
  CHECK(at.machine.run({"lock", "--check"}).exit_code == 0);
}

TEST_CASE("list treats a dataset like a model") {
  Kinds at;
  REQUIRE(at.machine.run({"datasets/org/name"}).exit_code == 0);
  const Run run = at.machine.run({"list", "--json", "datasets/org/name", "org/name"});
  const auto listed = nlohmann::json::parse(run.out)["models"];
  REQUIRE(listed.size() == 2);
  CHECK(listed[0]["repo"] == "datasets/org/name");
  CHECK(listed[0]["state"] == "cached");
  CHECK(listed[0]["where"] ==
        (at.machine.cache() / "datasets--org--name/snapshots" / main_of(at.dataset)).string());
  CHECK(listed[1]["state"] == "missing");
}

TEST_CASE("verify detects and repairs a dataset's damage") {
  Kinds at;
  const std::string pinned = at.pinned(at.dataset);
  REQUIRE(at.machine.run({pinned}).exit_code == 0);
  CHECK(at.machine.run({"verify", pinned}).exit_code == 0);
  flip_byte(blob_of(at.machine, at.dataset, "model.safetensors"), 1000);
  CHECK(at.machine.run({"verify", pinned}).exit_code == 1);
  const Run repaired = at.machine.run({"verify", "--repair", pinned});
  CAPTURE(repaired.err);
  CHECK(repaired.exit_code == 0);
  CHECK(tree_of(at.machine.cache()) == published(at.dataset, kWhole));
}

TEST_CASE("libraries that load only models are not checked for datasets and spaces") {
  Kinds at;
  REQUIRE(at.run({"org/name", "datasets/org/name", "spaces/org/name"}).exit_code == 0);
  const auto services = [](const Run& run) {
    std::vector<std::string> names;
    for (const auto& service : run.summary["services"]) names.push_back(service["name"]);
    return names;
  };
  const Run rows = at.machine.run({"verify", "datasets/org/name", "spaces/org/name"});
  CHECK(rows.exit_code == 0);
  CHECK(services(rows) == std::vector<std::string>{"huggingface_hub", "hf-hub 0.x (Rust)"});
  CHECK(contains(rows.out, "2 of 2"));
  const Run both = at.run({"verify", "org/name", "datasets/org/name"});
  CHECK(services(both).size() == 5);
  CHECK(contains(both.out, "2 of 2"));
  CHECK(contains(both.out, "1 of 1"));
}

TEST_CASE("cleanup of a dataset does not touch the model of the same name") {
  Kinds at;
  const std::string next(40, 'e');
  at.dataset.commits[next] = {{"config.json", "{}"}};
  at.hub.add(at.dataset);
  const auto pin = [&](const std::string& commit) {
    at.machine.use_manifest(
        R"({"version":1,"models":{"rows":{"repo":"datasets/org/name","revision":")" + commit +
        "\"}}}");
    REQUIRE(at.run({"rows"}).exit_code == 0);
  };
  REQUIRE(at.run({"org/name"}).exit_code == 0);
  pin(main_of(at.dataset));
  pin(next);
  const Run run = at.machine.run({"cleanup"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  HubRepo left = at.dataset;
  left.refs["main"] = next;
  Tree wanted = merged(published(left, kWhole), published(at.model, kWhole));
  for (const auto& [path, what] : published(at.dataset, kWhole))
    if (path.starts_with(".locks/")) wanted[path] = what;  // locks stay
  CHECK(tree_of(at.machine.cache()) == wanted);
}

TEST_CASE("legacy directories also link to datasets, and a real directory there stays real") {
  Kinds at;
  const std::string folder = "datasets--org--name";
  REQUIRE(at.machine.run({"datasets/org/name"}).exit_code == 0);
  CHECK(fs::read_symlink(at.machine.home() / folder) == "hub/" + folder);
  fs::remove(at.machine.home() / folder);
  fs::rename(at.machine.cache() / folder, at.machine.home() / folder);
  at.hub.clear_requests();
  const Run run = at.machine.run({at.pinned(at.dataset)});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(at.hub.requests("payload").empty());
  CHECK(fs::read_symlink(at.machine.cache() / folder) == "../" + folder);
}

}  // namespace model_prep::testing
