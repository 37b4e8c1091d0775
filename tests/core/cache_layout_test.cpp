// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/cache_layout.h"

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

TEST_CASE("a repository's directory name has two dashes for the slash and keeps the case") {
  CHECK(repo_folder_name(repo("gpt2")) == "models--gpt2");
  CHECK(repo_folder_name(repo("org/name")) == "models--org--name");
  CHECK(repo_folder_name(repo("BAAI/bGe-reRanker-Base")) == "models--BAAI--bGe-reRanker-Base");
}

TEST_CASE("directories and lock directories of datasets and spaces begin with their type") {
  CHECK(repo_folder_name(repo("datasets/org/name")) == "datasets--org--name");
  CHECK(repo_folder_name(repo("datasets/squad")) == "datasets--squad");
  CHECK(repo_folder_name(repo("spaces/org/name")) == "spaces--org--name");
  CHECK(CacheLayout("/cache", repo("datasets/org/name")).repo == "/cache/datasets--org--name");
  CHECK(CacheLayout("/cache", repo("spaces/org/name")).lock_directory ==
        "/cache/.locks/spaces--org--name");
}

TEST_CASE("a snapshot's link is relative and leads out of the snapshot's directories") {
  // docs/developing/hub-protocol.md, section 1.3.
  const Digest blob = git_sha1('c');
  const std::string hex(40, 'c');
  CHECK(link_target(path("config.json"), blob) == "../../blobs/" + hex);
  CHECK(link_target(path("1_Pooling/config.json"), blob) == "../../../blobs/" + hex);
  CHECK(link_target(path("sub dir/we#ird%20 \xc3\xa9.txt"), blob) == "../../../blobs/" + hex);
  CHECK(link_target(path("a/b/c/d"), sha256('d')) ==
        "../../../../../blobs/" + std::string(64, 'd'));
}

TEST_CASE("every name on disk is where huggingface_hub looks for it") {
  const CacheLayout layout("/cache", repo("org/name"));
  const Digest blob = sha256('a');
  const std::string hex(64, 'a');
  const CommitId at = commit('b');
  const std::string at_hex(40, 'b');
  const std::string folder = "/cache/models--org--name";

  CHECK(layout.root == "/cache");
  CHECK(layout.locks == "/cache/.locks");
  CHECK(layout.lock_directory == "/cache/.locks/models--org--name");
  CHECK(layout.lock(blob) == "/cache/.locks/models--org--name/" + hex + ".lock");
  CHECK(layout.repo == folder);
  CHECK(layout.blobs == folder + "/blobs");
  CHECK(layout.blob(blob) == folder + "/blobs/" + hex);
  CHECK(layout.snapshots == folder + "/snapshots");
  CHECK(layout.snapshot(at) == folder + "/snapshots/" + at_hex);
  CHECK(layout.link(at, path("1_Pooling/x")) == folder + "/snapshots/" + at_hex + "/1_Pooling/x");
  CHECK(layout.ref("refs/pr/1") == folder + "/refs/refs/pr/1");
  CHECK(layout.tree(at) == folder + "/trees/" + at_hex + ".json");
}

TEST_CASE(
    "our own names are inside the repository's directory and never look like a sequential prefix") {
  const CacheLayout layout("/cache", repo("org/name"));
  const std::string folder = "/cache/models--org--name";
  const std::string blob = folder + "/blobs/" + std::string(64, 'a');

  const WriterTag tag = WriterTag::make("0123abcd", "89abcdef");
  CHECK(layout.staging(sha256('a'), tag) == blob + ".0123abcd-89abcdef.model-prep.incomplete");
  CHECK(layout.resume(sha256('a')) == blob + ".model-prep.resume");
  CHECK(layout.own_directory == folder + "/.model-prep");
  CHECK(layout.quarantine == folder + "/.model-prep/quarantine");
  CHECK(layout.record(commit('b')) == folder + "/.model-prep/" + std::string(40, 'b') + ".json");
}

TEST_CASE("a repository in a legacy directory still has its locks in the cache") {
  const CacheLayout layout("/older", "/cache", repo("org/name"));
  CHECK(layout.repo == "/older/models--org--name");
  CHECK(layout.lock_directory == "/cache/.locks/models--org--name");
}

TEST_CASE("a file in blobs/ is known by its name") {
  using Kind = BlobsEntry::Kind;
  const std::string hex(64, 'a');
  const auto kind = [&](const std::string& rest) -> std::optional<Kind> {
    const auto entry = parse_blobs_entry(hex + rest);
    return entry ? std::optional(entry->kind) : std::nullopt;
  };
  CHECK(kind("") == Kind::blob);
  CHECK(kind(".model-prep.resume") == Kind::resume);
  CHECK(kind(".aaaaaaaa-11111111.model-prep.incomplete") == Kind::staging);
  CHECK(kind(".incomplete") == Kind::foreign);
  CHECK(kind(".12345678.incomplete") == Kind::foreign);
  CHECK(kind(".model-prep.incomplete") == std::nullopt);
  CHECK(kind(".AAAAAAAA-11111111.model-prep.incomplete") == std::nullopt);
  CHECK(kind(".tmp") == std::nullopt);
  CHECK_FALSE(parse_blobs_entry("notes.incomplete").has_value());
}

TEST_CASE("a link leads into the shared store only if it has exactly that form") {
  const std::string hash(64, 'c');
  CHECK(shared_blob("../../blobs/0c/" + hash) == "blobs/0c/" + hash);
  for (const std::string& link :
       {std::string(), "blobs/0c/" + hash, "../../../blobs/0c/" + hash, "../../blobs/" + hash,
        "../../blobs/../" + hash, "../../blobs/0C/" + hash, "../../blobs/0c/" + hash + "0",
        "../../blobs/0c/" + hash.substr(1), "../../blobs/0c/../" + hash.substr(3),
        "/../blobs/0c/" + hash, "../../other/0c/" + hash, "../../blobs/0cx" + hash})
    CHECK_FALSE(shared_blob(link));
}
