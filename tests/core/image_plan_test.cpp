// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/image_plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/builders.h"
#include "model_prep/core/snapshot_record.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

namespace {

ResolvedSnapshot packed_snapshot(const std::string& name, char at, std::vector<RemoteFile> files) {
  return {spec(name, name, std::string(40, at)), commit(at), files, files};
}

std::vector<ImageLayer> plan(const std::vector<ResolvedSnapshot>& snapshots,
                             const std::string& prefix = "hub") {
  return plan_image(snapshots, prefix);
}

/// The names in a layer; of a link also where it leads.
Strings names(const ImageLayer& layer) {
  Strings found;
  for (const ImageEntry& entry : layer.entries)
    found.push_back(entry.tar.path + (entry.tar.kind == TarKind::directory ? "/"
                                      : entry.tar.kind == TarKind::link ? " -> " + entry.tar.target
                                                                        : ""));
  return found;
}

std::string text_at(const ImageLayer& layer, const std::string& path) {
  for (const ImageEntry& entry : layer.entries)
    if (entry.tar.path == path) return std::get<std::string>(entry.content);
  return "";
}

/// `count` large files of different content.
std::vector<RemoteFile> many(int count) {
  std::vector<RemoteFile> files;
  for (int i = 0; i < count; ++i) {
    RemoteFile file = lfs_file(fmt::format("shard-{:05}", i), kLargeBlob, 'a');
    file.blob = *Digest::parse(fmt::format("{:064x}", i * 7919));
    files.push_back(file);
  }
  return files;
}

}  // namespace

TEST_CASE("a large blob has a layer of its own, with the directories on its way") {
  const auto layers =
      plan({packed_snapshot("org/name", 'c', {lfs_file("model.bin", kLargeBlob, 'a')})});
  REQUIRE(layers.size() == 2);
  const std::string blob = "hub/models--org--name/blobs/" + std::string(64, 'a');
  CHECK(names(layers[0]) ==
        Strings{"hub/", "hub/models--org--name/", "hub/models--org--name/blobs/", blob});
  CHECK(layers[0].size == 4 * 512 + kLargeBlob + kTarEnd);
  CHECK(layers[0].title == "org/name model.bin");
}

TEST_CASE("the last layer has small blobs, links, refs, the listing and, at its end, the record") {
  const auto layers = plan({packed_snapshot("org/name", 'c', {plain_file("a/b.json", 1, '1')})});
  REQUIRE(layers.size() == 1);
  const std::string repo = "hub/models--org--name/";
  CHECK(
      names(layers[0]) ==
      Strings{"hub/", repo, repo + ".model-prep/", repo + "blobs/",
              repo + "blobs/" + std::string(40, '1'), repo + "refs/", repo + "refs/" + kCommit,
              repo + "refs/main", repo + "snapshots/", repo + "snapshots/" + kCommit + "/",
              repo + "snapshots/" + kCommit + "/a/",
              repo + "snapshots/" + kCommit + "/a/b.json -> ../../../blobs/" + std::string(40, '1'),
              repo + "trees/", repo + "trees/" + kCommit + ".json",
              "models--org--name -> hub/models--org--name",
              repo + ".model-prep/" + kCommit + ".json"});
  CHECK(text_at(layers[0], repo + "refs/main") == kCommit);
}

TEST_CASE("the prefix is where the cache is, and only above a hub are links for older services") {
  const std::vector snapshots = {packed_snapshot("org/name", 'c', {plain_file("a", 1, '1')})};
  const auto first = [&](const std::string& prefix) { return names(plan(snapshots, prefix)[0]); };
  CHECK(first("").front() == "models--org--name/");
  CHECK(first("srv/cache").front() == "srv/");
  const auto has = [&](const Strings& all, const std::string& name) {
    return std::ranges::count(all, name) == 1;
  };
  CHECK(has(first("app/models/hub"), "app/models/models--org--name -> hub/models--org--name"));
  CHECK_FALSE(has(first("srv/cache"), "srv/models--org--name -> hub/models--org--name"));
}

TEST_CASE("the layer of a large blob does not depend on the revision or on other models") {
  const RemoteFile weights = lfs_file("model.bin", kLargeBlob, 'a');
  const auto before = plan({packed_snapshot("org/name", 'c', {weights, plain_file("x", 1, '1')})});
  const auto after = plan({packed_snapshot("org/other", 'e', {lfs_file("o.bin", kLargeBlob, 'b')}),
                           packed_snapshot("org/name", 'd', {weights, plain_file("x", 2, '2')})});
  REQUIRE(after.size() == 3);
  CHECK(names(after[0]) == names(before[0]));
  CHECK(names(after.back()) != names(before.back()));
}

TEST_CASE("a blob with several names is in the image once") {
  const auto layers = plan(
      {packed_snapshot("org/name", 'c',
                       {lfs_file("a.bin", kLargeBlob, 'a'), lfs_file("b.bin", kLargeBlob, 'a')}),
       packed_snapshot("org/name", 'd', {lfs_file("c.bin", kLargeBlob, 'a')})});
  CHECK(layers.size() == 2);
  CHECK(layers[0].title == "org/name a.bin");
}

TEST_CASE("more large blobs than layers share them, in the order of their paths") {
  CHECK(plan({packed_snapshot("org/name", 'c', many(119))}).size() == kMaxLayers);
  const auto before = plan({packed_snapshot("org/name", 'c', many(163))});
  REQUIRE(before.size() == kMaxLayers);
  std::size_t blobs = 0;
  for (std::size_t i = 0; i + 1 < before.size(); ++i) {
    CHECK(before[i].entries.size() <= 5);  // three directories, at most two blobs
    blobs += before[i].entries.size() - 3;
  }
  CHECK(blobs == 163);

  // One file changes: so does its layer, and no other.
  auto files = many(163);
  files[50].blob = sha256('f');
  const auto after = plan({packed_snapshot("org/name", 'd', files)});
  int changed = 0;
  for (std::size_t i = 0; i + 1 < before.size(); ++i)
    changed += names(before[i]) != names(after[i]) ? 1 : 0;
  CHECK(changed == 1);
}

TEST_CASE("a ref goes to the model that claims it, and one that may stay unset to the first") {
  auto first = packed_snapshot("org/name", 'c', {plain_file("a", 1, '1')});
  auto second = packed_snapshot("org/name", 'd', {plain_file("a", 1, '2')});
  first.spec.ref_if_unset = second.spec.ref_if_unset = true;
  const std::string ref = "hub/models--org--name/refs/main";
  CHECK(text_at(plan({first, second})[0], ref) == std::string(40, 'c'));
  second.spec.ref_if_unset = false;
  CHECK(text_at(plan({first, second})[0], ref) == std::string(40, 'd'));
}

TEST_CASE("a record vouches for each blob at the epoch, and is as long before it is known") {
  const std::vector snapshots = {packed_snapshot(
      "org/name", 'c', {plain_file("a", 1, '1'), lfs_file("model.bin", kLargeBlob, 'a')})};
  const ImageRecord record{repo("org/name"), commit('c')};
  const std::string text = image_record(snapshots, record, {{git_sha1('1'), sha256('e')}});
  CHECK(text.size() == image_record(snapshots, record, {}).size());
  const auto parsed = parse_record(text);
  REQUIRE(parsed);
  CHECK(parsed->listing.size() == 2);
  CHECK(parsed->blobs.at(git_sha1('1')) == VerifiedBlob{1, 0, sha256('e')});
  CHECK(parsed->blobs.at(sha256('a')) == VerifiedBlob{kLargeBlob, 0, sha256('a')});
}

TEST_CASE("a record has what a signer or a policy demands, and nothing else of that kind") {
  auto snapshots = std::vector{packed_snapshot("org/name", 'c', {plain_file("a", 1, '1')})};
  const ImageRecord at{repo("org/name"), commit('c')};
  const std::string plain = image_record(snapshots, at, {});
  ResolvedSnapshot& snapshot = snapshots[0];
  snapshot.facts = {.licenses = Strings{"mit"}, .scan = ScanVerdict{.complete = true}};
  snapshot.signed_by = SignedBy{std::string(64, 'a'), sha256('b')};
  CHECK(image_record(snapshots, at, {}) == plain);

  const auto record = [&] { return *parse_record(image_record(snapshots, at, {})); };
  snapshot.spec.policy.licenses = std::set<std::string>{"mit"};
  CHECK(record().facts == HubFacts{.licenses = Strings{"mit"}});
  snapshot.spec.policy.scan = ScanPolicy::required;
  CHECK(record().facts == snapshot.facts);
  CHECK_FALSE(record().signature);

  snapshot.spec.signer = TrustedSigner{.in_manifest = {}, .id = std::string(64, 'a')};
  CHECK(is_signed(record(), *snapshot.spec.signer, snapshot.files));
}

TEST_CASE("what a cache knows beyond the lock, and what an endpoint adds, is not in the image") {
  auto snapshots = std::vector{packed_snapshot("org/name", 'c', {plain_file("a", 1, '1')})};
  const ImageRecord record{repo("org/name"), commit('c')};
  const std::string plain = image_record(snapshots, record, {});
  snapshots[0].listing[0].xet_hash = std::string(64, 'b');
  CHECK(image_record(snapshots, record, {}) == plain);

  snapshots[0].spec.fully_locked = true;
  const auto locked = parse_record(image_record(snapshots, record, {}));
  REQUIRE(locked);
  CHECK(locked->listing.empty());
  CHECK(text_at(plan(snapshots)[0], "hub/models--org--name/trees/" + kCommit + ".json").empty());
}
