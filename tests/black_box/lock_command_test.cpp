// SPDX-License-Identifier: Apache-2.0
// The command lock: prints a manifest that locks every file, which drives a download without a
// listing; lock --check reports a branch that has moved.
#include <csignal>
#include <set>

#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSmall = R"({"version":1,"models":{"small":{"repo":"org/small"}}})";

/// A machine whose manifest names a small repository by its branch.
struct Unpinned {
  FakeHub hub;
  HubRepo repo = small_repo();
  TestHost machine{hub};

  Unpinned() {
    hub.add(repo);
    machine.use_manifest(kSmall);
  }
  std::string lock(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"lock"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Run run = machine.run(arguments);
    CAPTURE(run.err);
    CHECK(run.exit_code == 0);
    return run.out;
  }
  /// Moves `main` to another commit, with these files changed, added or (if empty) removed.
  std::string move(const std::map<std::string, std::string>& changes) {
    const std::string commit(40, 'e');
    auto files = repo.commits.at(main_of(repo));
    for (const auto& [path, text] : changes) {
      std::erase_if(files, [&](const HubFile& file) { return file.path == path; });
      if (!text.empty()) files.push_back({path, text});
    }
    repo.commits[commit] = files;
    repo.refs["main"] = commit;
    hub.add(repo);
    return commit;
  }
};

/// A hub that answers nothing about its two models.
struct Silent {
  FakeHub hub;
  TestHost machine{hub};

  Silent() {
    for (const char* name : {"org/a", "org/b"}) hub.add(small_repo(name));
    hub.add(Fault{.on = Fault::On::repo_info, .times = -1, .what = Stall{}});
  }
};

bool is_said_once(const std::string& text, const std::string& part) {
  return contains(text, part) && text.find(part) == text.rfind(part);
}

std::set<std::string> kinds(const FakeHub& hub) {
  std::set<std::string> kinds;
  for (const LoggedRequest& request : hub.requests()) kinds.insert(request.kind);
  return kinds;
}

const std::set<std::string> kContent = {"payload", "resolve", "resolve_cache"};

}  // namespace

TEST_CASE("a small file whose bytes were wrong once is requested again, and then elsewhere") {
  Unpinned at;
  at.hub.add(Fault{.file = "config.json", .what = FlipByte{}});
  at.lock({"--variant", "all"});
  CHECK(at.hub.requests("resolve_cache").size() == 3);  // and 1_Pooling/config.json

  at.hub.add(Fault{.file = "config.json", .times = -1, .what = FlipByte{}});
  const Run alone = at.machine.run({"lock", "--variant", "all"});
  CHECK(alone.exit_code == 1);
  CHECK(contains(alone.err, "org/small config.json: its bytes hash to "));

  FakeHub other;
  other.add(at.repo);
  const Run both = at.machine.run({"lock", "--variant", "all"},
                                  {{"HF_ENDPOINT", at.hub.endpoint() + "," + other.endpoint()}});
  CHECK(both.exit_code == 0);
}

TEST_CASE("lock prints commit, sizes and digests, always the same, and writes nothing") {
  const Unpinned at;
  const std::string text = at.lock();
  CHECK(at.hub.requests("payload").empty());
  for (const LoggedRequest& request : at.hub.requests("resolve"))
    CHECK(request.file.ends_with("config.json"));  // may name other repositories
  CHECK(at.lock() == text);
  CHECK_FALSE(fs::exists(at.machine.home()));
  const auto lock = nlohmann::json::parse(text);
  const auto& model = lock["models"]["small"];
  CHECK(model["revision"] == main_of(at.repo));
  CHECK(model["ref"] == "main");
  CHECK(model["locked"] == nlohmann::json{"fp32"});
  CHECK(model["files"].size() == 6);
  for (const HubFile& file : at.repo.commits.at(main_of(at.repo))) {
    CAPTURE(file.path);
    const auto digests = digests_of(file);
    const auto& locked = model["files"][file.path];
    CHECK(locked["size"] == digests.size);
    CHECK(locked.value("git_sha1", "") == digests.git_sha1);
    CHECK(locked.value("sha256", "") == (file.lfs ? digests.sha256 : ""));
  }
}

TEST_CASE("names of the Hub cannot steer what reads a lock on stdout, and stay the same names") {
  FakeHub hub;
  const std::string name = "##[error]\xc2\x9b\xe2\x80\xae.txt";
  hub.add(make_repo("org/odd", {{name, "odd"}, {"model.safetensors", "weights"}}));
  const TestHost machine(hub);
  for (const std::string format : {"lock", "cyclonedx"}) {
    const Run run = machine.run({"lock", "org/odd", "--variant", "all", "--format", format});
    CAPTURE(run.err);
    REQUIRE(run.exit_code == 0);
    CHECK(contains(run.out, "#\\u0023[error]\\u009b\\u202e.txt"));
    CHECK_FALSE(contains(run.out, "##"));
    if (format == "lock")
      CHECK(nlohmann::json::parse(run.out)["models"]["org/odd"]["files"].contains(name));
  }
}

TEST_CASE("lock warns of a file that the policy about pickles may refuse, which it cannot judge") {
  FakeHub hub;
  hub.add(make_repo("org/old",
                    {{"config.json", "{}"}, {"pytorch_model.bin", MadeUpBytes{4'000, 3}, true}}));
  TestHost machine(hub);
  const std::string policy = GENERATE("warn", "forbid-code", "forbid");
  machine.use_manifest(R"({"version": 1, "policy": {"pickles": ")" + policy +
                       R"("}, "models": {"old": {"repo": "org/old"}}})");
  const Run run = machine.run({"lock"});
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err, "old: pytorch_model.bin may be a pickle") == (policy != "warn"));
}

TEST_CASE("a lock drives a download without a listing, for a variant and for all") {
  Unpinned at;
  const bool all = GENERATE(false, true);
  const std::string variant = all ? "all" : "fp32";
  at.machine.use_manifest(at.lock({"--variant", variant}));
  at.hub.clear_requests();
  const Run run = at.machine.run({"--variant", variant});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(kinds(at.hub) == kContent);
  CHECK(tree_of(at.machine.cache()) ==
        published(at.repo, {.listed = all ? Listed::if_whole : Listed::no}));
}

TEST_CASE("after a download, a lock has the sha256 of every file and is the same each time") {
  Unpinned at;
  at.machine.run({"small"});
  const std::string text = at.lock();
  const auto lock = nlohmann::json::parse(text);
  for (const HubFile& file : at.repo.commits.at(main_of(at.repo)))
    CHECK(lock["models"]["small"]["files"][file.path]["sha256"] == digests_of(file).sha256);
  at.machine.use_manifest(text);
  at.hub.clear_requests();
  CHECK(at.lock() == text);
  fs::remove_all(at.machine.home());
  CHECK(at.lock() == text);
  CHECK(at.hub.requests().empty());
  CHECK(at.machine.run({}).exit_code == 0);
}

TEST_CASE(
    "a hub that serves other bytes than the locked ones is a lock_mismatch, without publishing") {
  Unpinned at;
  at.machine.use_manifest(at.lock());
  HubRepo other = at.repo;
  const std::string path = GENERATE(as<std::string>{}, "config.json", "model.safetensors");
  for (HubFile& file : other.commits.at(main_of(at.repo)))
    if (file.path == path)
      file.content = file.lfs ? FileContent(MadeUpBytes{300'000, 9}) : "{\"of\":\"org/SMALL\"}";
  at.hub.add(other);
  const Run run = at.machine.run({"small"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("small") == "lock_mismatch");
  CHECK_FALSE(fs::exists(at.machine.cache() / "models--org--small/refs"));
}

TEST_CASE("lock asks the Hub, and prints what the cache says only offline and with a warning") {
  Unpinned at;
  const std::string pinned = "org/small@" + main_of(at.repo);
  const std::string truth = at.lock({pinned});
  HubRepo other = at.repo;
  for (HubFile& file : other.commits.at(main_of(at.repo)))
    if (file.path == "config.json") file.content = "{\"of\":\"org/SMALL\"}";
  FakeHub false_hub;
  false_hub.add(other);
  REQUIRE(at.machine.run({pinned, "--variant", "all"}, {{"HF_ENDPOINT", false_hub.endpoint()}})
              .exit_code == 0);
  if (GENERATE(false, true)) fs::remove_all(at.machine.cache() / "models--org--small/.model-prep");

  const auto lock = nlohmann::json::parse(at.lock({pinned}));
  const FileDigests right = digests_of(file_of(at.repo, "config.json"));
  const auto files_of = [&](const nlohmann::json& text) { return text["models"][pinned]["files"]; };
  CHECK(files_of(lock)["config.json"] == files_of(nlohmann::json::parse(truth))["config.json"]);
  CHECK(files_of(lock)["config.json"]["git_sha1"] == right.git_sha1);

  at.hub.clear_requests();
  const Run offline = at.machine.run({"lock", pinned}, {{"HF_HUB_OFFLINE", "1"}});
  CHECK(offline.exit_code == 0);
  CHECK(at.hub.requests().empty());
  CHECK(contains(offline.err, "the Hub was not asked"));
  CHECK(files_of(nlohmann::json::parse(offline.out))["config.json"]["git_sha1"] != right.git_sha1);
}

TEST_CASE("lock adds the sha256 of cached bytes, not the one of a record") {
  Unpinned at;
  REQUIRE(at.machine.run({"small"}).exit_code == 0);
  const fs::path record =
      at.machine.cache() / "models--org--small/.model-prep" / (main_of(at.repo) + ".json");
  auto forged = nlohmann::json::parse(read_text(record));
  for (auto& [digest, blob] : forged["blobs"].items())
    if (digest.size() == 40) blob["sha256"] = std::string(64, 'b');
  write_text(record, forged.dump());
  CHECK_FALSE(contains(at.lock(), std::string(64, 'b')));
}

TEST_CASE("a locked file name is literal, even if it looks like a pattern") {
  FakeHub hub;
  const HubRepo repo = make_repo(
      "org/odd", {{"a[1].json", "1"}, {"a1.json", "2"}, {"b*.json", "3"}, {"\"q\".json", "4"}});
  hub.add(repo);
  TestHost machine(hub);
  machine.use_manifest(
      R"({"version":1,"models":{"odd":{"repo":"org/odd","variants":{"fp32":{"include":["[ab\"]*"],
                       "exclude":["a1.json"]}}}}})");
  const Run run = machine.run({"lock"});
  REQUIRE(run.exit_code == 0);
  machine.use_manifest(run.out);
  CHECK(machine.run({}).exit_code == 0);
  CHECK(tree_of(machine.cache()) ==
        published(repo, {.paths = {"a[1].json", "b*.json", "\"q\".json"}}));
}

TEST_CASE("models are sorted by key, and a model that fails leaves no partial lock") {
  FakeHub hub;
  hub.add(small_repo("org/b"));
  hub.add(small_repo("org/a"));
  const TestHost machine(hub);
  CHECK(machine.run({"lock", "org/b", "org/a"}).out == machine.run({"lock", "org/a", "org/b"}).out);
  const Run run = machine.run({"lock", "org/a", "org/nosuch"});
  CHECK(run.exit_code == 1);
  CHECK(run.out.empty());
  CHECK(contains(run.err, "org/nosuch"));
}

TEST_CASE("a signal that ends lock or list --builds is reported once, not for each model") {
  const Silent at;
  auto arguments =
      GENERATE(std::vector<std::string>{"lock"}, std::vector<std::string>{"list", "--builds"});
  arguments.insert(arguments.end(), {"org/a", "org/b"});
  const auto program = at.machine.start(arguments);
  REQUIRE(at.hub.wait_until([](const auto& requests) { return requests.size() == 2; }));

  program->send_signal(SIGTERM);
  const Run run = at.machine.end_of(*program);
  CHECK(run.exit_code == 128 + SIGTERM);
  CHECK(is_said_once(run.err, "stopped by SIGTERM\n"));
  CHECK_FALSE(contains(run.err, "downloaded"));
}

TEST_CASE("a deadline that ends lock is reported once, not for each model") {
  const Silent at;
  const Run run = at.machine.run({"lock", "org/a", "org/b", "--deadline", "1"});
  CHECK(run.exit_code == 1);
  CHECK(is_said_once(run.err, "the run's deadline has passed"));
}

TEST_CASE("lock --check prints nothing if the branch has not moved, and changes nothing") {
  Unpinned at;
  at.machine.use_manifest(at.lock());
  at.hub.clear_requests();
  const Run run = at.machine.run({"lock", "--check"});
  CHECK(run.exit_code == 0);
  CHECK(run.out.empty());
  CHECK(at.hub.requests().size() == 1);
  CHECK_FALSE(fs::exists(at.machine.home()));
}

TEST_CASE("lock --check prints the old and new commit of a moved branch and which files differ") {
  Unpinned at;
  const std::string before = main_of(at.repo);
  const std::string variant = GENERATE("fp32", "all");
  at.machine.use_manifest(at.lock({"--variant", variant}));
  const std::string now =
      at.move({{"config.json", "{\"new\":1}"}, {"vocab.txt", ""}, {"more.json", "{}"}});
  const Run run = at.machine.run({"lock", "--check", "--variant", variant});
  CHECK(run.exit_code == 1);
  std::string expected =
      "small: main has moved from " + before + " to " + now + "\n  changed  config.json\n";
  if (variant == "all") expected += "  added    more.json\n";
  CHECK(run.out == expected + "  removed  vocab.txt\n");
  CHECK_FALSE(fs::exists(at.machine.home()));
}

TEST_CASE("lock --check fails without a pin, offline, and if the branch is missing") {
  Unpinned at;
  CHECK(at.machine.run({"lock", "--check"}).exit_code == 1);
  const std::string lock = at.lock();
  at.machine.use_manifest(lock);
  CHECK(at.machine.run({"lock", "--check"}, {{"HF_HUB_OFFLINE", "1"}}).exit_code == 1);
  std::string elsewhere = lock;
  elsewhere.replace(elsewhere.find("\"ref\": \"main\""), 13, "\"ref\": \"prod\"");
  at.machine.use_manifest(elsewhere);
  const Run run = at.machine.run({"lock", "--check"});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "prod"));
}

}  // namespace model_prep::testing
