// SPDX-License-Identifier: Apache-2.0
// cleanup: removes revisions that are no longer pinned, with their refs and the blobs that nothing
// else uses, and keeps the rest.
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "support/catch.h"
#include "test_host.h"
#include "tree_check.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kOldSize = 300'000;
const std::string kOld(40, 'a');
const std::string kNew(40, 'b');
const std::string kThird(40, 'c');

/// Two commits with one plain file in common; `main` is the new one.
HubRepo two_commits(const std::string& id = "org/two") {
  const auto files = [](std::int64_t size, std::uint64_t seed) {
    return std::vector<HubFile>{{"config.json", "{}"},
                                {"sub/notes.txt", "of " + std::to_string(seed)},
                                {"model.safetensors", MadeUpBytes{size, seed}, true}};
  };
  HubRepo repo;
  repo.id = id;
  repo.refs = {{"main", kNew}, {"v1", kOld}, {"refs/pr/1", kThird}};
  repo.commits = {
      {kOld, files(kOldSize, 1)}, {kNew, files(200'000, 2)}, {kThird, files(100'000, 3)}};
  return repo;
}

/// The same repository as if it had this commit only.
HubRepo only(const HubRepo& repo, const std::string& commit) {
  HubRepo one = repo;
  one.refs = {{"main", commit}};
  one.commits = {{commit, repo.commits.at(commit)}};
  return one;
}

std::string manifest_of(const std::string& revision, const std::string& more = "") {
  return R"({"version":1,"models":{"two":{"repo":"org/two","revision":")" + revision + "\"}" +
         more + "}}";
}

/// A machine that downloaded the old commit and then, with a new manifest, the new one.
struct Moved {
  FakeHub hub;
  HubRepo repo = two_commits();
  TestHost machine{hub};

  explicit Moved(bool links = true) {
    hub.add(repo);
    if (!links) machine.take_away({"symlink=EPERM"});
    machine.use_manifest(manifest_of(kOld));
    REQUIRE(machine.run({"two"}).exit_code == 0);
    machine.use_manifest(manifest_of(kNew));
    REQUIRE(machine.run({"two"}).exit_code == 0);
    hub.clear_requests();
  }
  fs::path in_repo(const std::string& path) const {
    return machine.cache() / "models--org--two" / path;
  }
  fs::path snapshot(const std::string& commit) const { return in_repo("snapshots/" + commit); }
  fs::path lock(const std::string& blob) const {
    return machine.cache() / ".locks/models--org--two" / (blob + ".lock");
  }
  std::string weights(const std::string& commit) const {
    for (const HubFile& file : repo.commits.at(commit))
      if (file.lfs) return digests_of(file).blob_name();
    return {};
  }
  /// The tree after a run with only this commit, without lock files.
  Tree just(const std::string& commit) const {
    return without_locks(published(only(repo, commit)));
  }
  Tree there() const { return without_locks(tree_of(machine.cache())); }

  static Tree without_locks(Tree tree) {
    std::erase_if(tree, [](const auto& entry) { return entry.first.starts_with(".locks"); });
    return tree;
  }
};

class HeldLock {
 public:
  explicit HeldLock(const fs::path& path)
      : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0664)) {
    fs::create_directories(path.parent_path());
    REQUIRE(::flock(fd_, LOCK_EX | LOCK_NB) == 0);
  }
  ~HeldLock() { ::close(fd_); }

 private:
  int fd_;
};

}  // namespace

TEST_CASE("cleanup keeps the pinned revision and removes the previous one") {
  const Moved moved;
  const Run run = moved.machine.run({"cleanup"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(moved.there() == moved.just(kNew));
  CHECK(moved.hub.requests().empty());
  const auto& cleaned = run.summary["cleanup"][0];
  CHECK(cleaned["repo"] == "org/two");
  CHECK(cleaned["revisions"][0]["commit"] == kOld);
  CHECK(cleaned["bytes"] == kOldSize + 4);
  CHECK(contains(run.err, "removed revision aaaaaaaaaaaa, 0.3 MB"));
  CHECK(moved.machine.run({"two", "--offline"}).exit_code == 0);
}

TEST_CASE(
    "the revision that cleanup keeps is still trusted, and a second cleanup removes nothing") {
  const Moved moved;
  moved.machine.run({"cleanup"});
  const Run again = moved.machine.run({"cleanup"});
  CHECK(again.exit_code == 0);
  CHECK(again.summary["cleanup"][0]["bytes"] == 0);
  CHECK(moved.machine.run({"two"}).model("two")["status"] == "cached");
  CHECK(moved.hub.requests().empty());
}

TEST_CASE("a dry run of cleanup lists each item with its size and changes nothing") {
  const Moved moved;
  write_text(moved.in_repo("blobs/" + std::string(64, '1') + ".12345678.incomplete"), "half");
  const Tree before = tree_of(moved.machine.cache());
  const Run run = moved.machine.run({"cleanup", "--dry-run"});
  CHECK(run.exit_code == 0);
  CHECK(tree_of(moved.machine.cache()) == before);
  CHECK(contains(run.out, "revision aaaaaaaaaaaa"));
  CHECK(contains(run.out, "0.3 MB"));
  CHECK(contains(run.out, "leftovers of interrupted downloads"));
  CHECK(run.summary["cleanup"][0]["bytes"] == kOldSize + 4 + 4);
  CHECK(moved.machine.run({"two", "--dry-run", "--cleanup"}).exit_code == 0);
  CHECK(tree_of(moved.machine.cache()) == before);
  moved.machine.run({"cleanup"});
  CHECK(moved.there() == moved.just(kNew));
}

TEST_CASE("download --cleanup prunes only if every model is complete") {
  const Moved moved;
  const bool fails = GENERATE(false, true);
  std::vector<std::string> arguments = {"two", "--cleanup"};
  if (fails) arguments.push_back("org/nosuch");
  const Run run = moved.machine.run(arguments);
  CHECK(run.exit_code == (fails ? 1 : 0));
  CHECK(fs::exists(moved.snapshot(kOld)) == fails);
  CHECK(run.summary.contains("cleanup") == !fails);
}

TEST_CASE("a revision that another model or variant pins in the same repository is never removed") {
  Moved moved;
  const std::string other = GENERATE(
      R"(,"other":{"repo":"org/two","revision":")" + kOld + "\"}",
      R"(,"other":{"repo":"org/x","variants":{"fp32":{},"onnx":{"repo":"org/two","revision":")" +
          kOld + "\"}}}",
      R"(,"other":{"repo":"org/two","revision":"v1"})");
  if (contains(other, "v1")) write_text(moved.in_repo("refs/v1"), kOld);
  moved.machine.use_manifest(manifest_of(kNew, other));
  CHECK(moved.machine.run({"cleanup", "two"}).exit_code == 0);
  CHECK(fs::exists(moved.snapshot(kOld) / "model.safetensors"));
  CHECK(moved.machine.run({"cleanup"}).exit_code == 0);
  CHECK(fs::exists(moved.snapshot(kOld) / "model.safetensors"));
}

TEST_CASE("cleanup keeps the target of the model's own ref, and removes targets of other refs") {
  Moved moved;
  REQUIRE(moved.machine.run({"org/two@refs/pr/1", "--cleanup"}).exit_code == 0);
  write_text(moved.in_repo("refs/main"), kNew);
  moved.machine.use_manifest(manifest_of(kOld));
  REQUIRE(moved.machine.run({"two"}).exit_code == 0);
  write_text(moved.in_repo("refs/main"), kNew);
  const Run run = moved.machine.run({"cleanup"});
  CHECK(fs::exists(moved.snapshot(kOld)));
  CHECK(fs::exists(moved.snapshot(kNew)));
  CHECK_FALSE(fs::exists(moved.snapshot(kThird)));
  CHECK_FALSE(fs::exists(moved.in_repo("refs/refs/pr/1")));
  CHECK(wrong_in(moved.machine.cache(), {moved.repo}).empty());
}

TEST_CASE("a manifest without cached revisions removes none") {
  Moved moved;
  fs::remove(moved.in_repo("refs/main"));
  const std::string revision = GENERATE(std::string(40, 'd'), "v9");
  moved.machine.use_manifest(manifest_of(revision));
  const Tree before = moved.there();
  const Run run = moved.machine.run({"cleanup"});
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err, "no pinned revision is in the cache"));
  CHECK(moved.there() == before);
}

TEST_CASE(
    "a manifest ahead of the cache removes nothing, although main points to a cached commit") {
  Moved moved;
  moved.machine.use_manifest(manifest_of(std::string(40, 'd')));
  const Tree before = moved.there();
  const Run run = moved.machine.run({"cleanup"});
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err, "no pinned revision is in the cache"));
  CHECK(moved.there() == before);
}

TEST_CASE(
    "a repository outside the manifest is cleaned only if named, and keeps what its refs name") {
  Moved moved;
  const HubRepo other = two_commits("org/other");
  moved.hub.add(other);
  REQUIRE(moved.machine.run({"org/other@v1"}).exit_code == 0);
  REQUIRE(moved.machine.run({"org/other@main"}).exit_code == 0);
  const fs::path folder = moved.machine.cache() / "models--org--other";
  fs::copy(folder / "snapshots" / kNew, folder / "snapshots" / kThird,
           fs::copy_options::copy_symlinks | fs::copy_options::recursive);
  const Tree before = tree_of(folder);
  moved.machine.run({"cleanup"});
  CHECK(tree_of(folder) == before);
  CHECK(moved.machine.run({"cleanup", "org/other"}).exit_code == 0);
  CHECK(fs::exists(folder / "snapshots" / kOld));
  CHECK(fs::exists(folder / "snapshots" / kNew));
  CHECK_FALSE(fs::exists(folder / "snapshots" / kThird));
}

TEST_CASE("removing a blob of the shared store removes only the link to it") {
  const Moved moved;
  const fs::path stored = moved.machine.cache() / "blobs/ab/stored";
  const fs::path blob = moved.in_repo("blobs/" + moved.weights(kOld));
  fs::create_directories(stored.parent_path());
  fs::rename(blob, stored);
  fs::create_symlink("../../blobs/ab/stored", blob);
  const Run run = moved.machine.run({"cleanup"});
  CHECK(run.exit_code == 0);
  CHECK(fs::exists(stored));
  CHECK_FALSE(fs::is_symlink(blob));
  CHECK(run.summary["cleanup"][0]["bytes"] == 4);
}

TEST_CASE("leftovers without a living writer are removed, whichever tool left them") {
  const Moved moved;
  const std::string blob(64, '1');
  for (const char* name : {".incomplete", ".12345678.incomplete"})
    write_text(moved.in_repo("blobs/" + blob + name), "x");
  write_text(moved.in_repo("blobs/notes.incomplete"), "of somebody");
  CHECK(moved.machine.run({"cleanup"}).summary["cleanup"][0]["unfinished"] == 2);
  CHECK(read_text(moved.in_repo("blobs/notes.incomplete")) == "of somebody");
  CHECK_FALSE(fs::exists(moved.in_repo("blobs/" + blob + ".incomplete")));
}

TEST_CASE(
    "cleanup removes a killed download's staging, and keeps that of a writer on another machine") {
  Moved moved;
  const HubRepo repo = large_repo(8'000'000);
  moved.hub.add(repo);
  moved.machine.use_manifest(R"({"version":1,"models":{"large":{"repo":"org/large"}}})");
  moved.hub.add(Fault{.on = Fault::On::payload, .times = -1, .what = Stall{.after = 100'000}});
  const auto program = moved.machine.start({"large"});
  REQUIRE(
      moved.hub.wait_until([](const auto& log) { return sent_of(log, "model.safetensors") > 0; }));
  const fs::path config = blob_of(moved.machine, repo, "config.json");
  const auto staged = [&] { return leftovers_in(moved.machine.cache()).size(); };
  // Until the small file has arrived, its staging file is there too.
  while (staged() != 2 || !fs::exists(config)) std::this_thread::yield();
  const Run beside = moved.machine.run({"cleanup"});
  CHECK(beside.exit_code == 0);
  CHECK(contains(beside.err, "in use by"));
  CHECK(staged() == 2);
  program->send_signal(SIGKILL);
  program->wait();
  const bool elsewhere = GENERATE(false, true);
  if (elsewhere)  // give it the tag of another machine
    for (const fs::path& left : leftovers_in(moved.machine.cache())) {
      std::string name = left.filename();
      const std::string text = read_text(left);
      if (const std::size_t dot = name.find('.'); name.ends_with(".incomplete"))
        name.replace(dot + 1, 8, "01234567");
      fs::rename(left, left.parent_path() / name);
      if (!name.ends_with(".resume")) continue;
      std::string record = text;
      for (std::size_t word = 0, at = 0; word < 4; ++word, at = record.find(' ', at) + 1)
        if (word >= 2) record.replace(at, 8, "01234567");
      write_text(left, record);
    }
  const Run after = moved.machine.run({"cleanup"});
  CAPTURE(after.err);
  CHECK(after.exit_code == 0);
  CHECK(staged() == (elsewhere ? 2 : 0));
  CHECK(contains(after.err, "may still be running") == elsewhere);
}

TEST_CASE("a repository with a held lock is skipped, and cleaned once the lock is free") {
  const Moved moved;
  const Tree before = moved.there();
  {
    const HeldLock lock(moved.lock(moved.weights(kNew)));
    const Run run = moved.machine.run({"cleanup"});
    CHECK(run.exit_code == 0);
    CHECK(contains(run.err, "in use by"));
    CHECK(moved.there() == before);
  }
  moved.machine.run({"cleanup"});
  CHECK(moved.there() == moved.just(kNew));
}

TEST_CASE("a file that a service has open stays readable after cleanup") {
  const Moved moved;
  std::ifstream open(moved.snapshot(kOld) / "model.safetensors", std::ios::binary);
  REQUIRE(moved.machine.run({"cleanup"}).exit_code == 0);
  const std::string text{std::istreambuf_iterator<char>(open), {}};
  CHECK(sha256_hex(text) == moved.weights(kOld));
}

TEST_CASE("without symlinks, cleanup removes the files of an old revision") {
  const Moved moved(false);
  const Run run = moved.machine.run({"cleanup"});
  CHECK(run.exit_code == 0);
  CHECK_FALSE(fs::exists(moved.snapshot(kOld)));
  CHECK(run.summary["cleanup"][0]["bytes"] == kOldSize + 4 + 2);
  CHECK(moved.machine.run({"two"}).model("two")["status"] == "cached");
  CHECK(moved.hub.requests().empty());
}

TEST_CASE("a repository in a legacy directory is cleaned in place") {
  Moved moved;
  fs::rename(moved.in_repo(""), moved.machine.home() / "models--org--two.real");
  fs::remove(moved.machine.home() / "models--org--two");
  fs::remove(moved.machine.cache() / "models--org--two");
  fs::rename(moved.machine.home() / "models--org--two.real",
             moved.machine.home() / "models--org--two");
  CHECK(moved.machine.run({"cleanup"}).exit_code == 0);
  CHECK_FALSE(fs::exists(moved.machine.home() / "models--org--two/snapshots" / kOld));
  CHECK(
      fs::exists(moved.machine.home() / "models--org--two/snapshots" / kNew / "model.safetensors"));
}

TEST_CASE("a revision in the lower layer of an image is removed, and the cache is still right") {
  if (!may_mount()) return;
  const Moved moved;
  const std::string home = moved.machine.home();
  const std::string layer = moved.machine.folder() / "layer";
  fs::create_directories(layer);
  const Run run = moved.machine.shell(
      "exec unshare -m sh -c 'mount -t tmpfs none " + layer + " && mkdir " + layer + "/up " +
      layer + "/work && mount -t overlay -o redirect_dir=off,lowerdir=" + home +
      ",upperdir=" + layer + "/up,workdir=" + layer + "/work none " + home +
      " && $PROGRAM cleanup && find " + home + "/hub && $PROGRAM --offline --summary - two'");
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK_FALSE(contains(run.out, "snapshots/" + kOld));
  CHECK_FALSE(contains(run.out, "blobs/" + moved.weights(kOld)));
  CHECK(contains(run.out, "snapshots/" + kNew + "/model.safetensors"));
}

TEST_CASE(
    "what a killed cleanup of 0.1.0 had moved aside waits for the next one, however old it is") {
  Moved moved;
  const fs::path blob = moved.in_repo("blobs/" + moved.weights(kNew));
  const fs::path aside =
      moved.in_repo(".model-prep/blob-" + moved.weights(kNew) + ".0123456789abcdef.tmp");
  fs::rename(blob, aside);
  fs::last_write_time(aside, fs::file_time_type::clock::now() - std::chrono::hours(100));
  moved.hub.add(Fault{.on = Fault::On::payload, .times = -1, .what = Status{404}});
  moved.machine.run({"two", "--retries", "0"});
  CHECK(fs::exists(aside));
  CHECK(moved.machine.run({"cleanup"}).exit_code == 0);
  CHECK(fs::exists(blob));
  CHECK(moved.machine.run({"two", "--offline"}).exit_code == 0);
}

TEST_CASE("what a killed cleanup had moved aside is removed by the next one, even if it is empty") {
  const Moved moved;
  moved.machine.run({"cleanup"});
  const fs::path aside = moved.in_repo(".model-prep/snapshot-" + kOld + ".0123456789abcdef.tmp");
  fs::create_directories(aside);
  if (GENERATE(false, true)) fs::create_symlink("../../../blobs/x", aside / "config.json");
  const Run preview = moved.machine.run({"cleanup", "--dry-run"});
  CHECK(contains(preview.out, "leftovers of interrupted downloads"));
  CHECK(moved.machine.run({"cleanup"}).exit_code == 0);
  CHECK_FALSE(fs::exists(aside));
}

TEST_CASE("a repository of which a ref or a link cannot be read is left alone, and that is said") {
  const Moved moved;
  if (::geteuid() != 0) {
    skip_test("CANNOT BECOME ANOTHER USER");
    return;
  }
  fs::permissions(moved.machine.folder(), fs::perms(0755));
  write_text(moved.in_repo("refs/private"), kOld);
  const Tree before = moved.there();

  // A file that cannot be opened; directories that can be listed, and nothing in them looked at.
  const auto [path, mode] = GENERATE(table<std::string, const char*>(
      {{"refs/private", "600"}, {"refs", "644"}, {"snapshots/" + kNew, "644"}}));
  const std::string closed = moved.in_repo(path).string();
  const Run run = moved.machine.shell(
      "chown -R 65534 " + moved.machine.home().string() + "; chown 0 " + closed + "; chmod " +
      mode + " " + closed +
      "; exec setpriv --reuid=65534 --regid=65534 --clear-groups $PROGRAM cleanup");
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, path));
  CHECK(contains(run.err, "Permission denied"));
  CHECK(moved.there() == before);
}

TEST_CASE("what names no revision among the refs does not keep cleanup from its work") {
  const Moved moved;
  fs::create_symlink("nowhere", moved.in_repo("refs/dangling"));
  fs::create_directory_symlink("pr", moved.in_repo("refs/folder"));
  REQUIRE(::mkfifo(moved.in_repo("refs/pipe").c_str(), 0600) == 0);
  CHECK(moved.machine.run({"cleanup"}).exit_code == 0);
  CHECK_FALSE(fs::exists(moved.snapshot(kOld)));
  CHECK(fs::exists(moved.snapshot(kNew)));
}

TEST_CASE("a repository whose links a disk does not give is left alone, and that is said") {
  Moved moved;
  const Tree before = moved.there();
  moved.machine.take_away({"readlinkat=EIO"});
  const Run run = moved.machine.run({"cleanup"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "cannot read the link"));
  CHECK(moved.there() == before);
}

TEST_CASE("a download waits for the cleanup of its repository to end") {
  const Moved moved;
  fs::remove(moved.in_repo("refs/main"));
  auto cleaning =
      std::make_unique<HeldLock>(moved.machine.cache() / ".locks/models--org--two/model-prep.lock");
  const bool offline = GENERATE(false, true);
  const auto program = moved.machine.start({"two"}, {{"HF_HUB_OFFLINE", offline ? "1" : "0"}});
  CHECK(program->wait_for_err("org/two: waiting for a cleanup to end"));
  CHECK_FALSE(fs::exists(moved.in_repo("refs/main")));
  cleaning.reset();
  CHECK(moved.machine.end_of(*program).exit_code == 0);
  CHECK(fs::exists(moved.in_repo("refs/main")));
}

TEST_CASE("cleanup takes the address of a page on an endpoint") {
  const Moved moved;
  const Run run = moved.machine.run(
      {"cleanup"}, {{"MODELS_TO_DOWNLOAD", moved.hub.endpoint() + "/org/two/tree/main"}});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(moved.there() == moved.just(kNew));
}

TEST_CASE("cleaning an empty cache succeeds, and an unknown model is an error") {
  FakeHub hub;
  const TestHost machine(hub);
  CHECK(machine.run({"cleanup"}).exit_code == 0);
  CHECK_FALSE(fs::exists(machine.cache()));
  CHECK(machine.run({"cleanup", "nosuch"}).exit_code == 1);
}

}  // namespace model_prep::testing
