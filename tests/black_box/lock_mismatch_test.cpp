// SPDX-License-Identifier: Apache-2.0
// A manifest's lock and a hub that serves something else: the model fails, nothing is published.
#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

/// The hub's own lock of org/small, with a change.
template <class Change>
std::string lock_with(const FakeHub& hub, Change change) {
  nlohmann::json manifest = nlohmann::json::parse(hub.manifest());
  change(manifest["models"]["small"]);
  return manifest.dump();
}

struct Locked {
  const char* name;
  std::string file;
  std::string member;
  nlohmann::json value;
};

}  // namespace

TEST_CASE("a file that differs from the lock is refused before its bytes are fetched") {
  const Locked locked =
      GENERATE(Locked{"an LFS file's digest", "model.safetensors", "sha256", std::string(64, 'b')},
               Locked{"an LFS file's size", "model.safetensors", "size", 299'999},
               Locked{"a plain file's digest", "config.json", "git_sha1", std::string(40, 'b')});
  INFO(locked.name);
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  machine.use_manifest(lock_with(
      hub, [&](auto& model) { model["files"][locked.file][locked.member] = locked.value; }));
  const Run run = machine.run({});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("small") == "lock_mismatch");
  CHECK(sent_of(hub, "model.safetensors") % 300'000 == 0);
  CHECK(sent_of(hub, locked.file) == 0);
  CHECK_FALSE(tree_of(machine.cache()).contains("models--org--small/refs"));
}

TEST_CASE("a plain file must match the lock's sha256 as well as its git id") {
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  machine.use_manifest(lock_with(
      hub, [](auto& model) { model["files"]["config.json"]["sha256"] = std::string(64, 'b'); }));
  const Run run = machine.run({});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("small") == "lock_mismatch");
  CHECK_FALSE(tree_of(machine.cache()).contains("models--org--small/refs"));
}

TEST_CASE("a cached plain file is held to the lock's sha256, whatever an earlier run recorded") {
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  REQUIRE(machine.run({"org/small@" + main_of(small_repo())}).exit_code == 0);
  machine.use_manifest(lock_with(
      hub, [](auto& model) { model["files"]["config.json"]["sha256"] = std::string(64, 'b'); }));
  const bool offline = GENERATE(false, true);
  const Run run = machine.run({}, {{"HF_HUB_OFFLINE", offline ? "1" : ""}});
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("small") == "lock_mismatch");
}

TEST_CASE("a blob that two models share is held to the stricter of their locks") {
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  nlohmann::json manifest = nlohmann::json::parse(hub.manifest());
  auto& models = manifest["models"];
  const std::string second = GENERATE("a", "z");
  models[second] = models["small"];
  const std::string locked = GENERATE("small", "the other");
  models[locked == "small" ? locked : second]["files"]["config.json"]["sha256"] =
      std::string(64, 'b');
  machine.use_manifest(manifest.dump());
  if (GENERATE(false, true)) machine.run({locked == "small" ? second : "small"});
  const Run run = machine.run({});
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("small") == "lock_mismatch");
  CHECK(run.error_kind(second) == "lock_mismatch");
}

TEST_CASE("two locks that no content can satisfy are refused before anything is requested") {
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  nlohmann::json manifest = nlohmann::json::parse(hub.manifest());
  auto& models = manifest["models"];
  models["other"] = models["small"];
  models["small"]["files"]["config.json"]["sha256"] =
      digests_of(file_of(small_repo(), "config.json")).sha256;
  models["other"]["files"]["config.json"]["sha256"] = std::string(64, 'b');
  machine.use_manifest(manifest.dump());
  const bool dry = GENERATE(false, true);
  const Run run = dry ? machine.run({"--dry-run"}) : machine.run({});
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("small") == "lock_mismatch");
  CHECK(run.error_kind("other") == "lock_mismatch");
  CHECK(hub.requests().empty());
}

TEST_CASE("a listing that differs from the lock is refused before any file is requested") {
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  machine.use_manifest(lock_with(hub, [](auto& model) {
    model.erase("locked");
    model["files"]["model.safetensors"]["sha256"] = std::string(64, 'b');
  }));
  const Run run = machine.run({});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("small") == "lock_mismatch");
  CHECK(hub.requests("tree").size() == 1);
  CHECK(hub.requests("resolve").empty());
}

TEST_CASE("locked bytes that are wrong twice are a lock_mismatch and are not published") {
  FakeHub hub;
  hub.add(small_repo());
  hub.add(Fault{.on = Fault::On::payload, .times = -1, .what = FlipByte{3}});
  TestHost machine(hub);
  machine.use_manifest(hub.manifest());
  const Run run = machine.run({});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("small") == "lock_mismatch");
  CHECK_FALSE(fs::exists(blob_of(machine, small_repo(), "model.safetensors")));
}

}  // namespace model_prep::testing
