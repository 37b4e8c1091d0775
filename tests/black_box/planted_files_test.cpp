// SPDX-License-Identifier: Apache-2.0
// Files of the wrong type or content on the volume, planted or left by accident: the run neither
// hangs nor reads forever, and ends with the right tree if it can.
#include <sys/stat.h>

#include <fstream>

#include "prepared.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

/// What is planted in the place of a small file.
const char* const kPlanted[] = {"FIFO", "device", "folder", "sparse", "brackets", "loop"};

void plant(const std::string& what, const fs::path& path) {
  fs::create_directories(path.parent_path());
  fs::remove_all(path);
  if (what == "FIFO") REQUIRE(::mkfifo(path.c_str(), 0666) == 0);
  if (what == "device") fs::create_symlink("/dev/zero", path);
  if (what == "folder") fs::create_directories(path / "inside");
  if (what == "loop") fs::create_symlink(path.filename(), path);
  if (what == "brackets") write_text(path, std::string(20'000'000, '['));
  if (what != "sparse") return;
  write_text(path, "{");
  fs::resize_file(path, 10'000'000'000);
}

/// A cache that another tenant has prepared with other bytes for this commit, as huggingface_hub
/// would leave it: blobs, links, refs and the listing, but no record of ours.
struct Forged {
  FakeHub hub;
  HubRepo repo = small_repo();
  TestHost machine{hub};
  std::string pinned = "org/small@" + main_of(repo);
  fs::path in_repo = machine.cache() / "models--org--small";
  fs::path snapshot = in_repo / "snapshots" / main_of(repo);
  fs::path tree = in_repo / "trees" / (main_of(repo) + ".json");

  Forged() {
    hub.add(repo);
    FakeHub false_hub;
    HubRepo other = repo;
    for (HubFile& file : other.commits.at(main_of(repo)))
      if (file.path == "config.json") file.content = "{\"of\":\"org/SMALL\"}";
    false_hub.add(other);
    machine.run({pinned, "--variant", "all"}, {{"HF_ENDPOINT", false_hub.endpoint()}});
    fs::remove_all(in_repo / ".model-prep");
  }
};

/// Bounded in memory and time, so that reading without end is seen.
Run bounded_run(const TestHost& machine, const std::string& arguments) {
  if (is_sanitized()) return machine.shell("exec timeout -s KILL 50 $PROGRAM " + arguments);
  return machine.shell("ulimit -v 700000; exec timeout -s KILL 20 $PROGRAM " + arguments);
}

}  // namespace

TEST_CASE("a file planted as our record or tree listing is ignored") {
  const std::string what = GENERATE(from_range(std::begin(kPlanted), std::end(kPlanted)));
  const std::string place = GENERATE(".model-prep", "trees");
  INFO(what << " in " << place);
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small"}).exit_code == 0);
  plant(what, machine.cache() / "models--org--small" / place / (main_of(repo) + ".json"));
  if (place == "trees") fs::remove_all(machine.cache() / "models--org--small/.model-prep");
  const Run run = bounded_run(machine, "org/small@" + main_of(repo));
  CHECK(run.exit_code == 0);
  CHECK(fs::exists(blob_of(machine, repo, "model.safetensors")));
}

TEST_CASE("a planted listing with planted blobs is not believed: the Hub is asked once") {
  Forged forged;
  const std::string variant = GENERATE("fp32", "all");
  const Run run = forged.machine.run({forged.pinned, "--variant", variant});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(forged.hub.requests("tree").size() == 1);
  CHECK(read_text(forged.snapshot / "config.json") == "{\"of\":\"org/small\"}");
  if (variant == "all") {
    const auto listing = nlohmann::json::parse(read_text(forged.tree));
    CHECK(listing["files"]["config.json"]["blob_id"] ==
          digests_of(file_of(forged.repo, "config.json")).git_sha1);
  }
  forged.hub.clear_requests();
  CHECK(forged.machine.run({forged.pinned, "--variant", variant}).exit_code == 0);
  CHECK(forged.hub.requests().empty());
}

TEST_CASE("a planted listing next to the record of a locked download is not believed") {
  Forged forged;
  nlohmann::json manifest = nlohmann::json::parse(forged.hub.manifest());
  manifest["models"]["small"]["variants"] = {{"fp32", {{"include", {"*.json"}}}}};
  forged.machine.use_manifest(manifest.dump());
  REQUIRE(forged.machine.run({}).exit_code == 0);
  forged.hub.clear_requests();
  const Run run = forged.machine.run({forged.pinned});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(forged.hub.requests("tree").size() == 1);
}

TEST_CASE("offline, a listing of huggingface_hub is used, also by list and verify") {
  const Forged forged;
  const Run run = forged.machine.run({forged.pinned, "--offline"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(contains(forged.machine.run({"list", forged.pinned}).out, "cached"));
  CHECK(forged.machine.run({"verify", forged.pinned}).exit_code == 0);
  CHECK(forged.hub.requests().empty());

  // It does not become a listing of ours: the next run asks the Hub.
  forged.machine.run({forged.pinned});
  CHECK_FALSE(forged.hub.requests().empty());
}

TEST_CASE("a record larger than that of any repository counts as missing") {
  Prepared prepared;
  std::ofstream(prepared.record(), std::ios::app) << std::string(119'000'000, ' ');
  CHECK(prepared.machine.run({prepared.pinned}).exit_code == 0);
  CHECK(prepared.hub.requests().size() == 1);
  CHECK(fs::file_size(prepared.record()) < 10'000);
}

TEST_CASE("a file or a directory without files planted as a ref is replaced") {
  const std::string what = GENERATE(from_range(std::begin(kPlanted), std::end(kPlanted)));
  INFO(what);
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  const fs::path ref = machine.cache() / "models--org--small/refs/main";
  plant(what, ref);
  const Run run = bounded_run(machine, "org/small");
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(read_text(ref) == main_of(repo));
  CHECK(fs::is_regular_file(fs::symlink_status(ref)));
}

TEST_CASE("a file planted as a blob, its lock or its resume record is replaced or named") {
  const std::string what = GENERATE(from_range(std::begin(kPlanted), std::end(kPlanted)));
  const std::string file = GENERATE("empty.txt", "model.safetensors");
  const std::string place = GENERATE("blob", "resume", "lock");
  INFO(what << " as the " << place << " of " << file);
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small"}).exit_code == 0);
  const fs::path blob = blob_of(machine, repo, file);
  fs::remove(blob);
  const fs::path lock =
      machine.cache() / ".locks/models--org--small" / (blob.filename().string() + ".lock");
  const fs::path path = place == "blob"   ? blob
                        : place == "lock" ? lock
                                          : fs::path(blob.string() + ".model-prep.resume");
  plant(what, path);
  const Run run = bounded_run(machine, "org/small --deadline 5");
  // A link in place of a lock is not followed; a folder with something in it is not removed.
  const bool link = what == "device" || what == "loop";
  const std::string expected = place == "lock" && link                 ? "permission"
                               : place != "resume" && what == "folder" ? "io"
                                                                       : "none";
  CHECK(run.error_kind("org/small") == expected);
  CHECK(run.exit_code == (expected == "none" ? 0 : 1));
  if (expected != "none") {
    CHECK(contains(run.err, path.string()));
  } else {
    CHECK(fs::is_regular_file(fs::symlink_status(blob)));
    CHECK(sha256_hex(read_text(blob)) == digests_of(file_of(repo, file)).sha256);
  }
}

TEST_CASE("an invalid manifest is named, and not read forever") {
  FakeHub hub;
  const TestHost machine(hub);
  const std::string what = GENERATE(from_range(std::begin(kPlanted), std::end(kPlanted)));
  INFO(what);
  const fs::path manifest = machine.folder() / "manifest.json";
  plant(what, manifest);
  const Run run = bounded_run(machine, "--manifest " + manifest.string());
  CHECK(run.exit_code == 1);
  CHECK(contains(read_text(machine.summary()), "\"usage\""));
  CHECK(contains(run.err, manifest.string()));
  CHECK(run.err.size() < 2'000);
  CHECK(hub.requests().empty());
}

}  // namespace model_prep::testing
