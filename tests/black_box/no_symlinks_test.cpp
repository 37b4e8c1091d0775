// SPDX-License-Identifier: Apache-2.0
// File systems without symlinks: the snapshot contains the files themselves
// (docs/developing/hub-protocol.md, section 1.4).
#include <algorithm>

#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

/// The content of such a cache: the target file in place of each link, and no blobs.
Tree without_links(const Tree& tree) {
  Tree plain;
  for (const auto& [path, what] : tree) {
    if (path.find("/blobs/") != std::string::npos) continue;
    const fs::path target =
        what.starts_with("link ") ? fs::path(path).parent_path() / what.substr(5) : fs::path();
    plain[path] = target.empty() ? what : tree.at(target.lexically_normal());
  }
  return plain;
}

struct Plain {
  FakeHub hub;
  HubRepo repo = small_repo();
  TestHost machine{hub};
  std::string pinned = "org/small@" + main_of(repo);
  fs::path snapshot = machine.cache() / "models--org--small/snapshots" / main_of(repo);

  Plain() {
    hub.add(repo);
    machine.take_away({GENERATE(as<std::string>{}, "symlink=EPERM", "symlink=ENOTSUP",
                                "symlink=ENOSYS", "symlink=EACCES")});
  }
  Run prepare() {
    const Run run = machine.run({pinned});
    CAPTURE(run.err);
    CHECK(run.exit_code == 0);
    hub.clear_requests();
    return run;
  }
};

}  // namespace

TEST_CASE("without symlinks, the snapshot holds the files themselves, and one warning says so") {
  Plain plain;
  const Run run = plain.prepare();
  CHECK(contains(run.err, "this file system has no symlinks"));
  Tree expected = without_links(published(plain.repo));
  CHECK(tree_of(plain.machine.cache()) == expected);
}

TEST_CASE("without symlinks, a second run sends no request and changes nothing") {
  Plain plain;
  plain.prepare();
  const Tree before = tree_of(plain.machine.cache());
  const Run run = plain.machine.run({plain.pinned, "--log-level", "debug"});
  CHECK(run.exit_code == 0);
  CHECK_FALSE(contains(run.err, "hashing it"));
  CHECK(plain.hub.requests().empty());
  CHECK(tree_of(plain.machine.cache()) == before);
}

TEST_CASE("without symlinks, each copy of a file is hashed, and a wrong one is replaced") {
  Plain plain;
  plain.prepare();
  const Tree before = tree_of(plain.machine.cache());
  const std::string wrong = GENERATE("vocab.txt", "copy/vocab.txt");
  const auto time = fs::last_write_time(plain.snapshot / wrong);
  flip_byte(plain.snapshot / wrong, 1);
  SECTION("by a run that has no record") {
    fs::remove_all(plain.machine.cache() / "models--org--small/.model-prep");
    fs::last_write_time(plain.snapshot / wrong, time);
    plain.prepare();
  }
  SECTION("by a run that has a record") { plain.prepare(); }
  SECTION("by a repair, even if the time is the same") {
    fs::last_write_time(plain.snapshot / wrong, time);
    CHECK(plain.machine.run({"verify", "--repair", plain.pinned}).exit_code == 0);
  }
  CHECK(tree_of(plain.machine.cache()) == before);
}

TEST_CASE("without symlinks, only a damaged file is fetched again") {
  Plain plain;
  plain.prepare();
  const Tree before = tree_of(plain.machine.cache());
  flip_byte(plain.snapshot / "model.safetensors", 1000);
  const Run run = plain.prepare();
  CHECK(run.summary["totals"]["bytes_downloaded"] == 300'000);
  CHECK(tree_of(plain.machine.cache()) == before);
}

TEST_CASE(
    "files that another tool stored without links are hashed and kept, even where links work") {
  Plain plain;
  plain.prepare();
  fs::remove_all(plain.machine.cache() / "models--org--small/.model-prep");
  const bool links_work = GENERATE(false, true);
  if (links_work) plain.machine.take_away({});
  const Run run = plain.prepare();
  CHECK(run.summary["totals"]["bytes_downloaded"] == 0);
  CHECK(fs::is_regular_file(fs::symlink_status(plain.snapshot / "model.safetensors")));
}

TEST_CASE("without symlinks, a repair of one locked variant leaves the files of another") {
  Plain plain;
  nlohmann::json manifest = nlohmann::json::parse(plain.hub.manifest());
  auto& model = manifest["models"]["small"];
  model["variants"] = {{"fp32", {{"include", {"config.json"}}}},
                       {"onnx", {{"include", {"empty.txt"}}}}};
  model["locked"] = {"fp32", "onnx"};
  for (const HubFile& file : plain.repo.commits.at(main_of(plain.repo)))
    if (file.path != "config.json" && file.path != "empty.txt") model["files"].erase(file.path);
  plain.machine.use_manifest(manifest.dump());
  REQUIRE(plain.machine.run({}).exit_code == 0);
  REQUIRE(plain.machine.run({"--variant", "onnx"}).exit_code == 0);
  CHECK(plain.machine.run({"verify"}).exit_code == 0);
  flip_byte(plain.snapshot / "config.json", 1);
  CHECK(plain.machine.run({"verify", "--repair"}).exit_code == 0);
  CHECK(fs::exists(plain.snapshot / "empty.txt"));
}

TEST_CASE("without symlinks, an offline run finds everything") {
  Plain plain;
  plain.prepare();
  CHECK(plain.machine.run({"org/small", "--offline"}).exit_code == 0);
}

}  // namespace model_prep::testing
