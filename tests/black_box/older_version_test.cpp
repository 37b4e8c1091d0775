// SPDX-License-Identifier: Apache-2.0
// Volumes that version 0.1.0 filled: a run finds them complete, without a request and without
// hashing anything again.
#include <sys/stat.h>

#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;
using OrderedJson = nlohmann::ordered_json;

/// A repository as 0.1.0 left it, except that its blobs have other bytes of the same size: hashing
/// one of them would not go unnoticed.
struct OlderVolume {
  FakeHub hub;
  HubRepo repo = small_repo();
  TestHost machine{hub};
  fs::path in_repo = machine.cache() / "models--org--small";

  OlderVolume(bool listed, bool whole) {
    hub.add(repo);
    const std::string commit = main_of(repo);
    OrderedJson listing = OrderedJson::object();
    OrderedJson blobs = OrderedJson::object();
    for (const HubFile& file : repo.commits.at(commit)) {
      const FileDigests digests = digests_of(file);
      const fs::path blob = blob_of(machine, repo, file.path);
      write_text(blob, std::string(static_cast<std::size_t>(digests.size), '!'));
      std::string up = "../../";
      for (const char c : file.path) up += c == '/' ? "../" : "";
      const fs::path link = in_repo / "snapshots" / commit / file.path;
      fs::create_directories(link.parent_path());
      fs::create_symlink(up + "blobs/" + digests.blob_name(), link);

      struct stat found{};
      REQUIRE(::stat(blob.c_str(), &found) == 0);
      blobs[digests.blob_name()] = {
          {"size", digests.size},
          {"mtime_ns", std::int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec},
          {"sha256", digests.sha256}};
      OrderedJson entry = {{"size", digests.size}, {"blob_id", digests.oid()}};
      if (file.lfs) {
        entry["lfs_sha256"] = digests.sha256;
        entry["lfs_size"] = digests.size;
      }
      listing[file.path] = entry;
    }

    OrderedJson record = {{"format", 1}};
    if (listed) record["listing"] = listing;
    record["blobs"] = blobs;
    if (whole) {
      const OrderedJson tree = {{"format_version", 1}, {"files", listing}};
      write_text(in_repo / "trees" / (commit + ".json"), tree.dump(1));
    }
    write_text(in_repo / ".model-prep" / (commit + ".json"), record.dump(1) + "\n");
    for (const std::string& ref : {commit, std::string("main")})
      write_text(in_repo / "refs" / ref, commit);
  }
};

}  // namespace

TEST_CASE("a volume that 0.1.0 filled is complete without a request and without hashing") {
  const std::string variant = GENERATE("fp32", "all");
  const bool offline = GENERATE(false, true);
  const OlderVolume at(true, variant == "all");
  const Tree before = tree_of(at.machine.cache());
  const std::string pinned = "org/small@" + main_of(at.repo);
  const Run run =
      at.machine.run({pinned, "--variant", variant}, {{"HF_HUB_OFFLINE", offline ? "1" : ""}});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(run.model(pinned)["status"] == "cached");
  CHECK(at.hub.requests().empty());
  CHECK(tree_of(at.machine.cache()) == before);
}

TEST_CASE("a locked volume that 0.1.0 filled is complete without a request and without hashing") {
  OlderVolume at(false, false);
  nlohmann::json manifest = nlohmann::json::parse(at.hub.manifest());
  auto& model = manifest["models"]["small"];
  model["variants"] = {{"fp32", {{"include", {"*.json", "*.txt", "*.safetensors"}}}}};
  model["locked"] = {"fp32"};
  at.machine.use_manifest(manifest.dump());
  const Tree before = tree_of(at.machine.cache());
  const Run run = at.machine.run({});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(at.hub.requests().empty());
  CHECK(tree_of(at.machine.cache()) == before);
}

}  // namespace model_prep::testing
