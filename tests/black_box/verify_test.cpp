// SPDX-License-Identifier: Apache-2.0
// verify: detects and names what is wrong in a cache, --repair repairs it, and intact files are
// left alone.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <thread>

#include "prepared.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

/// Damage that changes neither size nor time, as by a failing disk.
void rot(const fs::path& file) {
  const auto time = fs::last_write_time(file);
  flip_byte(file, 1);
  fs::last_write_time(file, time);
}

std::vector<std::string> fault_kinds(const Run& run, const std::string& key) {
  std::vector<std::string> kinds;
  const auto model = run.model(key);
  for (const auto& fault : model["faults"]) kinds.push_back(fault["kind"]);
  return kinds;
}

/// Every entry with its time and inode, to check that nothing changed.
std::map<std::string, std::string> exact(const fs::path& folder) {
  std::map<std::string, std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    struct stat facts{};
    ::lstat(entry.path().c_str(), &facts);
    found[entry.path()] =
        std::to_string(facts.st_ino) + " " + std::to_string(facts.st_mtim.tv_sec) + "." +
        std::to_string(facts.st_mtim.tv_nsec) + " " + std::to_string(facts.st_mode);
  }
  return found;
}

struct Damage {
  std::string name;
  std::string kind;
  std::function<void(const Prepared&)> make;
  std::vector<std::string> fetched = {};  // files that its repair downloads
};

/// Puts org/huge into the cache, whose only file is a hole of this size under a made-up digest.
/// Returns its entry for a manifest.
std::string add_huge(const TestHost& machine, std::uintmax_t size) {
  const std::string commit(40, 'c');
  const std::string digest(64, 'd');
  const fs::path repo = machine.cache() / "models--org--huge";
  write_text(repo / "blobs" / digest, "");
  fs::resize_file(repo / "blobs" / digest, size);
  fs::create_directories(repo / "snapshots" / commit);
  fs::create_symlink("../../blobs/" + digest, repo / "snapshots" / commit / "w.bin");
  return R"("huge": {"repo": "org/huge", "revision": ")" + commit +
         R"(", "variants": {"fp32": {"include": ["*"]}}, "locked": ["fp32"],
    "files": {"w.bin": {"size": )" +
         std::to_string(size) + R"(, "sha256": ")" + digest + R"("}}})";
}

/// Each kind of fault, with every way to cause it.
std::vector<Damage> damages() {
  const std::string weights = "model.safetensors";
  return {
      {"a rotten blob", "damaged", [=](const Prepared& at) { rot(at.blob(weights)); }, {weights}},
      {"a rotten plain file",
       "damaged",
       [](const Prepared& at) { rot(at.blob("config.json")); },
       {"config.json"}},
      {"a truncated blob",
       "damaged",
       [=](const Prepared& at) { fs::resize_file(at.blob(weights), 9); },
       {weights}},
      {"a blob that is gone",
       "dangling",
       [=](const Prepared& at) { fs::remove(at.blob(weights)); },
       {weights}},
      {"a folder in a blob's place",
       "damaged",
       [=](const Prepared& at) {
         fs::remove(at.blob(weights));
         fs::create_directory(at.blob(weights));
       },
       {weights}},
      {"a link that is gone", "missing",
       [](const Prepared& at) { fs::remove(at.link("config.json")); }},
      {"a link elsewhere", "misdirected",
       [](const Prepared& at) {
         fs::remove(at.link("config.json"));
         fs::create_symlink("/etc/passwd", at.link("config.json"));
       }},
      {"a file in a link's place", "misdirected",
       [](const Prepared& at) {
         fs::remove(at.link("config.json"));
         write_text(at.link("config.json"), "other words");
       }},
      {"a folder in a link's place", "misdirected",
       [](const Prepared& at) {
         fs::remove(at.link("config.json"));
         fs::create_directory(at.link("config.json"));
       }},
      {"a ref that is gone", "ref",
       [](const Prepared& at) { fs::remove(at.in_repo("refs/main")); }},
      {"a ref with a newline", "ref",
       [](const Prepared& at) { write_text(at.in_repo("refs/main"), main_of(at.repo) + "\n"); }},
      {"another's ref to nowhere", "ref",
       [](const Prepared& at) { write_text(at.in_repo("refs/v1"), std::string(40, 'a')); }},
      {"an empty ref of another", "ref",
       [](const Prepared& at) { write_text(at.in_repo("refs/pr/1"), ""); }},
      {"a stranger in the snapshot", "foreign",
       [](const Prepared& at) { write_text(at.link("x/notes.txt"), "hello"); }},
      {"a stranger's link", "foreign",
       [](const Prepared& at) { fs::create_symlink("/etc/passwd", at.link("tokenizer.json")); }},
      {"a stranger's dangling link", "dangling",
       [](const Prepared& at) {
         fs::create_symlink("../../blobs/" + std::string(40, 'b'), at.link("gone.json"));
       }},
      {"a marker that hides a file", "foreign",
       [](const Prepared& at) {
         write_text(at.in_repo(".no_exist/" + main_of(at.repo) + "/config.json"), "");
       }},
      {"a blob that others cannot read", "mode",
       [=](const Prepared& at) { fs::permissions(at.blob(weights), fs::perms(0600)); }},
      {"a folder that others cannot enter", "mode",
       [](const Prepared& at) { fs::permissions(at.in_repo("blobs"), fs::perms(0700)); }},
  };
}

}  // namespace

TEST_CASE("an intact cache passes without a request and without a change") {
  Prepared prepared;
  const auto before = exact(prepared.machine.cache());
  const Run run = prepared.machine.run({"verify", prepared.pinned});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(prepared.hub.requests().empty());
  CHECK(exact(prepared.machine.cache()) == before);
  CHECK(run.summary["command"] == "verify");
  CHECK(run.summary["offline"] == true);
  const auto model = run.model(prepared.pinned);
  CHECK(model["status"] == "verified");
  CHECK(model["faults"].empty());
  for (const auto& file : model["files"]) {
    CHECK(file["status"] == "verified");
    CHECK(file["sha256"] == digests_of(file_of(prepared.repo, file["path"])).sha256);
  }
}

TEST_CASE("every kind of damage is detected, named and repaired with no more bytes than needed") {
  for (const Damage& damage : damages()) {
    DYNAMIC_SECTION(damage.name) {
      Prepared prepared;
      damage.make(prepared);
      const auto before = exact(prepared.machine.cache());
      const Run found = prepared.machine.run({"verify", prepared.pinned});
      CAPTURE(found.err);
      CHECK(found.exit_code == 1);
      CHECK(found.model(prepared.pinned)["status"] == "failed");
      const auto kinds = fault_kinds(found, prepared.pinned);
      CHECK(std::find(kinds.begin(), kinds.end(), damage.kind) != kinds.end());
      CHECK(contains(found.err, "hint: model-prep verify --repair"));
      CHECK(exact(prepared.machine.cache()) == before);
      for (const LoggedRequest& request : prepared.hub.requests()) UNSCOPED_INFO(request.target);
      CHECK(prepared.hub.requests().empty());

      const Run repaired = prepared.machine.run({"verify", "--repair", prepared.pinned});
      CAPTURE(repaired.err);
      CHECK(repaired.exit_code == 0);
      CHECK(repaired.model(prepared.pinned)["status"] == "repaired");
      CHECK(fault_kinds(repaired, prepared.pinned).empty());
      for (const LoggedRequest& request : prepared.hub.requests("resolve"))
        CHECK(std::find(damage.fetched.begin(), damage.fetched.end(), request.file) !=
              damage.fetched.end());
      for (const std::string& file : damage.fetched)
        CHECK(sent_of(prepared.hub, file) ==
              static_cast<std::int64_t>(content_text(file_of(prepared.repo, file).content).size()));
      Tree tree = tree_of(prepared.machine.cache());
      std::erase_if(tree, [](const auto& entry) {
        return contains(entry.first, ".model-prep/quarantine") ||
               (contains(entry.first, ".no_exist") && entry.second == "folder") ||
               entry.first.ends_with(main_of(small_repo()) + "/x") ||
               entry.first.ends_with("refs/pr");
      });
      CHECK(tree == published(prepared.repo));
      prepared.hub.clear_requests();
      CHECK(prepared.machine.run({"verify", prepared.pinned}).exit_code == 0);
      CHECK(prepared.machine.run({prepared.pinned}).exit_code == 0);
      CHECK(prepared.hub.requests().empty());
    }
  }
}

TEST_CASE("a bad file is reported with repository, path, expected and actual digest") {
  Prepared prepared;
  rot(prepared.blob("model.safetensors"));
  const std::string expected = digests_of(file_of(prepared.repo, "model.safetensors")).sha256;
  const std::string found = sha256_hex(read_text(prepared.blob("model.safetensors")));
  const Run run = prepared.machine.run({"verify", prepared.pinned});
  CHECK(contains(run.err, "org/small model.safetensors: its bytes hash to " + found +
                              ", expected " + expected));
  const auto fault = run.model(prepared.pinned)["faults"][0];
  CHECK(fault["path"] == prepared.blob("model.safetensors").string());
  CHECK(fault["expected"] == expected);
  CHECK(fault["found"] == found);
  CHECK(run.error_kind(prepared.pinned) == "digest_mismatch");
}

TEST_CASE("a repair keeps what it moves away") {
  Prepared prepared;
  write_text(prepared.link("notes.txt"), "weeks of work");
  REQUIRE(prepared.machine.run({"verify", "--repair", prepared.pinned}).exit_code == 0);
  std::vector<std::pair<std::string, std::string>> kept;  // without the random prefix of the name
  for (const auto& entry : fs::directory_iterator(prepared.in_repo(".model-prep/quarantine"))) {
    const std::string name = entry.path().filename().string();
    kept.emplace_back(name.substr(name.find('-') + 1), read_text(entry.path()));
  }
  CHECK(kept == std::vector<std::pair<std::string, std::string>>{{"notes.txt", "weeks of work"}});
}

TEST_CASE("a repair without a network fails and makes nothing worse") {
  Prepared prepared;
  rot(prepared.blob("model.safetensors"));
  const std::string rotten = read_text(prepared.blob("model.safetensors"));
  const Run run =
      prepared.machine.run({"verify", "--repair", prepared.pinned}, {{"HF_HUB_OFFLINE", "1"}});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind(prepared.pinned) == "digest_mismatch");
  CHECK_FALSE(contains(run.summary.dump(), "verify --repair repairs it"));
  CHECK(read_text(prepared.blob("model.safetensors")) == rotten);
  CHECK(prepared.hub.requests().empty());
  CHECK(prepared.machine.run({prepared.pinned}).exit_code ==
        0);  // the record does not vouch for it any more
  CHECK(prepared.machine.run({"verify", prepared.pinned}).exit_code == 0);
}

TEST_CASE("a missing model fails verify, and --repair fetches it") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const std::string pinned = "org/small@" + main_of(small_repo());
  const Run run = machine.run({"verify", pinned});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind(pinned) == "offline_missing");
  CHECK(hub.requests().empty());
  CHECK(machine.run({"verify", "--repair", pinned}).exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(small_repo()));
}

TEST_CASE("without a record a model's files are unknown, and a repair requests only the listing") {
  Prepared prepared;
  fs::remove(prepared.record());
  fs::remove_all(prepared.in_repo("trees"));
  const Run run = prepared.machine.run({"verify", prepared.pinned});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "the cache has no file list of commit"));
  CHECK(prepared.machine.run({"verify", "--repair", prepared.pinned}).exit_code == 0);
  REQUIRE(prepared.hub.requests().size() == 1);
  CHECK(prepared.hub.requests()[0].kind == "tree");
}

TEST_CASE("what huggingface_hub downloaded passes: it has no refs/<commit> and no record") {
  Prepared prepared;
  REQUIRE(prepared.machine.run({"org/small", "--variant", "all"}).exit_code == 0);
  fs::remove_all(prepared.in_repo(".model-prep"));
  fs::remove(prepared.in_repo("refs/" + main_of(prepared.repo)));
  const bool pinned = GENERATE(false, true);
  const Run run = prepared.machine.run({"verify", pinned ? prepared.pinned : "org/small"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
}

TEST_CASE("one bad model fails the run, and only that model is repaired") {
  Prepared prepared;
  const HubRepo other = large_repo(100'000);
  prepared.hub.add(other);
  prepared.machine.run({"org/large"});
  rot(blob_of(prepared.machine, other, "model.safetensors"));
  const Run run = prepared.machine.run({"verify", prepared.pinned, "org/large"});
  CHECK(run.exit_code == 1);
  CHECK(run.model(prepared.pinned)["status"] == "verified");
  CHECK(run.model("org/large")["status"] == "failed");
  CHECK(run.summary["totals"]["failed"] == 1);
  const Run repaired = prepared.machine.run({"verify", "--repair", prepared.pinned, "org/large"});
  CHECK(repaired.exit_code == 0);
  CHECK(repaired.model(prepared.pinned)["status"] == "verified");
  CHECK(repaired.model("org/large")["status"] == "repaired");
  CHECK(repaired.summary["totals"]["bytes_downloaded"] == 100'000);
}

TEST_CASE("files of another variant are not faults") {
  Prepared prepared;
  REQUIRE(prepared.machine.run({"--variant", "all", prepared.pinned}).exit_code == 0);
  prepared.machine.use_manifest(
      R"({"version": 1, "models": {"config": {"repo": "org/small", "revision": ")" +
      main_of(prepared.repo) + R"(", "variants": {"fp32": {"include": ["config.json"]}}}}})");
  CHECK(prepared.machine.run({"verify", "config"}).exit_code == 0);
  CHECK(prepared.machine.run({"verify", "--variant", "all", prepared.pinned}).exit_code == 0);
}

TEST_CASE("a missing listing of a whole commit is a fault, and is repaired") {
  Prepared prepared;
  REQUIRE(prepared.machine.run({"--variant", "all", prepared.pinned}).exit_code == 0);
  fs::remove(prepared.in_repo("trees/" + main_of(prepared.repo) + ".json"));
  const Run run = prepared.machine.run({"verify", "--variant", "all", prepared.pinned});
  CHECK(fault_kinds(run, prepared.pinned) == std::vector<std::string>{"listing"});
  CHECK(
      prepared.machine.run({"verify", "--repair", "--variant", "all", prepared.pinned}).exit_code ==
      0);
}

TEST_CASE("without symlinks the files themselves are verified") {
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  machine.take_away({"symlink=EPERM"});
  const std::string pinned = "org/small@" + main_of(small_repo());
  REQUIRE(machine.run({pinned}).exit_code == 0);
  CHECK(machine.run({"verify", pinned}).exit_code == 0);
  const fs::path file = machine.cache() / "models--org--small/snapshots" / main_of(small_repo()) /
                        "model.safetensors";
  REQUIRE_FALSE(fs::is_symlink(file));
  rot(file);
  CHECK(machine.run({"verify", pinned}).exit_code == 1);
  CHECK(machine.run({"verify", "--repair", pinned}).exit_code == 0);
}

TEST_CASE("a stricter umask requires fewer permissions") {
  Prepared prepared;
  fs::permissions(prepared.blob("config.json"), fs::perms(0640));
  CHECK(prepared.machine.shell("umask 022; $PROGRAM verify " + prepared.pinned).exit_code == 1);
  CHECK(prepared.machine.shell("umask 027; $PROGRAM verify " + prepared.pinned).exit_code == 0);
}

TEST_CASE("a ref that cannot be read is a fault, and a repair that may not touch it says so") {
  if (::geteuid() != 0) {
    skip_test("CANNOT BECOME ANOTHER USER");
    return;
  }
  Prepared prepared;
  const fs::path ref = prepared.in_repo("refs/private");
  fs::permissions(prepared.machine.folder(), fs::perms(0755));
  write_text(ref, main_of(prepared.repo));
  fs::permissions(ref, fs::perms(0));
  const std::string owner = GENERATE("0", "65534");
  const Run run = prepared.machine.shell(
      "chown -R 65534 " + prepared.machine.home().string() + "; chown " + owner + " " +
      ref.string() + "; as='setpriv --reuid=65534 --regid=65534 --clear-groups'; $as $PROGRAM " +
      "verify " + prepared.pinned + " 2>&1; exec $as $PROGRAM verify --repair " + prepared.pinned);
  CAPTURE(run.out, run.err);
  const std::string fault = "refs/private: this user may not read it";
  CHECK(contains(run.out, fault));
  CHECK(run.exit_code == (owner == "0" ? 1 : 0));
  if (owner == "0") CHECK(contains(run.err, "change the mode of " + ref.string()));
  CHECK(fs::exists(ref));
}

TEST_CASE("a read-only volume can be verified") {
  if (run_program({"unshare", "-m", "true"}).exit_code != 0) {
    skip_test("NO MOUNT NAMESPACE");
    return;
  }
  Prepared prepared;
  const std::string home = prepared.machine.home();
  const Run run = prepared.machine.shell(
      "exec unshare -m sh -c 'mount --bind " + home + " " + home + " && mount -o remount,ro,bind " +
      home + " && exec $PROGRAM verify " + prepared.pinned + " --summary -'");
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(nlohmann::json::parse(run.out)["success"] == true);
}

TEST_CASE("verify says where each library looks, and only the cache decides the exit code") {
  Prepared prepared;
  const std::string cache = prepared.machine.cache();
  const Run run = prepared.machine.run({"verify", prepared.pinned},
                                       {{"SENTENCE_TRANSFORMERS_HOME", "/nowhere"}});
  CHECK(run.exit_code == 0);
  CHECK(contains(run.out, "huggingface_hub        " + cache + "  1 of 1  -\n"));
  CHECK(contains(run.out, "sentence-transformers  /nowhere"));
  CHECK(contains(run.out, "0 of 1  set SENTENCE_TRANSFORMERS_HOME=" + cache + "\n"));
  CHECK(contains(run.err,
                 "sentence-transformers looks in /nowhere and will not find " + prepared.pinned));
  const auto services = run.summary["services"];
  REQUIRE(services.size() == 5);
  CHECK(services[3]["missing"][prepared.pinned] == "there is no models--org--small");
  CHECK(services[0]["found"] == nlohmann::json::array({prepared.pinned}));
}

TEST_CASE("verify counts a model that is not in the cache among those that no library finds") {
  Prepared prepared;
  const Run run = prepared.machine.run({"verify", prepared.pinned, "org/absent"});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.out, "1 of 2  model-prep verify --repair downloads it"));
  for (const auto& service : run.summary["services"]) {
    CHECK(service["found"] == nlohmann::json::array({prepared.pinned}));
    CHECK(service["missing"] == nlohmann::json{{"org/absent", "not in the cache"}});
  }
}

TEST_CASE("verify --for exits with 1 if that library will not load a model") {
  FakeHub hub;
  hub.add(make_repo("org/bert", {{"config.json", R"({"model_type":"bert"})"},
                                 {kWeights, MadeUpBytes{1000, 1}, true}}));
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/bert"}).exit_code == 0);
  const Run loads = machine.run({"verify", "org/bert", "--for", "transformers"});
  CHECK(loads.exit_code == 0);
  CHECK(contains(loads.out, R"(transformers  by name  AutoModel.from_pretrained("org/bert"))"));
  REQUIRE(loads.summary["loads"].size() == 1);
  CHECK(loads.summary["loads"][0]["loads"] == "by name");

  const Run fails = machine.run({"verify", "org/bert", "--for", "transformers", "--for", "gguf"});
  CHECK(fails.exit_code == 1);
  CHECK(contains(fails.err, "gguf will not load org/bert: it needs a .gguf file"));
  CHECK(fails.summary["error"]["kind"] == "not_loadable");
  CHECK(fails.summary["models"]["org/bert"]["success"] == true);
}

TEST_CASE("of a damaged model, verify --for reports the damage, and not that it will not load") {
  Prepared prepared;
  flip_byte(blob_of(prepared.machine, prepared.repo, kWeights), 1000);
  const Run run = prepared.machine.run({"verify", prepared.pinned, "--for", "transformers"});
  CHECK(run.exit_code == 1);
  CHECK(run.summary["error"].is_null());
  CHECK(run.error_kind(prepared.pinned) == "digest_mismatch");
  CHECK_FALSE(contains(run.err, "will not load"));
  CHECK_FALSE(contains(run.err, "choose another build"));
  CHECK(run.summary["loads"][0]["loads"] == "no");
}

TEST_CASE("a library that looks in a legacy directory is pointed to --repair, which links it") {
  Prepared prepared;
  const std::string older = prepared.machine.folder() / "t";
  const ProgramEnvironment environment = {{"TRANSFORMERS_CACHE", older}};
  const Run run = prepared.machine.run({"verify", prepared.pinned}, environment);
  CHECK(run.exit_code == 0);
  CHECK(contains(run.out, "model-prep verify --repair creates a link there"));
  const Run repaired = prepared.machine.run({"verify", "--repair", prepared.pinned}, environment);
  CHECK(contains(repaired.out, "transformers 4         " + older));
  CHECK_FALSE(contains(repaired.out, "0 of 1"));
  CHECK(prepared.hub.requests().empty());
}

TEST_CASE("a model that is removed while another one is hashed is not verified") {
  Prepared prepared;
  const std::string huge = add_huge(prepared.machine, 2'000'000'000);
  prepared.machine.use_manifest(R"({"version": 1, "models": {)" + huge +
                                R"(, "small": {"repo": "org/small", "revision": ")" +
                                main_of(prepared.repo) + "\"}}}");

  // The small model's files are hashed before or after this; the huge one takes a while.
  const auto program = prepared.machine.start({"verify"});
  REQUIRE(program->wait_for_err("hashing "));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  fs::rename(prepared.in_repo("snapshots"), prepared.in_repo("moved"));
  const Run run = prepared.machine.end_of(*program);
  CAPTURE(run.err);
  CHECK(run.model("small")["status"] == "failed");
}

TEST_CASE("a signal ends the hashing within a second, with a summary") {
  // 40 GB of holes, in a locked manifest.
  FakeHub hub;
  TestHost machine(hub);
  const std::string huge = add_huge(machine, 40'000'000'000);
  machine.use_manifest(R"({"version": 1, "models": {)" + huge + "}}");
  const auto program = machine.start({"verify"});
  REQUIRE(program->wait_for_err("hashing 40.0 GB in 1 file"));
  const auto sent = std::chrono::steady_clock::now();
  program->send_signal(SIGTERM);
  const Run run = machine.end_of(*program);
  CHECK(std::chrono::steady_clock::now() - sent < std::chrono::seconds(is_sanitized() ? 5 : 1));
  CHECK(run.exit_code == 143);
  CHECK(run.model("huge")["status"] == "interrupted");
  CHECK(run.summary["exit_code"] == 143);
  const Run late = machine.run({"verify", "--deadline", "1"});
  CHECK(late.exit_code == 1);
  CHECK(late.error_kind("huge") == "deadline");
}

}  // namespace model_prep::testing
