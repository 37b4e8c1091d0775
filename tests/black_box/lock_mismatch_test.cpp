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
