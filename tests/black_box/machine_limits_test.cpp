// SPDX-License-Identifier: Apache-2.0
// The limits of the machine: disk space, permissions, connections, memory.
#include <unistd.h>

#include <algorithm>

#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

/// Runs the program as another user without files, if we may change the user; else as ourselves.
std::string as_nobody() {
  return ::geteuid() == 0 ? "exec setpriv --reuid=65534 --regid=65534 --clear-groups $PROGRAM"
                          : "exec $PROGRAM";
}

std::string expected_uid() {
  return "uid " + std::to_string(::geteuid() == 0 ? 65534U : ::geteuid());
}

/// Makes the machine's directory accessible to other users.
void open_to_all(const TestHost& machine) { fs::permissions(machine.folder(), fs::perms(0755)); }

Run on_one_megabyte(const TestHost& machine, const std::string& arguments) {
  fs::create_directories(machine.cache());
  return machine.shell("exec unshare -m sh -c 'mount -t tmpfs -o size=1m none " +
                       machine.cache().string() + " && exec $PROGRAM " + arguments + "'");
}

}  // namespace

TEST_CASE("insufficient disk space is reported before the first byte") {
  if (!may_mount()) return;
  FakeHub hub;
  hub.add(large_repo(3 * kMB));
  const TestHost machine(hub);
  const Run run = on_one_megabyte(machine, "org/large");
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/large") == "disk_full");
  CHECK(contains(run.err, "3.0 MB needed"));
  CHECK(hub.requests("resolve").empty());
}

TEST_CASE("a dry run reports insufficient disk space without failing") {
  if (!may_mount()) return;
  FakeHub hub;
  hub.add(large_repo(3 * kMB));
  const TestHost machine(hub);
  const Run run = on_one_megabyte(machine, "--dry-run org/large");
  CHECK(run.exit_code == 0);
  CHECK(contains(run.out, "3.0 MB to download into " + machine.cache().string() +
                              ", but only 1.0 MB is free"));
  CHECK(contains(run.err, "warn  not enough space for the cache"));
}

TEST_CASE(
    "a disk that fills up during a download ends the run with an error, and the next run resumes") {
  FakeHub hub;
  hub.add(large_repo(3 * kMB));
  const TestHost machine(hub);
  // A file size limit simulates a full disk, because the check of free space does not know it.
  const Run run = machine.shell("ulimit -f 2000; exec $PROGRAM org/large");
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/large") == "disk_full");
  CHECK(contains(run.err, "cannot write"));
  CHECK_FALSE(tree_of(machine.cache()).contains("models--org--large/refs"));
  const Run second = machine.run({"org/large"});
  CHECK(second.exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(large_repo(3 * kMB)));
}

TEST_CASE("an unwritable cache is reported with user and owner before the first request") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  open_to_all(machine);
  fs::create_directories(machine.cache());
  fs::permissions(machine.cache(), fs::perms(0555));
  const Run run = machine.shell(as_nobody() + " org/small --summary -");
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "not writable"));
  CHECK(contains(run.err, expected_uid()));
  CHECK(contains(run.err, "mode 0555"));
  CHECK(contains(run.err, "belongs to uid " + std::to_string(::geteuid())));
  CHECK(contains(run.out, "\"permission\""));
  CHECK(hub.requests().empty());
}

TEST_CASE("a complete pinned model on another user's volume exits 0") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small@" + main_of(repo)}).exit_code == 0);
  open_to_all(machine);
  hub.clear_requests();
  const Run run = machine.shell(as_nobody() + " --summary - org/small@" + main_of(repo));
  CHECK(run.exit_code == 0);
  CHECK(hub.requests().empty());
}

TEST_CASE("a complete pinned model on a read-only volume exits 0, even without our record") {
  if (!may_mount()) return;
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  machine.use_manifest(hub.manifest());
  REQUIRE(machine.run({}).exit_code == 0);
  const bool recorded = GENERATE(true, false);
  if (!recorded) fs::remove_all(machine.cache() / "models--org--small/.model-prep");
  hub.clear_requests();
  const std::string home = machine.home();
  const Run run = machine.shell("exec unshare -m sh -c 'mount --bind " + home + " " + home +
                                " && mount -o remount,ro,bind " + home + " && exec $PROGRAM'");
  CHECK(run.exit_code == 0);
  CHECK(hub.requests().empty());
}

TEST_CASE("what huggingface_hub left is complete on a read-only volume, without refs/<commit>") {
  if (!may_mount()) return;
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small", "--variant", "all"}).exit_code == 0);
  const fs::path folder = machine.cache() / "models--org--small";
  fs::remove_all(folder / ".model-prep");
  fs::remove(folder / "refs" / main_of(repo));
  hub.clear_requests();

  const std::string wanted =
      GENERATE_COPY(as<std::string>{}, "org/small", "org/small@" + main_of(repo));
  CHECK(contains(machine.run({"list", wanted}).out, " cached "));
  const std::string home = machine.home();
  const Run run = machine.shell("exec unshare -m sh -c 'mount --bind " + home + " " + home +
                                " && mount -o remount,ro,bind " + home +
                                " && exec $PROGRAM --offline " + wanted + "'");
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err, "the Rust hf-hub will not find this commit"));
  CHECK(hub.requests().empty());

  CHECK(machine.run({wanted, "--offline"}).exit_code == 0);
  CHECK(read_text(folder / "refs" / main_of(repo)) == main_of(repo));
}

TEST_CASE("two pins of one repository on a read-only volume exit 0, alone and together") {
  if (!may_mount()) return;
  FakeHub hub;
  HubRepo repo = small_repo();
  const std::string other = sha1_hex("other");
  repo.commits[other] = repo.commits.at(main_of(repo));
  hub.add(repo);
  const TestHost machine(hub);
  const std::string first = "org/small@" + main_of(repo);
  const std::string second = "org/small@" + other;
  REQUIRE(machine.run({first, second}).exit_code == 0);
  hub.clear_requests();
  const std::string home = machine.home();
  const std::string models = GENERATE_COPY(as<std::string>{}, first, second, first + " " + second);
  const Run run =
      machine.shell("exec unshare -m sh -c 'mount --bind " + home + " " + home +
                    " && mount -o remount,ro,bind " + home + " && exec $PROGRAM " + models + "'");
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(hub.requests().empty());
}

TEST_CASE("an incomplete pinned model on a read-only volume is reported before the first request") {
  if (!may_mount()) return;
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  machine.use_manifest(hub.manifest());
  fs::create_directories(machine.cache());
  const std::string home = machine.home();
  const Run run =
      machine.shell("exec unshare -m sh -c 'mount --bind " + home + " " + home +
                    " && mount -o remount,ro,bind " + home + " && exec $PROGRAM --summary -'");
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "read-only"));
  CHECK(hub.requests().empty());
}

TEST_CASE("an I/O error of the cache ends the run and names the path") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  const fs::path lock = machine.cache() / ".locks/models--org--small" /
                        (digests_of(file_of(repo, "model.safetensors")).sha256 + ".lock");
  fs::create_directories(lock);
  const Run run = machine.run({"org/small"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "io");
  CHECK(contains(run.err, lock.string()));
}

TEST_CASE("too many open files are explained by a hint") {
  FakeHub hub;
  std::vector<HubFile> files;
  for (int i = 0; i < 80; ++i)
    files.push_back({std::to_string(i), MadeUpBytes{2000, static_cast<std::uint64_t>(i)}, true});
  hub.add(make_repo("org/many", files));
  const TestHost machine(hub);
  const Run run = machine.shell("ulimit -n 48; exec $PROGRAM --jobs 64 --variant all org/many",
                                {{"ASAN_OPTIONS", "detect_leaks=0"}});
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/many") == "io");
  // In the words of glibc, or of musl.
  CHECK((contains(run.err, "Too many open files") ||
         contains(run.err, "No file descriptors available")));
  CHECK(contains(run.err, "hint: lower --jobs, or raise the limit of open files (ulimit -n)"));
}

TEST_CASE("no more requests than --jobs are in flight at once") {
  FakeHub hub;
  std::vector<HubFile> files;
  for (int i = 0; i < 20; ++i) files.push_back({std::to_string(i) + ".json", std::to_string(i)});
  hub.add(make_repo("org/many", files));
  hub.add(Fault{.on = Fault::On::resolve, .times = -1, .what = Stall{}});
  const TestHost machine(hub);
  const Run run = machine.run({"org/many", "--jobs", "3", "--deadline", "1"});
  CHECK(run.exit_code == 1);
  CHECK(hub.requests("resolve").size() == 3);
}

TEST_CASE("the ranges of one file share the connections of --jobs") {
  FakeHub hub;
  hub.add(large_repo(40 * kMB));
  hub.add(Fault{.on = Fault::On::payload, .times = -1, .what = Stall{}});
  const TestHost machine(hub);
  const Run run = machine.run({"org/large", "--jobs", "4", "--deadline", "1"});
  CHECK(run.exit_code == 1);
  CHECK(hub.requests("payload").size() <= 4);
  CHECK(hub.requests("payload").size() >=
        3);  // the fourth may be the small file's, which does not stall
}

TEST_CASE("downloading a 300 MB file needs less than 32 MiB of memory") {
  if (is_sanitized()) return;  // whose memory is not the program's
  FakeHub hub;
  hub.add(large_repo(300 * kMB));
  hub.add(Fault{.on = Fault::On::resolve_cache, .file = "config.json", .what = Stall{}});
  const TestHost machine(hub);
  const auto program = machine.start({"org/large"});
  REQUIRE(program->wait_for_err("model.safetensors: verified", std::chrono::seconds(60)));
  const std::int64_t peak = peak_memory_kib(program->pid());
  CHECK(peak > 0);
  CHECK(peak < 32 * 1024);
}

}  // namespace model_prep::testing
