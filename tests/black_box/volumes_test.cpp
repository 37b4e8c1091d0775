// SPDX-License-Identifier: Apache-2.0
// Volumes in practice: quotas, few inodes, directories of other users, leftovers of other tools.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

/// A machine, and a hub with one large model and one small.
struct Volume {
  FakeHub hub;
  HubRepo large = large_repo(20 * kMB);
  HubRepo small = small_repo();
  TestHost machine{hub};

  Volume() {
    hub.add(large);
    hub.add(small);
  }
  /// Whether we may run the program as another user. If not, prints that.
  bool may_become_others() const {
    if (::geteuid() != 0) skip_test("CANNOT BECOME ANOTHER USER");
    return ::geteuid() == 0;
  }
  Run run_as(const std::string& ids, const std::string& model) const {
    fs::permissions(machine.folder(), fs::perms(0755));
    return machine.shell("umask 002; exec setpriv --clear-groups " + ids + " $PROGRAM " + model);
  }
};

/// Every entry below the folder, links themselves.
template <class Check>
bool all_below(const fs::path& folder, Check check) {
  const auto entries = fs::recursive_directory_iterator(folder);
  return std::all_of(begin(entries), end(entries), [&](const fs::directory_entry& entry) {
    struct stat found{};
    return ::lstat(entry.path().c_str(), &found) == 0 && check(found);
  });
}

}  // namespace

TEST_CASE("a quota too small for a file is reported before its first byte is requested") {
  Volume volume;
  volume.machine.take_away({"fallocate=EDQUOT"});
  const Run run = volume.machine.run({"org/large"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/large") == "disk_full");
  CHECK(contains(run.err, "cannot reserve space for"));
  CHECK(contains(run.err, "hint: the quota is used up: raise it; the next run resumes"));
  CHECK(volume.hub.requests("resolve").empty());
}

TEST_CASE("a quota that runs out during a download ends the run, and the next run succeeds") {
  Volume volume;
  volume.machine.take_away({"pwrite=EDQUOT"});
  const Run run = volume.machine.run({"org/small"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  // In the words of glibc, or of musl.
  CHECK((contains(run.err, "Disk quota exceeded") || contains(run.err, "Quota exceeded")));
  CHECK(contains(run.err, "hint: the quota is used up"));
  const TestHost raised(volume.hub);
  CHECK(raised.run({"org/small"}).exit_code == 0);
}

TEST_CASE("a file system without fallocate and copy_file_range works") {
  Volume volume;
  volume.machine.take_away({"fallocate=ENOTSUP", "copy_file_range=ENOSYS"});
  CHECK(volume.machine.run({"org/large"}).exit_code == 0);
  CHECK(tree_of(volume.machine.cache()) == published(volume.large));
}

TEST_CASE("too few inodes are reported before the first byte") {
  if (!may_mount()) return;
  const Volume volume;
  fs::create_directories(volume.machine.cache());
  const Run run =
      volume.machine.shell("exec unshare -m sh -c 'mount -t tmpfs -o nr_inodes=12 none " +
                           volume.machine.cache().string() + " && exec $PROGRAM org/small'");
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "disk_full");
  CHECK(contains(run.err, "not enough inodes for the cache"));
  CHECK(volume.hub.requests("resolve").empty());
}

TEST_CASE("free space is that of the volume where the repository really lies") {
  if (!may_mount()) return;
  const Volume volume;
  const std::string place = volume.machine.home() / "models--org--large";
  fs::create_directories(place);
  const Run run = volume.machine.shell("exec unshare -m sh -c 'mount -t tmpfs -o size=1m none " +
                                       place + " && exec $PROGRAM org/large'");
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/large") == "disk_full");
  CHECK(contains(run.err, "20.0 MB needed, 1.0 MB free"));
  CHECK(volume.hub.requests("resolve").empty());
}

TEST_CASE("space that a killed run has reserved for a file does not count as missing") {
  if (!may_mount()) return;
  Volume volume;
  volume.hub.add(
      Fault{.on = Fault::On::payload, .times = -1, .what = Drip{.bytes_per_second = 4 * kMB}});
  {
    const auto program = volume.machine.start({"org/large", "--jobs", "1"});
    REQUIRE(volume.hub.wait_until([](const auto& log) { return sent_of(log, kWeights) >= 9 * kMB; },
                                  std::chrono::milliseconds(30'000)));
    program->send_signal(SIGKILL);
    program->wait();
  }
  volume.hub.clear_faults();
  // A tmpfs reserves only what it is asked to, here as a disk would have done it.
  const std::string cache = volume.machine.cache().string();
  const Run run =
      volume.machine.shell("exec unshare -m sh -c 'cp -a " + cache + " " + cache +
                           "-kept && mount -t tmpfs -o size=24m " + "none " + cache + " && cp -a " +
                           cache + "-kept/. " + cache + " && fallocate -n -l 20000000 " + cache +
                           "/models--org--large/blobs/*.incomplete && exec $PROGRAM org/large'");
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err, "resuming at"));
}

TEST_CASE("what is wrong with one repository's folder fails its model, and the others are ready") {
  const Volume volume;
  const std::string fault = GENERATE("of another user", "a folder in place of a blob");
  CAPTURE(fault);
  Run run;
  if (fault == "of another user") {
    if (!volume.may_become_others()) return;
    fs::create_directories(volume.machine.cache() / ".locks");
    fs::permissions(volume.machine.home(), fs::perms(0777));
    fs::permissions(volume.machine.cache(), fs::perms(0777));
    fs::permissions(volume.machine.cache() / ".locks", fs::perms(0777));
    fs::create_directories(volume.machine.cache() / "models--org--large/blobs");
    fs::create_directories(volume.machine.cache() / "models--org--large/.model-prep");
    run = volume.run_as("--reuid=65534 --regid=65534", "org/large org/small");
  } else {
    write_text(blob_of(volume.machine, volume.large, kWeights) / "planted", "");
    run = volume.machine.run({"org/large", "org/small"});
  }
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.model("org/small")["status"] == "downloaded");
  CHECK(run.model("org/large")["status"] == "failed");
}

TEST_CASE(
    "any user of group 0 can fill a volume of group 0, and another one can resume and repair it") {
  const Volume volume;
  if (!volume.may_become_others()) return;
  fs::create_directories(volume.machine.home());
  REQUIRE(::chmod(volume.machine.home().c_str(), 02775) == 0);
  const Run first = volume.run_as("--reuid=1000930000 --regid=0", "org/small");
  CAPTURE(first.err);
  REQUIRE(first.exit_code == 0);
  fs::remove(blob_of(volume.machine, volume.small, kWeights));
  const Run second = volume.run_as("--reuid=1000940000 --regid=0", "org/small org/large");
  CAPTURE(second.err);
  CHECK(second.exit_code == 0);
  CHECK(tree_of(volume.machine.cache()) ==
        merged(published(volume.small), published(volume.large)));
}

TEST_CASE(
    "a record that another user wrote spares the request, even where nothing can be written") {
  Volume volume;
  if (!volume.may_become_others()) return;
  fs::create_directories(volume.machine.home());
  REQUIRE(::chown(volume.machine.home().c_str(), 65534, 65534) == 0);
  const std::string pinned = "org/small@" + main_of(volume.small);
  REQUIRE(volume.run_as("--reuid=65534 --regid=65534", pinned).exit_code == 0);
  volume.hub.clear_requests();
  const Run run = volume.run_as("--reuid=1000940000 --regid=1000940000", pinned);
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(volume.hub.requests().empty());
}

TEST_CASE(
    "in a setgid directory everything belongs to the group, group-writable if the umask allows") {
  const Volume volume;
  if (!volume.may_become_others()) return;
  fs::create_directories(volume.machine.home());
  REQUIRE(::chown(volume.machine.home().c_str(), 65534, 4242) == 0);
  REQUIRE(::chmod(volume.machine.home().c_str(), 02775) == 0);
  const Run run = volume.run_as("--reuid=65534 --regid=65534", "org/small");
  CAPTURE(run.err);
  REQUIRE(run.exit_code == 0);
  CHECK(all_below(volume.machine.home(),
                  [](const struct stat& found) { return found.st_gid == 4242; }));
  CHECK(all_below(volume.machine.home(), [](const struct stat& found) {
    const unsigned wanted = S_ISDIR(found.st_mode) ? 02775U : 0664U;
    return S_ISLNK(found.st_mode) || (found.st_mode & 07777U) == wanted;
  }));
}

TEST_CASE("another user's lock file that is only readable does not stop a run") {
  const Volume volume;
  if (!volume.may_become_others()) return;
  const fs::path locks = volume.machine.cache() / ".locks/models--org--small";
  fs::create_directories(locks);
  for (const fs::path& folder :
       {volume.machine.home(), volume.machine.cache(), locks.parent_path(), locks})
    fs::permissions(folder, fs::perms(0777));
  const fs::path lock =
      locks / (blob_of(volume.machine, volume.small, kWeights).filename().string() + ".lock");
  write_text(lock, "");
  fs::permissions(lock, fs::perms(0644));
  const Run run = volume.run_as("--reuid=65534 --regid=65534", "org/small");
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
}

TEST_CASE("a staging file or record that another process deletes mid-run is started over") {
  Volume volume;
  volume.hub.add(
      Fault{.on = Fault::On::payload, .times = 6, .what = Drip{.bytes_per_second = 1 * kMB}});
  auto program = volume.machine.start({"org/large"});
  REQUIRE(volume.hub.wait_until([](const auto& log) { return sent_of(log, kWeights) >= 3 * kMB; }));
  const auto [ending, said] =
      GENERATE(table<std::string, bool>({{".incomplete", true}, {".resume", false}}));
  for (const fs::path& path : leftovers_in(volume.machine.cache()))
    if (path.extension() == ending) fs::remove(path);
  const Run run = volume.machine.end_of(*program);
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err, "its partial download was deleted; starting over") == said);
  CHECK(tree_of(volume.machine.cache()) == published(volume.large));
}

TEST_CASE("other tools' partial downloads are neither used nor touched") {
  const Volume volume;
  const fs::path repo = volume.machine.cache() / "models--org--small";
  const std::string weights = blob_of(volume.machine, volume.small, kWeights).filename();
  Tree leftovers;
  for (const std::string& name :
       {weights + ".incomplete", weights + ".0123abcd.incomplete", weights + ".part"}) {
    fs::create_directories(repo / "blobs");
    write_text(repo / "blobs" / name, "half");
    leftovers["models--org--small/blobs/" + name] = "file " + sha256_hex("half");
  }
  CHECK(volume.machine.run({"org/small"}).exit_code == 0);
  CHECK(tree_of(volume.machine.cache()) == merged(published(volume.small), leftovers));
}

TEST_CASE("a cache that travelled in an archive with whole seconds needs no hashing") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const std::string pinned = "org/small@" + main_of(small_repo());
  REQUIRE(machine.run({pinned}).exit_code == 0);

  const Run copied =
      machine.shell("cd " + machine.home().string() +
                    " && tar --format=ustar -cf ../volume.tar hub && mkdir ../far && "
                    "tar -xf ../volume.tar -C ../far");
  REQUIRE(copied.exit_code == 0);
  const Run run = machine.run({pinned, "--offline", "--log-level", "debug"},
                              {{"HF_HOME", (machine.folder() / "far").string()}});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK_FALSE(contains(run.err, "hashing it"));
}

TEST_CASE("a dangling link into a shared store is replaced by a blob of our own") {
  const Volume volume;
  const fs::path blob = blob_of(volume.machine, volume.small, kWeights);
  fs::create_directories(blob.parent_path());
  fs::create_symlink("../../blobs/ab/gone", blob);
  CHECK(volume.machine.run({"org/small"}).exit_code == 0);
  CHECK(tree_of(volume.machine.cache()) == published(volume.small));
}

}  // namespace model_prep::testing
