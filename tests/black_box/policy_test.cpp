// SPDX-License-Identifier: Apache-2.0
// Licenses and scans: what a policy refuses, before a byte of weights, and how many requests it
// costs.
#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

const std::string kClean = R"({"scansDone": true, "filesWithIssues": []})";
const std::string kUnfinished = R"({"scansDone": false, "filesWithIssues": []})";
const std::string kUnsafe =
    R"({"scansDone": true, "filesWithIssues": [{"path": "model.safetensors", "level": "unsafe"}]})";

/// A hub with org/small, whose card and scan can be changed, and a machine.
struct Judged {
  FakeHub hub;
  HubRepo repo = small_repo();
  TestHost machine{hub};
  std::string pinned = "org/small@" + main_of(repo);

  explicit Judged(const std::string& card = R"({"license": "mit"})",
                  const std::string& scan = kClean) {
    change(card, scan);
  }
  void change(const std::string& card, const std::string& scan) {
    repo.card = card;
    repo.scan = scan;
    hub.add(repo);
  }

  Run run(const std::vector<std::string>& arguments) {
    hub.clear_requests();
    return machine.run(arguments);
  }
  std::size_t infos() const { return hub.requests("repo_info").size(); }
  void expect_nothing_fetched() const {
    CHECK(sent_of(hub, "model.safetensors") == 0);
    CHECK_FALSE(fs::exists(machine.cache() / "models--org--small" / "snapshots" / main_of(repo)));
  }
};

}  // namespace

TEST_CASE("a model with an allowed license is downloaded, and the summary names the license") {
  Judged at;
  const Run run = at.run({at.pinned, "--allow-license", "apache-2.0,mit"});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(run.model(at.pinned)["license"] == nlohmann::json{"mit"});
  CHECK(at.infos() == 1);
}

TEST_CASE("a model with another license, or with none, fails before any weights") {
  const auto [card, named] = GENERATE(table<std::string, std::string>({
      {R"({"license": "cc-by-nc-4.0"})", "its license cc-by-nc-4.0 is not allowed"},
      {R"({"license": ["mit", "gpl-3.0"]})", "its license gpl-3.0 is not allowed"},
      {R"({"license": "other", "license_name": "mit"})", "its license other:mit is not allowed"},
      {R"({"tags": []})", "its card names no license"},
      {"", "its card names no license"},
  }));
  const bool is_branch = GENERATE(false, true);
  Judged at(card);
  const std::string name = is_branch ? "org/small" : at.pinned;
  const Run run = at.run({name, "--allow-license", "mit"});
  INFO(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind(name) == "license_not_allowed");
  CHECK(contains(run.err, "org/small at " + main_of(at.repo).substr(0, 12) + ": " + named));
  at.expect_nothing_fetched();
}

TEST_CASE("without a policy nothing more is requested, and what a branch's answer says is kept") {
  Judged at;
  const std::string lock = at.run({"lock", at.pinned}).out;
  CHECK(at.infos() == 0);
  CHECK_FALSE(contains(lock, "license"));

  const Run pinned = at.run({at.pinned});
  CHECK(at.infos() == 0);
  CHECK(pinned.model(at.pinned)["license"].is_null());
  CHECK(pinned.model(at.pinned)["scan"].is_null());

  const Run branch = at.run({"org/small"});
  CHECK(at.hub.requests().size() == 1);
  CHECK(branch.model("org/small")["license"] == nlohmann::json{"mit"});
}

TEST_CASE("a branch needs no request more for its license") {
  Judged at;
  CHECK(at.run({"org/small", "--allow-license", "mit"}).exit_code == 0);
  CHECK(at.infos() == 1);
}

TEST_CASE("a satisfied pin asks nothing again, and neither does one that was asked for later") {
  Judged at;
  const bool is_late = GENERATE(false, true);
  if (is_late) REQUIRE(at.run({at.pinned}).exit_code == 0);
  const std::vector<std::string> judged = {at.pinned, "--allow-license", "mit", "--scan",
                                           "required"};
  REQUIRE(at.run(judged).exit_code == 0);
  CHECK(at.infos() == 1);  // for both

  at.change("", kUnsafe);
  const Run run = at.run(judged);
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(at.hub.requests().empty());
  CHECK(run.model(at.pinned)["license"] == nlohmann::json{"mit"});
  CHECK(run.model(at.pinned)["scan"]["complete"] == true);
}

TEST_CASE("offline, what is kept is judged, and what is not known fails and says what to do") {
  Judged at;
  REQUIRE(at.run({at.pinned}).exit_code == 0);
  const Run unknown = at.run({at.pinned, "--offline", "--allow-license", "mit"});
  CHECK(unknown.exit_code == 1);
  CHECK(unknown.error_kind(at.pinned) == "offline_missing");
  CHECK(contains(unknown.err, "its license is not known here"));
  CHECK(contains(unknown.err, "run once online with the same policy"));

  REQUIRE(at.run({at.pinned, "--allow-license", "mit"}).exit_code == 0);
  CHECK(at.run({at.pinned, "--offline", "--allow-license", "mit"}).exit_code == 0);
  const Run refused = at.run({at.pinned, "--offline", "--allow-license", "apache-2.0"});
  CHECK(refused.error_kind(at.pinned) == "license_not_allowed");
  CHECK(at.hub.requests().empty());
}

TEST_CASE("the card is read where an endpoint has no cardData, and verified") {
  Judged at("");
  at.repo.commits.at(main_of(at.repo)).push_back({"README.md", "---\nlicense: mit\n---\n# Small"});
  at.change("", kClean);
  const Run run = at.run({at.pinned, "--include", "*.json", "--allow-license", "mit"});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(at.infos() == 1);
  CHECK(run.model(at.pinned)["license"] == nlohmann::json{"mit"});
}

TEST_CASE("a card that was downloaded with the model tells its license without a request") {
  Judged at("");
  at.repo.commits.at(main_of(at.repo)).push_back({"README.md", "---\nlicense: mit\n---\n# Small"});
  at.change("", kClean);
  const Run first = at.run({at.pinned, "--variant", "all"});
  CHECK(first.model(at.pinned)["license"] == nlohmann::json{"mit"});
  CHECK(at.infos() == 0);
  CHECK(at.run({at.pinned, "--variant", "all", "--offline", "--allow-license", "mit"}).exit_code ==
        0);
}

TEST_CASE("a file that the scanners flag fails its model, by name, before any weights") {
  const std::string rule = GENERATE(as<std::string>{}, "refuse-unsafe", "required");
  Judged at(R"({"license": "mit"})", kUnsafe);
  const Run run = at.run({at.pinned, "--scan", rule});
  INFO(run.err);
  CHECK(run.error_kind(at.pinned) == "unsafe");
  CHECK(contains(run.err, "the Hub's scanners flag model.safetensors (unsafe)"));
  CHECK(run.model(at.pinned)["scan"]["findings"]["model.safetensors"] == "unsafe");
  at.expect_nothing_fetched();

  // Without that file there is nothing to refuse, only to say.
  const Run other = at.run({at.pinned, "--scan", rule, "--include", "*.json"});
  CHECK(other.exit_code == 0);
  CHECK(contains(other.err, "warn  org/small at"));
}

TEST_CASE("a model that is not scanned yet is told apart from one that is flagged") {
  Judged at(R"({"license": "mit"})", kUnfinished);
  at.repo.scan_of_files = {{"vocab.txt", "queued"}};
  at.change(at.repo.card, kUnfinished);
  const Run required = at.run({at.pinned, "--scan", "required"});
  CHECK(required.error_kind(at.pinned) == "not_scanned");
  CHECK(contains(required.err, "has not finished scanning"));
  at.expect_nothing_fetched();

  const Run refusing = at.run({at.pinned, "--scan", "refuse-unsafe"});
  CHECK(refusing.exit_code == 0);
  CHECK(contains(refusing.err, "has not finished scanning"));
  CHECK(refusing.model(at.pinned)["scan"]["complete"] == false);

  // Once it has, the model is good without another download.
  at.change(at.repo.card, kClean);
  const Run scanned = at.run({at.pinned, "--scan", "required"});
  CHECK(scanned.exit_code == 0);
  CHECK(at.hub.requests().size() == 1);
}

TEST_CASE("where the Hub never says that its scans are done, its word on each file counts") {
  Judged at(R"({"license": "mit"})", kUnfinished);
  const Run safe = at.run({at.pinned, "--scan", "required", "--dry-run"});
  INFO(safe.err);
  CHECK(safe.exit_code == 0);
  CHECK(at.hub.requests("tree").size() == 2);  // the listing, and the expanded one
  CHECK(safe.model(at.pinned)["scan"]["complete"] == true);

  at.repo.scan_of_files = {{"model.safetensors", "unsafe"}};
  at.change(at.repo.card, kUnfinished);
  CHECK(at.run({at.pinned, "--scan", "required"}).error_kind(at.pinned) == "unsafe");
  at.expect_nothing_fetched();
}

TEST_CASE("the expanded tree is read to its last page") {
  HubOptions options;
  options.page_size = 2;
  FakeHub hub(options);
  HubRepo repo = small_repo();
  repo.scan = kUnfinished;
  repo.scan_of_files = {{"vocab.txt", "queued"}};  // on the last page
  hub.add(repo);
  const TestHost machine(hub);
  CHECK(machine.run({"org/small", "--scan", "required"}).error_kind("org/small") == "not_scanned");
  repo.scan_of_files.clear();
  hub.add(repo);
  CHECK(machine.run({"org/small", "--scan", "required"}).exit_code == 0);
}

TEST_CASE("a mirror that knows nothing of scans is enough only where no scan is required") {
  Judged at(R"({"license": "mit"})", "");
  const Run required = at.run({at.pinned, "--scan", "required"});
  CHECK(required.error_kind(at.pinned) == "not_scanned");
  CHECK(contains(required.err, "the endpoint does not say"));
  CHECK(at.run({at.pinned, "--scan", "refuse-unsafe"}).exit_code == 0);
}

TEST_CASE("behind a mirror that knows nothing of scans the next endpoint is asked") {
  const Judged mirror(R"({"license": "mit"})", "");
  const Judged at(R"({"license": "mit"})", kUnsafe);
  const ProgramEnvironment both = {
      {"HF_ENDPOINT", mirror.hub.endpoint() + "," + at.hub.endpoint()}};
  const Run unsafe = mirror.machine.run({at.pinned, "--scan", "refuse-unsafe"}, both);
  CHECK(unsafe.error_kind(at.pinned) == "unsafe");
  CHECK(mirror.infos() == 1);
  CHECK(at.infos() == 1);

  // If that one refuses, the mirror's word stands.
  const FakeHub other;
  const ProgramEnvironment useless = {
      {"HF_ENDPOINT", mirror.hub.endpoint() + "," + other.endpoint()}};
  CHECK(mirror.machine.run({at.pinned, "--scan", "refuse-unsafe"}, useless).exit_code == 0);
}

TEST_CASE("a mirror whose answer is about another commit, or is none, is passed over") {
  Judged mirror(R"({"license": "mit"})", kClean);
  const Judged at(R"({"license": "mit"})", kClean);
  std::string answer = "no json";
  SECTION("no answer") {}
  SECTION("about another commit") { answer = R"({"sha":")" + std::string(40, 'b') + "\"}"; }
  mirror.hub.add(Fault{.on = Fault::On::repo_info, .times = -1, .what = BodyOverride{answer}});
  const Run run =
      mirror.machine.run({at.pinned, "--allow-license", "mit"},
                         {{"HF_ENDPOINT", mirror.hub.endpoint() + "," + at.hub.endpoint()}});
  INFO(run.err);
  CHECK(run.exit_code == 0);
}

TEST_CASE("what scanners say of each file is asked of the endpoint that knows of scans") {
  const Judged mirror(R"({"license": "mit"})", "");
  const Judged at(R"({"license": "mit"})", kUnfinished);
  const Run run =
      mirror.machine.run({at.pinned, "--scan", "required"},
                         {{"HF_ENDPOINT", mirror.hub.endpoint() + "," + at.hub.endpoint()}});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(at.hub.requests("tree").size() == 1);
}

TEST_CASE("the manifest's policy counts, flags tighten it and cannot loosen it") {
  Judged at(R"({"license": "mit"})", kUnsafe);
  const auto manifest = [&](const std::string& policy) {
    at.machine.use_manifest(R"({"version":1,"policy":)" + policy +
                            R"(,"models":{"small":{"repo":"org/small","revision":")" +
                            main_of(at.repo) + "\"}}}");
  };
  manifest(R"({"licenses":["mit","gpl-3.0"]})");
  CHECK(at.run({"small", "--allow-license", "gpl-3.0"}).error_kind("small") ==
        "license_not_allowed");
  CHECK(at.run({"small", "--allow-license", "apache-2.0"}).error_kind("small") ==
        "license_not_allowed");
  manifest(R"({"scan":"refuse-unsafe"})");
  CHECK(at.run({"small", "--scan", "off"}).error_kind("small") == "unsafe");
  CHECK(at.run({"org/small"}).error_kind("org/small") == "unsafe");
  manifest("{}");
  CHECK(at.run({"small"}).exit_code == 0);
}

TEST_CASE("export holds a model to the manifest's policy by what the cache knows") {
  Judged at(R"({"license": "mit"})", kUnsafe);
  const auto use_policy = [&](const std::string& policy) {
    at.machine.use_manifest(R"({"version":1,"policy":)" + policy +
                            R"(,"models":{"small":{"repo":"org/small","revision":")" +
                            main_of(at.repo) + "\"}}}");
  };
  const std::string out = (at.machine.folder() / "out").string();
  const auto exported = [&] { return at.run({"export", "small", "--to", "dir:" + out}); };

  use_policy("{}");
  REQUIRE(at.run({"small"}).exit_code == 0);
  use_policy(R"({"licenses":["mit"]})");
  CHECK(exported().error_kind("small") == "offline_missing");
  REQUIRE(at.run({"small"}).exit_code == 0);
  CHECK(exported().exit_code == 0);
  CHECK(at.hub.requests().empty());

  fs::remove_all(out);
  use_policy(R"({"licenses":["gpl-3.0"]})");
  CHECK(exported().error_kind("small") == "license_not_allowed");
  use_policy(R"({"scan":"refuse-unsafe"})");
  CHECK(exported().error_kind("small") == "offline_missing");
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE("lock refuses what a policy refuses, and a lock keeps policy, license and scan") {
  Judged at;
  CHECK(at.run({"lock", at.pinned, "--allow-license", "gpl-3.0"}).exit_code == 1);
  const Run locked = at.run({"lock", at.pinned, "--allow-license", "mit", "--scan", "required"});
  REQUIRE(locked.exit_code == 0);
  CHECK(at.infos() == 1);
  const auto model = nlohmann::json::parse(locked.out)["models"][at.pinned];
  CHECK(model["license"] == nlohmann::json{"mit"});
  CHECK(model["scan"]["complete"] == true);

  // What the lock states is not asked for again, even on a machine that has nothing.
  at.change(R"({"license": "gpl-3.0"})", kUnsafe);
  at.machine.use_manifest(locked.out);
  const Run run = at.run({});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(at.infos() == 0);
  CHECK(at.run({"--allow-license", "gpl-3.0"}).error_kind(at.pinned) == "license_not_allowed");
}

TEST_CASE("a dry run shows the license and refuses like a download") {
  Judged at;
  const Run run = at.run({"org/small", "--dry-run"});
  CHECK(contains(run.out, "LICENSE"));
  CHECK(contains(run.out, "mit\n"));
  CHECK(at.run({at.pinned, "--dry-run", "--allow-license", "gpl-3.0"}).error_kind(at.pinned) ==
        "license_not_allowed");
}

TEST_CASE("what a model needs is held to its policy") {
  Judged at;
  HubRepo adapter = small_repo("org/adapter");
  adapter.card = R"({"license": "mit"})";
  adapter.commits.at(main_of(adapter))
      .push_back({"adapter_config.json", R"({"base_model_name_or_path": "org/small"})"});
  at.hub.add(adapter);
  at.change(R"({"license": "gpl-3.0"})", kClean);
  const Run run = at.run({"org/adapter", "--dependencies", "fetch", "--allow-license", "mit"});
  INFO(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "license_not_allowed");
  CHECK_FALSE(fs::exists(at.machine.cache() / "models--org--small" / "snapshots"));
}

TEST_CASE("a bill of materials has the license of a pinned model, and is the same each time") {
  Judged at(R"({"license": "apache-2.0"})");
  const std::vector<std::string> command = {"lock", at.pinned, "--format", "cyclonedx"};
  const Run run = at.run(command);
  INFO(run.err);
  REQUIRE(run.exit_code == 0);
  const auto bom = nlohmann::json::parse(run.out);
  REQUIRE(bom["components"].size() == 1);
  CHECK(bom["components"][0]["purl"] == "pkg:huggingface/org/small@" + main_of(at.repo));
  CHECK(bom["components"][0]["licenses"][0]["license"]["id"] == "Apache-2.0");
  CHECK(at.infos() == 1);
  CHECK(at.run(command).out == run.out);
  CHECK(at.run({"lock", at.pinned, "--check", "--format", "cyclonedx"}).exit_code == 1);
}

}  // namespace model_prep::testing
