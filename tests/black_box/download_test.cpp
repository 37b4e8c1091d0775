// SPDX-License-Identifier: Apache-2.0
// Downloads: the files are where docs/cache-layout.md says, and are not requested again.
#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

}  // namespace

TEST_CASE("a first run creates exactly the documented tree") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  const Run run = machine.run({"org/small"});
  CHECK(run.exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("a first run requests each blob once") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const Run run = machine.run({"org/small"});
  CHECK(hub.requests("repo_info").size() == 1);
  CHECK(hub.requests("tree").size() == 1);
  CHECK(hub.requests("resolve").size() == 4);  // none for the empty file
  CHECK(sent_of(hub, "model.safetensors") == 300'000);
  CHECK(run.summary["totals"]["requests"] == hub.requests().size());
}

TEST_CASE("files with equal bytes in one repository are fetched once and linked twice") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  machine.run({"org/small"});
  CHECK(sent_of(hub, "vocab.txt") + sent_of(hub, "copy/vocab.txt") == 10);
}

TEST_CASE("bytes that two models share are fetched and counted once") {
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  machine.use_manifest(
      R"({"version":1,"models":{"one":{"repo":"org/small"},"two":{"repo":"org/small"}}})");
  const Run run = machine.run({"one", "two"});
  const auto& models = run.summary["models"];
  CHECK(models["two"]["bytes_downloaded"] == 0);
  CHECK(models["two"]["bytes_reused"] == models["one"]["bytes_downloaded"]);
  CHECK(run.summary["totals"]["bytes_downloaded"] == models["one"]["bytes_downloaded"]);
}

TEST_CASE("an offline dry run fails if a file is missing") {
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  machine.use_manifest(hub.manifest());
  CHECK(machine.run({"small", "--offline", "--dry-run"}).exit_code == 1);
  machine.run({"small"});
  CHECK(machine.run({"small", "--offline", "--dry-run"}).exit_code == 0);
}

TEST_CASE("a ref is forty hex digits without a newline") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  machine.run({"org/small"});
  CHECK(read_text(machine.cache() / "models--org--small/refs/main") == main_of(repo));
}

TEST_CASE("file modes follow the umask, lock files do not") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  const auto [mask, file, folder] = GENERATE(table<std::string, unsigned, unsigned>(
      {{"022", 0644U, 0755U}, {"077", 0600U, 0700U}, {"002", 0664U, 0775U}}));
  const Run run = machine.shell("umask " + mask + "; exec $PROGRAM org/small");
  REQUIRE(run.exit_code == 0);
  const fs::path root = machine.cache() / "models--org--small";
  CHECK(mode_of(blob_of(machine, repo, "model.safetensors")) == file);
  CHECK(mode_of(root / "refs/main") == file);
  CHECK(mode_of(root / ".model-prep" / (main_of(repo) + ".json")) == file);
  CHECK(mode_of(machine.summary()) == file);
  CHECK(mode_of(root) == folder);
  CHECK(mode_of(root / "snapshots" / main_of(repo) / "1_Pooling") == folder);
  for (const auto& lock : fs::directory_iterator(machine.cache() / ".locks/models--org--small")) {
    CHECK(mode_of(lock.path()) == 0664U);
  }
}

TEST_CASE("a second run of a pinned model sends no request and changes nothing") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  const std::string pinned = "org/small@" + main_of(repo);
  REQUIRE(machine.run({pinned}).exit_code == 0);
  const Tree before = tree_of(machine.cache());
  const auto written = fs::last_write_time(machine.cache() / "models--org--small/refs/main");
  hub.clear_requests();
  const Run second = machine.run({pinned});
  CHECK(second.exit_code == 0);
  CHECK(hub.requests().empty());
  CHECK(second.summary["totals"]["requests"] == 0);
  CHECK(second.model(pinned)["status"] == "cached");
  CHECK(tree_of(machine.cache()) == before);
  CHECK(fs::last_write_time(machine.cache() / "models--org--small/refs/main") == written);
}

TEST_CASE("a locked model requests only its files, and nothing on the second run") {
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  machine.use_manifest(hub.manifest());
  REQUIRE(machine.run({}).exit_code == 0);
  CHECK(hub.requests("repo_info").empty());
  CHECK(hub.requests("tree").empty());
  hub.clear_requests();
  CHECK(machine.run({}).exit_code == 0);
  CHECK(hub.requests().empty());
}

TEST_CASE("a second run of an unpinned model sends one request") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small"}).exit_code == 0);
  hub.clear_requests();
  CHECK(machine.run({"org/small"}).exit_code == 0);
  REQUIRE(hub.requests().size() == 1);
  CHECK(hub.requests()[0].kind == "repo_info");
}

TEST_CASE("when a branch moves, the new commit is fetched and the ref follows") {
  FakeHub hub;
  HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small"}).exit_code == 0);
  const std::string next = sha1_hex("next");
  repo.commits[next] = repo.commits.at(main_of(repo));
  repo.commits[next].push_back({"new.txt", "new"});
  repo.refs["main"] = next;
  hub.add(repo);
  hub.clear_requests();
  CHECK(machine.run({"org/small"}).exit_code == 0);
  CHECK(read_text(machine.cache() / "models--org--small/refs/main") == next);
  CHECK(hub.requests("payload").empty());
  CHECK(sent_of(hub, "new.txt") == 3);
}

TEST_CASE("trees/<commit>.json is written for a whole commit") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  const std::string variant = GENERATE("fp32", "all");
  const Run run = machine.run({"org/small", "--variant", variant});
  REQUIRE(run.exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
  const auto listing = nlohmann::json::parse(
      read_text(machine.cache() / "models--org--small/trees" / (main_of(repo) + ".json")));
  const FileDigests weights = digests_of(file_of(repo, "model.safetensors"));
  CHECK(listing["files"].size() == 6);
  CHECK(listing["files"]["model.safetensors"]["blob_id"] == weights.pointer_oid);
  CHECK(listing["files"]["model.safetensors"]["lfs_sha256"] == weights.sha256);
}

TEST_CASE("a locked variant all writes trees/<commit>.json without requesting a listing") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  TestHost machine(hub);
  machine.use_manifest(hub.manifest());
  REQUIRE(machine.run({"--variant", "all"}).exit_code == 0);
  CHECK(hub.requests("tree").empty());
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("a branch other than main gets its own ref, and refs/main is written too") {
  FakeHub hub;
  HubRepo repo = small_repo();
  repo.refs["refs/pr/1"] = main_of(repo);
  hub.add(repo);
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small@refs/pr/1"}).exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo, {.refs = {"main", "refs/pr/1"}}));
}

TEST_CASE("a revision that is named leaves refs/main to another commit that is here") {
  FakeHub hub;
  HubRepo repo = small_repo();
  const std::string other = sha1_hex("other");
  repo.commits[other] = repo.commits.at(main_of(repo));
  repo.refs["v1"] = other;
  hub.add(repo);
  const TestHost machine(hub);
  const fs::path refs = machine.cache() / "models--org--small/refs";
  REQUIRE(machine.run({"org/small"}).exit_code == 0);
  const std::string revision = GENERATE_COPY(as<std::string>{}, "v1", other);
  const Run run = machine.run({"org/small@" + revision});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(read_text(refs / "main") == main_of(repo));
  CHECK(read_text(refs / revision) == other);
  CHECK(contains(run.err, "refs/main still points to another commit"));
  CHECK(run.model("org/small@" + revision)["ref"] == revision);
  const Run verified = machine.run({"verify", "org/small@" + revision});
  CHECK(verified.exit_code == 0);
  CHECK_FALSE(contains(verified.err, "will not find"));
}

TEST_CASE("a manifest may move a ref to another commit, which is said") {
  FakeHub hub;
  HubRepo repo = small_repo();
  const std::string other = sha1_hex("other");
  repo.commits[other] = repo.commits.at(main_of(repo));
  hub.add(repo);
  TestHost machine(hub);
  REQUIRE(machine.run({"org/small"}).exit_code == 0);
  machine.use_manifest(R"({"version": 1, "models": {"small": {"repo": "org/small", "revision": ")" +
                       other + R"("}}})");
  const Run run = machine.run({"small"});
  CHECK(run.exit_code == 0);
  CHECK(read_text(machine.cache() / "models--org--small/refs/main") == other);
  CHECK(contains(run.err, "small: moved refs/main from " + main_of(repo).substr(0, 12) + " to " +
                              other.substr(0, 12)));
}

TEST_CASE("names with blanks, signs and non-ASCII letters are stored unchanged") {
  FakeHub hub;
  const HubRepo repo = make_repo("org/odd", {{"sub dir/we#ird%20 é.txt", "a"},
                                             {"a+b&c=d?e.json", "b"},
                                             {"x[1]'(2)!*:@.bin", MadeUpBytes{1000, 3}, true}});
  hub.add(repo);
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/odd", "--variant", "all"}).exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("one run fetches several models, each into its own directory") {
  FakeHub hub;
  hub.add(small_repo("org/one"));
  hub.add(small_repo("other/two"));
  const TestHost machine(hub);
  const Run run = machine.run({"org/one", "other/two"});
  CHECK(run.exit_code == 0);
  CHECK(tree_of(machine.cache()) ==
        merged(published(small_repo("org/one")), published(small_repo("other/two"))));
  CHECK(run.summary["totals"]["models"] == 2);
}

TEST_CASE("offline, a complete cache needs no hub") {
  const TestHost machine([] {
    FakeHub gone;
    return gone.endpoint();
  }());
  const HubRepo repo = small_repo();
  {
    FakeHub hub;
    hub.add(repo);
    REQUIRE(machine.run({"org/small"}, {{"HF_ENDPOINT", hub.endpoint()}}).exit_code == 0);
  }
  const Run by_name = machine.run({"org/small", "--offline"});
  CHECK(by_name.exit_code == 0);
  CHECK(by_name.summary["totals"]["requests"] == 0);
  CHECK(machine.run({"org/small@" + main_of(repo)}, {{"HF_HUB_OFFLINE", "1"}}).exit_code == 0);
  CHECK(machine.run({"org/small"}, {{"TRANSFORMERS_OFFLINE", "1"}}).exit_code == 0);
}

TEST_CASE("offline, a missing file is named and the exit code is 1") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  const Run nothing = machine.run({"org/small", "--offline"});
  CHECK(nothing.exit_code == 1);
  CHECK(nothing.error_kind("org/small") == "offline_missing");
  REQUIRE(machine.run({"org/small"}).exit_code == 0);
  fs::remove(blob_of(machine, repo, "config.json"));
  hub.clear_requests();
  const Run one_less = machine.run({"org/small", "--offline"});
  CHECK(one_less.exit_code == 1);
  CHECK(one_less.error_kind("org/small") == "offline_missing");
  CHECK(contains(one_less.model("org/small")["error"]["message"], "config.json"));
  CHECK(hub.requests().empty());
}

TEST_CASE("offline opens no socket") {
  if (!may_trace()) return;
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small"}).exit_code == 0);
  const fs::path trace = machine.folder() / "trace";
  // Sanitizers' own work must not be traced away: the leak check needs ptrace for itself.
  const Run run = machine.shell("exec strace -f -e trace=socket,connect,sendto,sendmsg -o " +
                                    trace.string() + " $PROGRAM --offline org/small",
                                {{"ASAN_OPTIONS", "detect_leaks=0"}});
  CHECK(run.exit_code == 0);
  CHECK_FALSE(contains(read_text(trace), "socket("));
  CHECK_FALSE(contains(read_text(trace), "connect("));
}

TEST_CASE("a dry run prints what a run would fetch and writes nothing to the cache") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const Run run = machine.run({"org/small", "--dry-run"});
  CHECK(run.exit_code == 0);
  CHECK_FALSE(fs::exists(machine.cache()));
  CHECK(hub.requests("payload").empty());
  for (const LoggedRequest& request : hub.requests("resolve"))
    CHECK(request.file.ends_with("config.json"));  // may name other repositories
  CHECK(contains(run.out, "model.safetensors"));
  CHECK(contains(run.out, "TO DOWNLOAD"));
  CHECK(run.model("org/small")["status"] == "planned");
  CHECK(run.summary["dry_run"] == true);
}

TEST_CASE("a dry run after a download has nothing to fetch and changes nothing") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small"}).exit_code == 0);
  const Tree before = tree_of(machine.cache());
  const Run run = machine.run({"org/small", "--dry-run"});
  CHECK(run.exit_code == 0);
  CHECK(contains(run.out, "0.0 kB to download"));
  CHECK(tree_of(machine.cache()) == before);
}

TEST_CASE("with --summary -, stdout contains the summary and nothing else") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const Run run = machine.run({"org/small", "--summary", "-"});
  CHECK(run.exit_code == 0);
  CHECK(nlohmann::json::parse(run.out)["success"] == true);
  CHECK_FALSE(fs::exists(machine.summary()));
}

TEST_CASE("stdout is empty unless data was requested") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  CHECK(machine.run({"org/small", "--log-level", "debug"}).out.empty());
}

}  // namespace model_prep::testing
