// SPDX-License-Identifier: Apache-2.0
// kserve-init: the folders that KServe names hold whole models of real files, and nothing else.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

#include "plain_files.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

const std::string kPinned = "hf://org/served:" + kFirst;

/// `main` is the first commit. Two files have the same bytes, and two builds are in it.
HubRepo served() {
  const HubFile weights{"model.safetensors", MadeUpBytes{9 * kMB, 9}, true};
  HubRepo repo = make_repo("org/served",
                           {weights,
                            {"pytorch_model.bin", MadeUpBytes{2 * kMB, 8}, true},
                            {"config.json", "{}"},
                            {"sub/config.json", "{}"}},
                           kFirst);
  repo.commits[kSecond] = {weights, {"config.json", "{\"new\": 1}"}};
  return repo;
}

Texts files_at(const std::string& commit) { return texts_of(served(), commit); }

/// A machine as KServe's container is: HF_HOME cannot be written.
struct Container {
  FakeHub hub;
  TestHost machine{hub};
  fs::path volume = machine.folder() / "mnt";
  fs::path models = volume / "models";

  Container() {
    hub.add(served());
    fs::create_directories(volume);
  }
  ProgramEnvironment environment() const {
    return {{"HF_HOME", "/proc/none"}, {"TRANSFORMERS_CACHE", "/proc/none"}};
  }
  Run run(const std::vector<std::string>& arguments, ProgramEnvironment changes = {}) const {
    for (const auto& [name, value] : environment()) changes.emplace(name, value);
    std::vector<std::string> all = {"kserve-init"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    all.insert(all.end(), {"--summary", machine.summary().string()});
    return machine.run(all, changes);
  }
  /// The names in the folder of all destinations: nothing but these may be left.
  std::vector<std::string> left() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(volume))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
};

using Names = std::vector<std::string>;

/// A lockfile of the first commit.
std::string lock_of(Container& container) {
  const Run run = container.machine.run({"lock", "org/served", "--variant", "all"});
  REQUIRE(run.exit_code == 0);
  container.hub.clear_requests();
  return run.out;
}

/// With another digit in each sha256.
std::string contradicting(std::string lock) {
  const std::string member = "\"sha256\": \"";
  for (std::size_t at = 0; (at = lock.find(member, at)) != std::string::npos;) {
    at += member.size();
    lock[at] = lock[at] == '0' ? '1' : '0';
  }
  return lock;
}

}  // namespace

TEST_CASE("kserve-init fills the destination with the whole model, and leaves no cache") {
  Container container;
  const Run run = container.run({kPinned, container.models.string()});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(run.out == container.models.string() + "\n");
  CHECK(plain_files_in(container.models) == files_at(kFirst));
  CHECK(container.left() == Names{"models"});
  CHECK(run.summary["command"] == "kserve-init");
  CHECK(run.summary["export"]["folders"][0] == container.models.string());
  CHECK(run.model("org/served@" + kFirst)["status"] == "downloaded");
  CHECK(contains(run.err, "1 of 1 model ready, 11.0 MB downloaded"));
}

TEST_CASE("each byte is on the disk once while a model is moved into its destination") {
  // The volume has room for it once, and a little more.
  if (!may_mount()) return;
  Container container;
  const std::string volume = container.volume.string();
  const Run run = container.machine.shell(
      "exec unshare -m sh -c 'mount -t tmpfs -o size=14m none " + volume +
          " && $PROGRAM kserve-init " + kPinned + " " + volume + "/models && ls -A " + volume + "'",
      container.environment());
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(contains(run.out, "\nmodels\n"));
}

TEST_CASE("kserve-init works as another user, with a root that cannot be written") {
  if (!may_mount()) return;
  Container container;
  fs::permissions(container.machine.folder(), fs::perms(0755));
  fs::create_directories(container.models);
  fs::permissions(container.models, fs::perms(0777));
  const std::string models = container.models.string();
  const std::string as_nobody =
      ::geteuid() == 0 ? "setpriv --reuid=65534 --regid=65534 --clear-groups " : "";
  // As an emptyDir: the destination is a mount point.
  const Run run =
      container.machine.shell("exec unshare -m sh -c 'mount --bind " + models + " " + models +
                                  " && mount -o remount,bind,ro / && exec " + as_nobody +
                                  "$PROGRAM kserve-init " + kPinned + " " + models + "'",
                              container.environment());
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(plain_files_in(container.models) == files_at(kFirst));
}

TEST_CASE("a restart costs nothing for a pinned model, and one look for a branch") {
  Container container;
  REQUIRE(container.run({kPinned, container.models.string()}).exit_code == 0);
  container.hub.clear_requests();
  const Run again = container.run({kPinned, container.models.string()});
  CHECK(again.exit_code == 0);
  CHECK(container.hub.requests().empty());
  CHECK(contains(again.err, "nothing to do in " + container.models.string()));
  CHECK(again.model("org/served@" + kFirst)["status"] == "cached");
  CHECK(contains(again.err, "1 of 1 model ready, nothing downloaded, 0 requests"));

  const Run branch = container.run({"hf://org/served", container.models.string()});
  CAPTURE(branch.err);
  CHECK(branch.exit_code == 0);
  CHECK(container.hub.requests("resolve").empty());
  CHECK(container.hub.requests().size() == 2);
  CHECK(branch.summary["totals"]["requests"] == 2);
  CHECK(plain_files_in(container.models) == files_at(kFirst));
}

TEST_CASE("a destination that was filled differently or was changed since is filled again") {
  Container container;
  const std::string models = container.models.string();
  REQUIRE(container.run({kPinned, models, "--include", "*.json"}).exit_code == 0);
  CHECK(plain_files_in(container.models).size() == 2);
  CHECK(container.run({kPinned, models}).exit_code == 0);
  CHECK(plain_files_in(container.models) == files_at(kFirst));

  write_text(container.models / "config.json", "[]");
  CHECK(container.run({kPinned, models}).exit_code == 0);
  CHECK(plain_files_in(container.models) == files_at(kFirst));

  CHECK(container.run({"hf://org/served:" + kSecond, models}).exit_code == 0);
  CHECK(plain_files_in(container.models) == files_at(kSecond));
  CHECK(container.left() == Names{"models"});
}

TEST_CASE("the lock of a manifest holds a model that is asked for with its revision too") {
  Container container;
  const std::string models = container.models.string();
  const std::string lock = lock_of(container);
  container.machine.use_manifest(lock);
  const std::string revision = GENERATE(true, false) ? kFirst : "main";
  const Run run = container.run({"hf://org/served:" + revision, models});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(plain_files_in(container.models) == files_at(kFirst));
  CHECK(container.hub.requests("tree").empty());

  fs::remove_all(container.models);
  container.machine.use_manifest(contradicting(lock));
  const Run wrong = container.run({"hf://org/served:" + revision, models});
  CHECK(wrong.exit_code == 1);
  CHECK(wrong.error_kind("org/served@" + revision) == "lock_mismatch");
  CHECK_FALSE(fs::exists(container.models));
}

TEST_CASE("a destination that was filled before there was a lock is held to it") {
  Container container;
  const std::string models = container.models.string();
  const std::string lock = lock_of(container);
  REQUIRE(container.run({kPinned, models}).exit_code == 0);
  container.hub.clear_requests();
  container.machine.use_manifest(lock);
  CHECK(container.run({kPinned, models}).exit_code == 0);
  CHECK(container.hub.requests().empty());

  container.machine.use_manifest(contradicting(lock));
  const Run wrong = container.run({kPinned, models});
  CAPTURE(wrong.err);
  CHECK(wrong.exit_code == 1);
  CHECK(wrong.error_kind("org/served@" + kFirst) == "lock_mismatch");
}

TEST_CASE("a revision that is not the manifest's is refused, and nothing is requested") {
  Container container;
  container.machine.use_manifest(lock_of(container));
  const Run run = container.run({"hf://org/served:" + kSecond, container.models.string()});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "org/served is asked for at revision " + kSecond +
                              ", and the manifest has it at " + kFirst));
  CHECK(container.hub.requests().empty());
}

TEST_CASE("the same files, selected in another way, are downloaded only once more") {
  Container container;
  const std::vector<std::string> plain = {kPinned, container.models.string()};
  REQUIRE(container.run(plain).exit_code == 0);

  std::vector<std::string> spelled = plain;
  for (const char* pattern : {"*.json", "*.safetensors", "*.bin"})
    spelled.insert(spelled.end(), {"--include", pattern});
  CHECK(container.run(spelled).exit_code == 0);
  container.hub.clear_requests();
  CHECK(container.run(spelled).exit_code == 0);
  CHECK(container.hub.requests().empty());
  CHECK(plain_files_in(container.models) == files_at(kFirst));
  CHECK(container.left() == Names{"models"});
}

TEST_CASE("a build may be chosen") {
  Container container;
  const Run run = container.run({kPinned, container.models.string()}, {{"MODEL_VARIANT", "fp32"}});
  CHECK(run.exit_code == 0);
  CHECK(plain_files_in(container.models).count("pytorch_model.bin") == 0);
  CHECK(plain_files_in(container.models).count("model.safetensors") == 1);
}

TEST_CASE("a policy of the environment holds, for a destination that is filled already too") {
  Container container;
  container.hub.add(
      make_repo("org/pickled", {{"config.json", "{}"}, {"pytorch_model.bin", "\x80\x02}."}}));
  const std::string models = container.models.string();
  REQUIRE(container.run({"hf://org/pickled", models}).exit_code == 0);
  const Run run = container.run({"hf://org/pickled", models}, {{"MODEL_PREP_FORBID_PICKLES", "1"}});
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "pytorch_model.bin"));

  const Run without = container.run({"hf://org/pickled", models, "--exclude", "*.bin"},
                                    {{"MODEL_PREP_FORBID_PICKLES", "1"}});
  CHECK(without.exit_code == 0);
  CHECK(plain_files_in(container.models).count("pytorch_model.bin") == 0);
}

TEST_CASE("a signal while the branch is looked up ends the run, and nothing is downloaded again") {
  Container container;
  const std::vector<std::string> command = {"kserve-init", "hf://org/served",
                                            container.models.string()};
  REQUIRE(container.machine.run(command, container.environment()).exit_code == 0);
  container.hub.clear_requests();
  container.hub.add(Fault{.on = Fault::On::repo_info, .times = -1, .what = Stall{}});
  const auto program = container.machine.start(command, container.environment());
  REQUIRE(container.hub.wait_until([](const auto& log) { return !log.empty(); }));
  program->send_signal(SIGTERM);
  CHECK(program->wait().exit_code == 143);
  CHECK(container.hub.requests().size() == 1);
}

TEST_CASE("a Hub that is down is waited for once when a branch is looked up") {
  Container container;
  const std::vector<std::string> arguments = {"hf://org/served", container.models.string(),
                                              "--patience", "2"};
  REQUIRE(container.run(arguments).exit_code == 0);
  container.hub.add(Fault{.times = -1, .what = Status{.code = 503}});
  container.hub.clear_requests();
  const Run run = container.run(arguments);
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.summary["error"]["kind"] == "server");
  CHECK(run.summary["totals"]["requests"] == container.hub.requests().size());
  const std::string begins = "; it may be starting";  // a wait
  REQUIRE(contains(run.err, begins));
  CHECK(run.err.find(begins) == run.err.rfind(begins));
  CHECK(plain_files_in(container.models) == files_at(kFirst));
}

TEST_CASE("after SIGKILL, no destination is there half, and the next run resumes") {
  Container container;
  container.hub.add(
      Fault{.on = Fault::On::payload, .times = -1, .what = Drip{.bytes_per_second = 4 * kMB}});
  {
    const auto program =
        container.machine.start({"kserve-init", kPinned, container.models.string(), "--jobs", "1"},
                                container.environment());
    const auto has_sent = [](const std::vector<LoggedRequest>& log) {
      return sent_of(log, "model.safetensors") >= 6 * kMB;
    };
    REQUIRE(container.hub.wait_until(has_sent, milliseconds(30'000)));
    program->send_signal(SIGKILL);
    CHECK(program->wait().signal == SIGKILL);
  }
  CHECK_FALSE(fs::exists(container.models));

  container.hub.clear_faults();
  container.hub.clear_requests();
  const Run run = container.run({kPinned, container.models.string()});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(sent_of(container.hub, "model.safetensors") <= 7 * kMB);
  CHECK(plain_files_in(container.models) == files_at(kFirst));
  CHECK(container.left() == Names{"models"});
}

TEST_CASE("a cache that a killed run left goes with the next one, also if that has nothing to do") {
  Container container;
  REQUIRE(container.run({kPinned, container.models.string()}).exit_code == 0);
  write_text(container.volume / ".models.cache/models--org--served/blobs/1", "left");
  container.hub.clear_requests();
  CHECK(container.run({kPinned, container.models.string()}).exit_code == 0);
  CHECK(container.hub.requests().empty());
  CHECK(container.left() == Names{"models"});
}

TEST_CASE("several models have a destination each, and only what is missing is fetched") {
  Container container;
  container.hub.add(make_repo("org/adapter", {{"adapter.safetensors", MadeUpBytes{kMB, 3}, true}}));
  const std::vector<std::string> arguments = {"hf://org/adapter",
                                              (container.models / "adapter").string(), kPinned,
                                              (container.models / "base").string()};
  const Run run = container.run(arguments);
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(plain_files_in(container.models / "base") == files_at(kFirst));
  CHECK(plain_files_in(container.models / "adapter").count("adapter.safetensors") == 1);
  CHECK(plain_files_in(container.models).size() == files_at(kFirst).size() + 3);  // and two records
  CHECK(contains(run.err, "2 of 2 models ready"));

  // One of them is there: only the other one is fetched.
  fs::remove_all(container.models / "adapter");
  container.hub.clear_requests();
  const Run second = container.run(arguments);
  CHECK(second.exit_code == 0);
  CHECK(sent_of(container.hub, "model.safetensors") == 0);
  CHECK(second.model("org/served@" + kFirst)["status"] == "cached");
  CHECK(second.model("org/adapter")["status"] == "downloaded");
}

TEST_CASE("a destination in another one, which is a mount point, does not keep it from an update") {
  if (!may_mount()) return;
  Container container;
  container.hub.add(make_repo("org/adapter", {{"adapter.safetensors", MadeUpBytes{kMB, 3}, true}}));
  fs::create_directories(container.models);
  const std::string models = container.models.string();
  const auto fill = [&](const std::string& commit) {
    return " && $PROGRAM kserve-init hf://org/served:" + commit + " " + models +
           " hf://org/adapter " + models + "/lora";
  };
  const fs::path seen = container.machine.folder() / "seen";
  const Run run = container.machine.shell("exec unshare -m sh -c 'mount -t tmpfs none " + models +
                                              fill(kFirst) + fill(kSecond) + " && exec cp -a " +
                                              models + " " + seen.string() + "'",
                                          container.environment());
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  Texts files = plain_files_in(seen);
  CHECK(files.count("lora/adapter.safetensors") == 1);
  std::erase_if(files, [](const auto& file) { return file.first.starts_with("lora/"); });
  CHECK(files == files_at(kSecond));
}

TEST_CASE("a destination in another one that is replaced as a whole is refused at the start") {
  Container container;
  const Run run = container.run({kPinned, container.models.string(), "hf://org/adapter",
                                 (container.models / "lora").string()});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err,
                 "/models/lora is in " + container.models.string() + ", which is no mount point"));
  CHECK(container.hub.requests().empty());
}

TEST_CASE("two containers may fill one destination at once") {
  Container container;
  const std::vector<std::string> command = {"kserve-init", kPinned, container.models.string()};
  const auto one = container.machine.start(command, container.environment());
  const auto other = container.machine.start(command, container.environment());
  one->wait();
  other->wait();
  // One of them may find that the other one is writing; its restart finds all in place.
  CHECK(container.run({kPinned, container.models.string()}).exit_code == 0);
  CHECK(plain_files_in(container.models) == files_at(kFirst));
  CHECK(container.left() == Names{"models"});
}

TEST_CASE("where files cannot have two names, they are copied") {
  Container container;
  container.machine.take_away({"link=EPERM"});
  const Run run = container.run({kPinned, container.models.string()});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(plain_files_in(container.models) == files_at(kFirst));
  CHECK(container.left() == Names{"models"});
}

TEST_CASE("a cache that the user names stays, and shares no file with the destination") {
  Container container;
  const fs::path cache = container.machine.folder() / "cache";
  const std::vector<std::string> arguments = {kPinned, container.models.string(), "--cache-dir",
                                              cache.string()};
  CHECK(container.run(arguments).exit_code == 0);
  CHECK(plain_files_in(container.models) == files_at(kFirst));
  CHECK(fs::exists(cache / "models--org--served/snapshots" / kFirst));

  fs::remove_all(container.models);
  container.hub.clear_requests();
  CHECK(container.run(arguments).exit_code == 0);
  CHECK(container.hub.requests().empty());
  CHECK(plain_files_in(container.models) == files_at(kFirst));
}

TEST_CASE("a signal and the deadline end the wait for a cache that another process removes") {
  Container container;
  const fs::path cache = container.volume / ".models.cache";
  fs::create_directories(cache);
  const int fd = ::open(cache.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  REQUIRE(::flock(fd, LOCK_EX) == 0);
  const Run late = container.run({kPinned, container.models.string(), "--deadline", "1"});
  CHECK(late.exit_code == 1);
  CHECK(late.summary["error"]["kind"] == "deadline");

  const auto program = container.machine.start({"kserve-init", kPinned, container.models.string()},
                                               container.environment());
  REQUIRE(
      program->wait_for_err("waiting for another process, which is removing " + cache.string()));
  program->send_signal(SIGTERM);
  CHECK(program->wait().exit_code == 143);
  CHECK(container.hub.requests().empty());
  ::close(fd);
  CHECK(container.run({kPinned, container.models.string()}).exit_code == 0);
}

TEST_CASE("a link in the place of the cache is not followed") {
  Container container;
  const fs::path outside = container.machine.folder() / "outside";
  fs::create_directories(outside);
  fs::create_directory_symlink(outside, container.volume / ".models.cache");
  const Run run = container.run({kPinned, container.models.string()});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, ".models.cache is a symlink"));
  CHECK(fs::is_empty(outside));
}

TEST_CASE("a folder of others in the place of the cache is refused and left alone") {
  Container container;
  write_text(container.volume / ".models.cache/notes.txt", "weeks of work");
  const Run run = container.run({kPinned, container.models.string()});
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, ".models.cache cannot be a temporary cache: it holds notes.txt"));
  CHECK(container.hub.requests().empty());
  CHECK(read_text(container.volume / ".models.cache/notes.txt") == "weeks of work");

  // Also by a run that has nothing to do.
  fs::rename(container.volume / ".models.cache", container.volume / "aside");
  REQUIRE(container.run({kPinned, container.models.string()}).exit_code == 0);
  fs::rename(container.volume / "aside", container.volume / ".models.cache");
  CHECK(container.run({kPinned, container.models.string()}).exit_code == 0);
  CHECK(read_text(container.volume / ".models.cache/notes.txt") == "weeks of work");
}

TEST_CASE("a cache in the destination, which would be removed with it, is refused") {
  Container container;
  const fs::path cache = container.models / ".model-prep.cache";
  const Run run =
      container.run({kPinned, container.models.string(), "--cache-dir", cache.string()});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "the cache " + cache.string() + " is in " + container.models.string()));
  CHECK(container.hub.requests().empty());
}

TEST_CASE("files of others in a destination are refused and left alone") {
  Container container;
  write_text(container.models / "notes.txt", "weeks of work");
  const Run run = container.run({kPinned, container.models.string()});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "holds notes.txt, which no export wrote"));
  CHECK(read_text(container.models / "notes.txt") == "weeks of work");
}

TEST_CASE("an address or a destination that cannot be meant is an error before any request") {
  Container container;
  const std::string models = container.models.string();
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{},
                                                    {kPinned},
                                                    {"s3://bucket/model", models},
                                                    {"org/served", models},
                                                    {models, kPinned}}) {
    const auto program = container.machine.start([&] {
      std::vector<std::string> all = {"kserve-init"};
      all.insert(all.end(), arguments.begin(), arguments.end());
      return all;
    }());
    CHECK(program->wait().exit_code == 1);
  }
  CHECK(container.hub.requests().empty());
  CHECK(contains(container.run({"s3://bucket/model", models}).err,
                 "leave s3:// to KServe's own storage initializer"));
}

TEST_CASE("a model that is not on the Hub leaves no destination, and says which one it is") {
  Container container;
  const Run run = container.run({"hf://org/none", container.models.string()});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/none") == "not_found");
  CHECK_FALSE(fs::exists(container.models));
}

}  // namespace model_prep::testing
