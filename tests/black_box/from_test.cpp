// SPDX-License-Identifier: Apache-2.0
// --from: bytes of a folder of somebody else, before the network and only if they are right.
#include <signal.h>
#include <sys/stat.h>

#include <chrono>

#include "prepared.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

/// A machine with org/small in its cache, and another one that has nothing.
struct Two : Prepared {
  TestHost other{hub};
  fs::path from = machine.cache();

  Run run(std::vector<std::string> more = {}, const ProgramEnvironment& changes = {}) const {
    more.insert(more.begin(), {pinned, "--from", from.string()});
    return other.run(more, changes);
  }
  bool is_whole() const { return tree_of(other.cache()) == published(repo); }
  fs::path weights() const { return blob(kWeights); }

  /// The summary's entry of a file.
  nlohmann::json entry(const Run& run, const std::string& path) const {
    const nlohmann::json model = run.model(pinned);
    for (const auto& file : model["files"])
      if (file["path"] == path) return file;
    return {};
  }
};

/// How many bytes of files came over the network.
std::int64_t downloaded(const Run& run) { return run.summary["totals"]["bytes_downloaded"]; }

}  // namespace

TEST_CASE("with --from, all bytes come from another cache, as files of our own") {
  Two two;
  const Tree before = tree_of(two.from);
  const Run run = two.run();
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(two.hub.requests("payload").empty());
  CHECK(contains(run.err, "copying 0.3 MB in 5 files into "));
  CHECK_FALSE(contains(run.err, "downloading "));
  CHECK(downloaded(run) == 0);
  CHECK(two.is_whole());
  CHECK(two.entry(run, kWeights)["source"] == two.from.string());
  CHECK(two.entry(run, kWeights)["status"] == "downloaded");

  const fs::path copy = blob_of(two.other, two.repo, kWeights);
  CHECK(fs::hard_link_count(copy) == 1);
  CHECK_FALSE(fs::equivalent(copy, two.weights()));
  CHECK(mode_of(copy) == 0644);
  CHECK(tree_of(two.from) == before);

  // A second run has nothing to look for.
  two.hub.clear_requests();
  const Run again = two.run();
  CHECK(again.exit_code == 0);
  CHECK(two.hub.requests().empty());
  CHECK_FALSE(two.entry(again, kWeights).contains("source"));
}

TEST_CASE("a folder may be HF_HOME, a repository, bare blobs, or a snapshot of real files") {
  Two two;
  const fs::path bare = two.machine.folder() / "bare";
  SECTION("HF_HOME") { two.from = two.machine.home(); }
  SECTION("one repository") { two.from = two.from / "models--org--small"; }
  SECTION("its blobs") { two.from = two.in_repo("blobs"); }
  SECTION("a copy without links, as on a USB disk") {
    fs::copy(two.from, bare, fs::copy_options::recursive);
    fs::remove_all(bare / "models--org--small/blobs");
    two.from = bare;
  }
  SECTION("blobs of another repository") {
    fs::create_directories(bare / "models--else--where");
    fs::copy(two.in_repo("blobs"), bare / "models--else--where/blobs");
    two.from = bare;
  }
  const Run run = two.run();
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(downloaded(run) == 0);
  CHECK(two.is_whole());
}

TEST_CASE("a blob in the shared store of huggingface_hub is found through its link") {
  Two two;
  const std::string hash(64, 'c');
  const fs::path store = two.from / "blobs/cc";
  fs::create_directories(store);
  fs::rename(two.weights(), store / hash);
  fs::create_symlink("../../blobs/cc/" + hash, two.weights());
  const Run run = two.run();
  CHECK(run.exit_code == 0);
  CHECK(downloaded(run) == 0);
  CHECK(two.is_whole());
  CHECK(fs::is_regular_file(fs::symlink_status(blob_of(two.other, two.repo, kWeights))));
}

TEST_CASE("a file with other bytes than its name says is downloaded instead, with a warning") {
  Two two;
  flip_byte(two.weights(), 1000);
  const Run run = two.run();
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err, two.weights().string() + ", which is damaged; downloading it"));
  CHECK(downloaded(run) == 300'000);
  CHECK(two.is_whole());
  CHECK(two.entry(run, kWeights)["source"] == two.hub.endpoint());
  CHECK(two.entry(run, "config.json")["source"] == two.from.string());
}

TEST_CASE("what cannot be used is downloaded: missing, short, a link, a pipe, a directory") {
  Two two;
  const fs::path away = two.machine.folder() / "away";
  fs::rename(two.weights(), away);
  SECTION("missing") {}
  SECTION("short") { write_text(two.weights(), "short"); }
  SECTION("a link to the right bytes") { fs::create_symlink(away, two.weights()); }
  SECTION("a link that looks like the shared store's, but leaves the cache") {
    fs::create_directories(two.from / "blobs");
    fs::create_directory_symlink(two.machine.folder(), two.from / "blobs/cc");
    fs::rename(away, two.machine.folder() / std::string(64, 'c'));
    fs::create_symlink("../../blobs/cc/" + std::string(64, 'c'), two.weights());
  }
  SECTION("a pipe") { REQUIRE(mkfifo(two.weights().c_str(), 0644) == 0); }
  SECTION("a directory") { fs::create_directory(two.weights()); }
  SECTION("a link in place of the repository") {
    fs::rename(away, two.weights());
    fs::rename(two.from / "models--org--small", two.machine.folder() / "repo");
    fs::create_directory_symlink(two.machine.folder() / "repo", two.from / "models--org--small");
  }
  const Run run = two.run();
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(downloaded(run) >= 300'000);
  CHECK(two.is_whole());
}

TEST_CASE("of two folders, the second is asked for what the first does not have rightly") {
  Two two;
  const fs::path second = two.machine.folder() / "second";
  fs::create_directories(second / "blobs");
  fs::copy_file(two.weights(), second / "blobs" / two.weights().filename());
  flip_byte(two.weights(), 7);
  SECTION("as two flags") {
    const Run run = two.run({"--from", second.string()});
    CHECK(run.exit_code == 0);
    CHECK(downloaded(run) == 0);
    CHECK(contains(run.err, "using another copy"));
    CHECK(two.entry(run, kWeights)["source"] == second.string());
  }
  SECTION("as a variable") {
    const Run run = two.other.run(
        {two.pinned}, {{"MODEL_PREP_FROM", two.from.string() + ", " + second.string()}});
    CHECK(run.exit_code == 0);
    CHECK(downloaded(run) == 0);
  }
  CHECK(two.is_whole());
}

TEST_CASE("a folder that does not exist is a warning, and one inside the cache is an error") {
  Two two;
  const Run absent = two.other.run({two.pinned, "--from", "/no/such/folder"});
  CHECK(absent.exit_code == 0);
  CHECK(contains(absent.err, "--from names /no/such/folder, which is not a folder"));
  for (const fs::path& folder : {two.other.cache(), two.other.cache() / "models--org--small"}) {
    const Run run = two.other.run({two.pinned, "--from", folder.string()});
    CHECK(run.exit_code == 1);
    CHECK(contains(run.err, "a folder outside the cache"));
  }
  // HF_HOME itself holds the cache, and perhaps older repositories beside it.
  CHECK(two.other.run({two.pinned, "--from", two.other.home().string()}).exit_code == 0);
}

TEST_CASE("a dry run says what would be copied, and from where") {
  Two two;
  fs::remove(two.blob("config.json"));
  const Run run = two.run({"--dry-run"});
  CHECK(run.exit_code == 0);
  CHECK(contains(run.out, "TO COPY"));
  CHECK(contains(run.out, kWeights + "  (from " + two.from.string() + ")"));
  CHECK(contains(run.out, "to copy"));
  CHECK_FALSE(contains(run.out, "  config.json  (from"));
  CHECK_FALSE(fs::exists(two.other.cache()));
}

TEST_CASE("--limit-rate does not slow down a copy") {
  Two two;
  const auto begun = std::chrono::steady_clock::now();
  const Run run = two.run({"--limit-rate", "4K"});
  CHECK(run.exit_code == 0);
  CHECK(downloaded(run) == 0);
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(40));  // 75 by network
}

TEST_CASE("bytes are read and written where the kernel cannot copy them") {
  Two two;
  two.other.take_away({GENERATE("copy_file_range=EINVAL", "copy_file_range=EPERM",
                                "copy_file_range=EACCES", "copy_file_range=0")});
  const Run run = two.run();
  CHECK(run.exit_code == 0);
  CHECK(downloaded(run) == 0);
  CHECK(two.is_whole());
}

TEST_CASE("a copy that fails is replaced by a download, but a full disk ends the run") {
  Two two;
  SECTION("the folder's disk cannot be read") {
    two.other.take_away({"copy_file_range=EIO"});
    const Run run = two.run();
    CHECK(run.exit_code == 0);
    CHECK(contains(run.err, "; downloading it"));
    CHECK(two.is_whole());
  }
  SECTION("no space is left") {
    two.other.take_away({"copy_file_range=ENOSPC"});
    const Run run = two.run();
    CHECK(run.exit_code == 1);
    CHECK(run.error_kind(two.pinned) == "disk_full");
    CHECK(contains(run.err, "cannot write " + two.other.cache().string()));
    CHECK(two.hub.requests("payload").empty());
  }
}

TEST_CASE("a damaged file of the cache is replaced from the folder") {
  Two two;
  REQUIRE(two.other.run({two.pinned}).exit_code == 0);
  const fs::path own = blob_of(two.other, two.repo, kWeights);
  flip_byte(own, 5);
  fs::last_write_time(own, fs::file_time_type::clock::now() - std::chrono::hours(1));
  two.hub.clear_requests();
  const Run run = two.run();
  CHECK(run.exit_code == 0);
  CHECK(two.hub.requests("payload").empty());
  CHECK(two.is_whole());
}

TEST_CASE("offline, a locked manifest is imported without a request") {
  Two two;
  const Run lock = two.machine.run({"lock", two.pinned});
  REQUIRE(lock.exit_code == 0);
  two.other.use_manifest(lock.out);
  two.hub.clear_requests();
  const Run run = two.other.run({"--offline", "--from", two.from.string()});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(two.hub.requests().empty());
  CHECK(tree_of(two.other.cache()) == published(two.repo, {.listed = Listed::no}));
  CHECK(two.other.run({"--offline"}).exit_code == 0);
}

TEST_CASE("offline, a file that no folder has is named, and nothing is fetched") {
  Two two;
  const Run lock = two.machine.run({"lock", two.pinned});
  two.other.use_manifest(lock.out);
  two.hub.clear_requests();
  SECTION("missing") {
    fs::remove(two.weights());
    const Run run = two.other.run({"--offline", "--from", two.from.string()});
    CHECK(run.exit_code == 1);
    CHECK(contains(run.err, kWeights + " is not in the cache"));
  }
  SECTION("damaged") {
    flip_byte(two.weights(), 5);
    const Run run = two.other.run({"--offline", "--from", two.from.string()});
    CHECK(run.exit_code == 1);
    CHECK(contains(run.err, "no folder of --from has its bytes"));
    CHECK(leftovers_in(two.other.cache()).empty());
  }
  CHECK(two.hub.requests().empty());
}

TEST_CASE("a run that is killed while it copies is resumed by the next one, by network too") {
  if (!may_trace()) return;
  FakeHub hub;
  const HubRepo repo = large_repo(60'000'000);
  hub.add(repo);
  const TestHost machine(hub);
  const TestHost other(hub);
  REQUIRE(machine.run({"org/large"}).exit_code == 0);

  // Each piece takes a second, so that there is time for a record and a kill.
  const Run killed = other.shell(
      "strace -f -qq -o /dev/null -e trace=copy_file_range "
      "-e inject=copy_file_range:delay_exit=1000000 $PROGRAM org/large --from " +
          machine.cache().string() +
          " & for i in $(seq 600); do sleep 0.05; "
          "grep -qs ' 0-' " +
          other.cache().string() +
          "/*/blobs/*.resume && break; done; "
          "sleep 1.2; kill -KILL $(cat /proc/$!/task/$!/children); wait",
      {{"ASAN_OPTIONS", "detect_leaks=0"}});
  CAPTURE(killed.err);
  REQUIRE_FALSE(leftovers_in(other.cache()).empty());

  hub.clear_requests();
  const Run run = other.run({"org/large"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err, "resuming at"));
  CHECK(sent_of(hub, kWeights) < 60'000'000);
  CHECK(tree_of(other.cache()) == published(repo));
}

}  // namespace model_prep::testing
