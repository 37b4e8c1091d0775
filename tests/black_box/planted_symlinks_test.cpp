// SPDX-License-Identifier: Apache-2.0
// Symlinks, pipes and devices planted by another tenant of a shared volume: nothing is written
// outside of the cache.
#include <sys/stat.h>

#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

/// A machine with a cache that another tenant has prepared, and a directory outside of the cache
/// that must not change.
struct Shared {
  FakeHub hub;
  HubRepo repo = small_repo();
  TestHost machine{hub};
  fs::path outside = machine.folder() / "outside";
  fs::path in_repo = machine.cache() / "models--org--small";

  Shared() {
    hub.add(repo);
    fs::create_directories(outside / "sub");
    write_text(outside / "precious", "precious");
    fs::create_directories(machine.cache());
  }
  void plant(const fs::path& link) const {
    fs::create_directories(link.parent_path());
    fs::create_directory_symlink(outside, link);
  }
  bool outside_untouched() const {
    return tree_of(outside) ==
           Tree{{"precious", "file " + sha256_hex("precious")}, {"sub", "folder"}};
  }
};

}  // namespace

TEST_CASE(
    "a symlink planted as a cache directory ends the run, is named and is not written through") {
  const Shared shared;
  const std::string commit = main_of(shared.repo);
  const std::string place = GENERATE_COPY(
      std::string(".locks"), std::string(".locks/models--org--small"),
      std::string("models--org--small"), std::string("models--org--small/blobs"),
      std::string("models--org--small/snapshots"), "models--org--small/snapshots/" + commit,
      "models--org--small/snapshots/" + commit + "/1_Pooling",
      std::string("models--org--small/refs"), std::string("models--org--small/.model-prep"));
  CAPTURE(place);
  shared.plant(shared.machine.cache() / place);
  const Run run = shared.machine.run({"org/small"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, (shared.machine.cache() / place).string() +
                              " is a symlink; model-prep does not write through"));
  CHECK(shared.outside_untouched());
}

TEST_CASE("a directory of a snapshot that leads to another tenant's links is named and repaired") {
  const Shared shared;
  const std::string pinned = "org/small@" + main_of(shared.repo);
  REQUIRE(shared.machine.run({pinned}).exit_code == 0);
  const fs::path pooling = shared.in_repo / "snapshots" / main_of(shared.repo) / "1_Pooling";
  const fs::path theirs = shared.outside / "a/b/1_Pooling";
  fs::create_directories(theirs);
  const fs::path link = fs::read_symlink(pooling / "config.json");
  write_text((theirs / link).lexically_normal(), "{ }");
  fs::create_symlink(link, theirs / "config.json");
  fs::remove_all(pooling);
  fs::create_directory_symlink(theirs, pooling);
  const Tree before = tree_of(shared.outside);

  const Run run = shared.machine.run({pinned});
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, pooling.string() + " is a symlink"));
  const Run verified = shared.machine.run({"verify", pinned});
  CHECK(verified.exit_code == 1);
  CHECK(contains(verified.err, "1_Pooling/config.json: its link points elsewhere"));
  CHECK(shared.machine.run({"verify", "--repair", pinned}).exit_code == 0);
  CHECK(read_text(pooling / "config.json") == "{}");
  CHECK(tree_of(shared.outside) == before);
}

TEST_CASE("a symlink planted as trees/ is not written through") {
  const Shared shared;
  shared.plant(shared.in_repo / "trees");
  CHECK(shared.machine.run({"org/small", "--variant", "all"}).exit_code == 1);
  CHECK(shared.outside_untouched());
}

TEST_CASE("a symlink planted as a cache file is replaced or refused, and its target is untouched") {
  const Shared shared;
  const std::string commit = main_of(shared.repo);
  const std::string weights = blob_of(shared.machine, shared.repo, "model.safetensors").filename();
  const std::string place = GENERATE_COPY(
      "blobs/" + weights, "blobs/" + weights + ".model-prep.resume", std::string("refs/main"),
      "snapshots/" + commit + "/config.json", ".model-prep/" + commit + ".json",
      "../.locks/models--org--small/" + weights + ".lock",
      std::string("../../model-prep-summary.json"));
  CAPTURE(place);
  const fs::path link = (shared.in_repo / place).lexically_normal();
  fs::create_directories(link.parent_path());
  fs::create_symlink(shared.outside / "precious", link);
  const ProgramResult run =
      run_program({tested_program(), "org/small"}, shared.machine.environment());
  CAPTURE(run.err);
  CHECK(run.exit_code == (contains(place, ".lock") ? 1 : 0));
  CHECK(shared.outside_untouched());
}

TEST_CASE("a symlink planted during the download does not redirect later files") {
  Shared shared;
  shared.hub.add(Fault{.on = Fault::On::payload, .what = Drip{.bytes_per_second = 300'000}});
  auto program = shared.machine.start({"org/small"});
  REQUIRE(
      shared.hub.wait_until([](const auto& log) { return sent_of(log, "model.safetensors") > 0; }));
  fs::rename(shared.in_repo / "blobs", shared.in_repo / "moved");
  shared.plant(shared.in_repo / "blobs");
  CHECK(shared.machine.end_of(*program).exit_code == 1);
  CHECK(shared.outside_untouched());
}

TEST_CASE("a run neither blocks on planted pipes nor reads planted devices forever") {
  const Shared shared;
  const std::string commit = main_of(shared.repo);
  const std::string weights = blob_of(shared.machine, shared.repo, "model.safetensors").filename();
  const std::string place = GENERATE_COPY(
      "blobs/" + weights, "blobs/" + weights + ".model-prep.resume", std::string("refs/main"),
      "refs/" + commit, "snapshots/" + commit + "/config.json", ".model-prep/" + commit + ".json",
      "trees/" + commit + ".json");
  CAPTURE(place);
  const fs::path path = shared.in_repo / place;
  fs::create_directories(path.parent_path());
  const bool pipe = GENERATE(true, false);
  if (pipe)
    REQUIRE(::mkfifo(path.c_str(), 0666) == 0);
  else
    fs::create_symlink("/dev/zero", path);
  const Run run = shared.machine.run({"org/small", "--deadline", "20"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(run.summary["duration_s"] < 10.0);
}

}  // namespace model_prep::testing
