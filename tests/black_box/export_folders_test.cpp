// SPDX-License-Identifier: Apache-2.0
// export to plain files: whole folders of real files, and nothing of others is touched.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <thread>

#include "parallel.h"
#include "plain_files.h"
#include "prepared.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

HubRepo two_revisions() {
  const HubFile weights{"model.safetensors", MadeUpBytes{9 * kMB, 9}, true};
  HubRepo repo =
      make_repo("org/plain", {weights, {"config.json", "{}"}, {"sub/old.json", "[]"}}, kFirst);
  repo.commits[kSecond] = {weights, {"config.json", "{\"new\": 1}"}, {"sub/new.json", "[]"}};
  return repo;
}

/// A machine with both revisions in its cache.
struct Filled {
  FakeHub hub;
  TestHost machine{hub};
  fs::path plain = machine.folder() / "plain";
  fs::path folder = plain / "org--plain";

  Filled() {
    hub.add(two_revisions());
    REQUIRE(machine.run({"org/plain@" + kSecond}).exit_code == 0);
    REQUIRE(machine.run({"org/plain@" + kFirst}).exit_code == 0);
    hub.clear_requests();
  }
  Run run(const std::string& commit, const std::string& kind = "dir") const {
    return machine.run({"export", "org/plain@" + commit, "--to", kind + ":" + plain.string()});
  }
};

Texts wanted(const std::string& commit) { return texts_of(two_revisions(), commit); }

/// What a folder holds besides the record. Everything must be a real file.
Texts found_in(const fs::path& folder) {
  Texts files = plain_files_in(folder);
  for (const auto& [name, text] : files) CHECK(text != kNoRealFile);
  return files;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

ino_t inode_of(const fs::path& file) {
  struct stat found{};
  ::stat(file.c_str(), &found);
  return found.st_ino;
}

}  // namespace

TEST_CASE("export to dir writes real files, and a second export copies nothing") {
  const Filled filled;
  const Run run = filled.run(kFirst);
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(filled.hub.requests().empty());
  CHECK(run.out == filled.folder.string() + "\n");
  CHECK(run.summary["export"]["folders"][0] == filled.folder.string());
  CHECK(found_in(filled.folder) == wanted(kFirst));
  CHECK(names_in(filled.plain) == std::vector<std::string>{"org--plain"});

  const ino_t before = inode_of(filled.folder / "model.safetensors");
  const Run second = filled.run(kFirst);
  CHECK(second.exit_code == 0);
  CHECK(contains(second.err, "nothing to do in " + filled.folder.string()));
  CHECK(contains(second.err, "0.0 kB hashed"));
  CHECK(inode_of(filled.folder / "model.safetensors") == before);
}

TEST_CASE("a folder has the key that the manifest gives the model") {
  const Filled filled;
  filled.machine.run({"list"});
  const std::string manifest = R"({"version": 1, "models": {"mine": {"repo": "org/plain",
      "revision": ")" + kFirst +
                               R"("}}})";
  write_text(filled.machine.folder() / "m.json", manifest);
  const Run run = filled.machine.run({"export", "mine", "--to", "dir:" + filled.plain.string(),
                                      "--manifest", (filled.machine.folder() / "m.json").string()});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(found_in(filled.plain / "mine") == wanted(kFirst));
}

TEST_CASE("another revision replaces the folder as a whole") {
  const Filled filled;
  REQUIRE(filled.run(kFirst).exit_code == 0);
  CHECK(filled.run(kSecond).exit_code == 0);
  CHECK(found_in(filled.folder) == wanted(kSecond));
  CHECK(names_in(filled.plain) == std::vector<std::string>{"org--plain"});
}

TEST_CASE("a folder that is replaced keeps its mode and its group") {
  const Filled filled;
  fs::create_directories(filled.folder);
  const bool is_root = ::geteuid() == 0;
  if (is_root) REQUIRE(::chown(filled.folder.c_str(), 4242, 4343) == 0);
  fs::permissions(filled.folder, fs::perms(02770));
  for (const std::string& commit : {kFirst, kSecond}) {
    REQUIRE(filled.run(commit).exit_code == 0);
    struct stat found{};
    REQUIRE(::stat(filled.folder.c_str(), &found) == 0);
    CHECK((found.st_mode & 07777U) == 02770U);
    if (is_root) CHECK((found.st_uid == 4242 && found.st_gid == 4343));
    REQUIRE(::stat((filled.folder / "config.json").c_str(), &found) == 0);
    if (is_root) CHECK(found.st_gid == 4343);
  }
}

TEST_CASE("a file of an export that was changed since is written again") {
  const Filled filled;
  REQUIRE(filled.run(kFirst).exit_code == 0);
  write_text(filled.folder / "config.json", "[]");
  CHECK(filled.run(kFirst).exit_code == 0);
  CHECK(found_in(filled.folder) == wanted(kFirst));
}

TEST_CASE("a folder that is there already is held to a lock that came later") {
  const Filled filled;
  const std::vector<std::string> command = {"export", "org/plain@" + kFirst, "--to",
                                            "dir:" + filled.plain.string()};
  REQUIRE(filled.machine.run(command).exit_code == 0);

  // It adds the sha256 of plain git files, which alone the git id does not name.
  const Run lock = filled.machine.run({"lock", "org/plain@" + kFirst, "--variant", "all"});
  auto manifest = nlohmann::json::parse(lock.out);
  auto& model = manifest["models"]["org/plain@" + kFirst];
  const auto run = [&] {
    write_text(filled.machine.folder() / "m.json", manifest.dump());
    return filled.machine.run(command, {{"MODEL_PREP_MANIFEST", filled.machine.folder() / "m.json"},
                                        {"MODEL_VARIANT", "all"}});
  };
  CHECK(contains(run().err, "nothing to do in"));

  model["files"]["config.json"]["sha256"] = std::string(64, '0');
  const Run wrong = run();
  CAPTURE(wrong.err);
  CHECK(wrong.exit_code == 1);
  CHECK(wrong.error_kind("org/plain@" + kFirst) == "lock_mismatch");
}

TEST_CASE("a wrong byte leaves no folder, or the one that was there") {
  const Filled filled;
  REQUIRE(filled.run(kFirst).exit_code == 0);
  flip_byte(blob_of(filled.machine, two_revisions(), "model.safetensors"), 5 * kMB);
  const Run replaced = filled.run(kSecond);
  CHECK(replaced.exit_code == 1);
  CHECK(replaced.error_kind("org/plain@" + kSecond) == "digest_mismatch");
  CHECK(found_in(filled.folder) == wanted(kFirst));

  fs::remove_all(filled.plain);
  CHECK(filled.run(kFirst).exit_code == 1);
  CHECK(names_in(filled.plain).empty());
}

TEST_CASE("files of others are refused and left alone") {
  const Filled filled;
  write_text(filled.folder / "notes.txt", "weeks of work");
  const Run strange = filled.run(kFirst);
  CHECK(strange.exit_code == 1);
  CHECK(contains(strange.err, "holds notes.txt, which no export wrote"));

  fs::remove_all(filled.folder);
  REQUIRE(filled.run(kFirst).exit_code == 0);
  write_text(filled.folder / "sub/notes.txt", "weeks of work");
  CHECK(filled.run(kFirst).exit_code == 0);  // nothing to do
  const Run mixed = filled.run(kSecond);
  CHECK(mixed.exit_code == 1);
  CHECK(contains(mixed.err, "holds sub/notes.txt, which no export wrote"));
  CHECK(read_text(filled.folder / "sub/notes.txt") == "weeks of work");
  CHECK(found_in(filled.folder).size() == 4);

  fs::remove_all(filled.folder);
  fs::create_directory_symlink("/etc", filled.folder);
  CHECK(contains(filled.run(kFirst).err, "is not a folder"));
}

TEST_CASE("a cache in the folder, which would be removed with it, is refused") {
  const Filled filled;
  const fs::path cache = filled.plain / ".model-prep.cache";
  fs::create_directories(filled.plain);
  fs::rename(filled.machine.cache(), cache);
  const Run run = filled.machine.run({"export", "org/plain@" + kFirst, "--cache-dir",
                                      cache.string(), "--to", "dir-flat:" + filled.plain.string()});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "the cache " + cache.string() + " is in " + filled.plain.string()));
  CHECK(fs::exists(cache / "models--org--plain/blobs"));
}

TEST_CASE("killed at any instant, the folder is whole or not there, and nothing is left behind") {
  const Filled filled;
  for (const std::int64_t written : {0, 1, 4, 8}) {
    const auto program = filled.machine.start(
        {"export", "org/plain@" + kFirst, "--to", "dir:" + filled.plain.string()});
    const auto unfinished = [&] {
      std::int64_t most = -1;
      std::error_code error;
      for (const auto& entry : fs::directory_iterator(filled.plain, error)) {
        const auto size = fs::file_size(entry.path() / "model.safetensors", error);
        if (!error) most = std::max(most, static_cast<std::int64_t>(size));
      }
      return most;
    };
    while (program->running() && unfinished() < written * kMB) std::this_thread::yield();
    program->send_signal(SIGKILL);
    program->wait();
    const auto found = found_in(filled.folder);
    CHECK((found.empty() || found == wanted(kFirst)));
    fs::remove_all(filled.folder);
  }
  CHECK(filled.run(kFirst).exit_code == 0);
  CHECK(found_in(filled.folder) == wanted(kFirst));
  CHECK(names_in(filled.plain) == std::vector<std::string>{"org--plain"});
}

TEST_CASE("dir-flat writes one model into the folder itself") {
  const Filled filled;
  fs::create_directories(filled.plain);
  CHECK(filled.run(kFirst, "dir-flat").exit_code == 0);
  CHECK(found_in(filled.plain) == wanted(kFirst));
  CHECK(filled.run(kSecond, "dir-flat").exit_code == 0);
  CHECK(found_in(filled.plain) == wanted(kSecond));

  const Run two = filled.machine.run({"export", "org/plain@" + kFirst, "org/plain@" + kSecond,
                                      "--to", "dir-flat:" + filled.plain.string()});
  CHECK(two.exit_code == 1);
  CHECK(contains(two.err, "dir-flat takes one model, and 2 are selected"));
  CHECK(contains(filled.machine
                     .run({"export", "org/plain@" + kFirst, "org/plain@" + kSecond, "--to",
                           "dir:" + filled.plain.string()})
                     .err,
                 "two models would be exported to"));
}

TEST_CASE("dir-flat fills a folder that is a mount point, and replaces what it wrote there") {
  if (!may_mount()) return;
  const Filled filled;
  fs::create_directories(filled.plain);
  const std::string to = " --to dir-flat:" + filled.plain.string();
  const Run run = filled.machine.shell("exec unshare -m sh -c 'mount -t tmpfs none " +
                                       filled.plain.string() + " && $PROGRAM export org/plain@" +
                                       kFirst + to + " && $PROGRAM export org/plain@" + kSecond +
                                       to + " && exec cp -a " + filled.plain.string() + " " +
                                       (filled.machine.folder() / "seen").string() + "'");
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(found_in(filled.machine.folder() / "seen") == wanted(kSecond));
}

TEST_CASE("an export that was killed while it filled a mount point is taken up by the next one") {
  if (!may_mount()) return;
  const Filled filled;
  fs::create_directories(filled.plain);
  const std::string plain = filled.plain.string();
  const std::string exported = "$PROGRAM export org/plain@" + kFirst + " --to dir-flat:" + plain;
  const std::string temporary = plain + "/.model-prep.0123456789abcdef.tmp";
  // As it is when the old record has gone and some of the files have.
  const Run run = filled.machine.shell(
      "exec unshare -m sh -c 'mount -t tmpfs none " + plain + " && " + exported + " && mkdir " +
      temporary + " && mv " + plain + "/.model-prep.json " + temporary +
      "/.model-prep.old.json && rm " + plain + "/config.json && " + exported + " && exec cp -a " +
      plain + " " + (filled.machine.folder() / "seen").string() + "'");
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(found_in(filled.machine.folder() / "seen") == wanted(kFirst));
}

TEST_CASE("download --to downloads and exports in one run, and a second run does neither") {
  FakeHub hub;
  hub.add(two_revisions());
  const TestHost machine(hub);
  const fs::path plain = machine.folder() / "plain";
  const std::vector<std::string> command = {"org/plain@" + kFirst, "--to",
                                            "dir-flat:" + plain.string()};
  const Run first = machine.run(command);
  CAPTURE(first.err);
  CHECK(first.exit_code == 0);
  CHECK(first.summary["command"] == "download");
  CHECK(first.summary["export"]["folders"][0] == plain.string());
  CHECK(first.model("org/plain@" + kFirst)["status"] == "downloaded");
  CHECK(first.out == plain.string() + "\n");
  CHECK(found_in(plain) == wanted(kFirst));

  hub.clear_requests();
  const Run second = machine.run(command);
  CHECK(second.exit_code == 0);
  CHECK(hub.requests().empty());
  CHECK(contains(second.err, "nothing to do in"));

  // The download trusts size and time, as ever; the export reads the bytes.
  fs::remove_all(plain);
  const fs::path blob = blob_of(machine, two_revisions(), "model.safetensors");
  const auto time = fs::last_write_time(blob);
  flip_byte(blob, 7);
  fs::last_write_time(blob, time);
  const Run wrong = machine.run(command);
  CHECK(wrong.exit_code == 1);
  CHECK(wrong.summary["error"]["kind"] == "digest_mismatch");
  CHECK_FALSE(fs::exists(plain));

  const Run dry =
      machine.run({"--dry-run", "org/plain@" + kFirst, "--to", "dir:" + plain.string()});
  CHECK(dry.exit_code == 0);
  CHECK_FALSE(fs::exists(plain));
}

TEST_CASE("download --to requests nothing if the arguments or the folder make it impossible") {
  FakeHub hub;
  hub.add(two_revisions());
  const TestHost machine(hub);
  const std::string plain = machine.folder() / "plain";
  write_text(machine.folder() / "plain/org--plain/notes.txt", "weeks of work");
  const auto error_of = [&](std::vector<std::string> models, const std::string& to) {
    models.insert(models.end(), {"--to", to});
    const Run run = machine.run(models);
    CHECK(run.exit_code == 1);
    return run.err;
  };
  const std::string first = "org/plain@" + kFirst;
  const std::string second = "org/plain@" + kSecond;
  CHECK(contains(error_of({first, second}, "dir-flat:" + plain), "dir-flat takes one model"));
  CHECK(contains(error_of({first, second}, "dir:" + plain), "two models would be exported to"));
  CHECK(contains(error_of({first}, "dir:" + plain), "holds notes.txt, which no export wrote"));
  CHECK(contains(error_of({first}, "oci:" + plain), "is not empty and no OCI image layout"));
  CHECK(hub.requests().empty());
  CHECK(names_in(plain) == std::vector<std::string>{"org--plain"});
}

TEST_CASE("download --to exports the commit that it has downloaded, though the branch has moved") {
  FakeHub hub;
  HubRepo repo = two_revisions();
  hub.add(repo);
  hub.add(make_repo("org/slow", {{"config.json", "{}"}, {"slow.bin", MadeUpBytes{kMB, 3}, true}}));
  const TestHost machine(hub);
  const fs::path plain = machine.folder() / "plain";
  hub.add(Fault{.on = Fault::On::payload, .path = "slow.bin", .times = -1, .what = Stall{}});
  const auto program =
      machine.start({"org/plain", "org/slow", "--timeout", "2", "--to", "dir:" + plain.string()});
  const fs::path ref = machine.cache() / "models--org--plain/refs/main";
  while (program->running() && !fs::exists(ref)) std::this_thread::yield();
  REQUIRE(program->running());

  // Another run moves the branch in the cache, while this one waits for the other model.
  repo.refs["main"] = kSecond;
  hub.add(repo);
  REQUIRE(machine.run({"org/plain"}).exit_code == 0);
  REQUIRE(read_text(ref) == kSecond);
  hub.clear_faults();

  const Run run = machine.end_of(*program);
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(found_in(plain / "org--plain") == wanted(kFirst));
}

TEST_CASE("a disk that fills up leaves no folder, and is no fault of the model") {
  const Filled filled;
  const Run run = filled.machine.shell("ulimit -f 4000; exec $PROGRAM export org/plain@" + kFirst +
                                       " --to dir:" + filled.plain.string());
  CHECK(run.exit_code == 1);
  CHECK(run.summary["error"]["kind"] == "disk_full");
  CHECK(contains(run.summary["error"]["message"],
                 "write " + (filled.folder / "model.safetensors").string()));
  CHECK(run.model("org/plain@" + kFirst)["error"].is_null());
  CHECK(names_in(filled.plain).empty());
}

TEST_CASE("of several exports to one folder at once, one writes and all succeed") {
  const Filled filled;
  std::atomic<int> succeeded{0};
  std::atomic<int> written{0};
  in_parallel(4, 4, [&](std::size_t) {
    const Run run = filled.run(kFirst);
    succeeded += run.exit_code == 0 ? 1 : 0;
    written += contains(run.err, ": wrote ") ? 1 : 0;
  });
  CHECK(succeeded == 4);
  CHECK(written == 1);
  CHECK(found_in(filled.folder) == wanted(kFirst));
  CHECK(names_in(filled.plain) == std::vector<std::string>{"org--plain"});
}

TEST_CASE("the deadline ends the wait for another export to the folder") {
  const Filled filled;
  fs::create_directories(filled.plain);
  const int fd = ::open((filled.plain / ".org--plain.lock").c_str(), O_RDWR | O_CREAT, 0664);
  REQUIRE(::flock(fd, LOCK_EX) == 0);
  const Run run = filled.machine.run(
      {"org/plain@" + kFirst, "--deadline", "1", "--to", "dir:" + filled.plain.string()});
  CHECK(run.exit_code == 1);
  CHECK(run.summary["error"]["kind"] == "deadline");
  CHECK_FALSE(fs::exists(filled.folder));
  ::close(fd);
}

TEST_CASE("files with the same content but different times are exported once") {
  FakeHub hub;
  hub.add(make_repo("org/twins", {{"one/vocab.json", "{}"}, {"two/vocab.json", "{}"}}));
  TestHost machine(hub);
  machine.take_away({"symlink=EPERM", "link=EPERM"});
  REQUIRE(machine.run({"org/twins"}).exit_code == 0);

  for (const auto& entry : fs::recursive_directory_iterator(machine.cache()))
    if (entry.path().parent_path().filename() == "two")
      fs::last_write_time(entry.path(), fs::file_time_type::clock::now() - std::chrono::hours(1));
  const std::vector<std::string> command = {"export", "org/twins", "--to",
                                            "dir:" + (machine.folder() / "plain").string()};
  CHECK(contains(machine.run(command).err, ": wrote "));
  CHECK(contains(machine.run(command).err, ": nothing to do in "));
}

}  // namespace model_prep::testing
