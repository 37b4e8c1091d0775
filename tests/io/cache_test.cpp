// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/cache.h"

#include <chrono>
#include <filesystem>
#include <iterator>
#include <thread>

#include "model_prep/io/hasher.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

namespace model_prep {
namespace {

namespace fs = std::filesystem;
using testing::read_text;
using testing::TemporaryFolder;
using testing::write_text;

const RepoId kRepo = *RepoId::parse("org/name");
const CommitId kCommit = *CommitId::parse("0123456789abcdef0123456789abcdef01234567");

RemoteFile plain_file(const std::string& path, const std::string& content) {
  return {.path = *RepoPath::parse(path),
          .size = static_cast<std::int64_t>(content.size()),
          .blob = git_sha1_of(content),
          .oid = git_sha1_of(content),
          .locked_sha256 = {},
          .xet_hash = {}};
}

/// Two files: `a.json` with "{}" and `d/b.txt` with "text".
ResolvedSnapshot snapshot() {
  const std::vector<RemoteFile> files = {plain_file("a.json", "{}"), plain_file("d/b.txt", "text")};
  return {.spec = {.key = "k",
                   .repo = kRepo,
                   .revision = *Revision::parse("main"),
                   .ref = "main",
                   .variant_requested = Build::fp32,
                   .variant = Build::fp32,
                   .filter = {},
                   .lock = {}},
          .commit = kCommit,
          .files = files,
          .listing = files};
}

/// A cache whose blobs are there.
struct Filled {
  TemporaryFolder folder;
  Cache cache{(folder / "hub").string(), {}};
  fs::path repo = folder / "hub/models--org--name";

  Filled() {
    static_cast<void>(cache.create_repo_dirs(kRepo));
    write_text(blob("{}"), "{}");
    write_text(blob("text"), "text");
  }
  fs::path blob(const std::string& content) const {
    return repo / "blobs" / git_sha1_of(content).hex();
  }
  /// Both blobs, as they are now.
  VerifiedBlobs verified() const {
    VerifiedBlobs blobs;
    for (const std::string content : {"{}", "text"})
      if (const auto there = stat_path(blob(content)))
        blobs.emplace(git_sha1_of(content),
                      VerifiedBlob{there->size, there->mtime_ns, sha256_of(content)});
    return blobs;
  }
  fs::path ref() const { return repo / "refs/main"; }
  SnapshotView inspect(const ResolvedSnapshot& at) const {
    return cache.inspect(at, cache.record(kRepo, kCommit));
  }
  fs::path link() const { return repo / "snapshots" / kCommit.hex() / "d/b.txt"; }
};

}  // namespace

TEST_CASE("a new repository has all directories that other tools expect") {
  const TemporaryFolder folder;
  const Cache cache((folder / "hub").string(), {});
  REQUIRE(cache.create_repo_dirs(kRepo));
  REQUIRE(cache.create_repo_dirs(kRepo));
  CHECK(fs::is_directory(folder / "hub/models--org--name/snapshots"));
  CHECK(fs::is_directory(folder / "hub/models--org--name/blobs"));
  CHECK(fs::is_empty(folder / "hub/.locks/models--org--name"));
  CHECK_FALSE(fs::exists(folder / "hub/models--org--name/refs"));
}

TEST_CASE("a snapshot is published with links, record and refs, and is satisfied") {
  const Filled filled;
  const auto published = filled.cache.publish(snapshot(), filled.verified());
  REQUIRE(published.has_value());
  CHECK(published->warnings.empty());
  CHECK_FALSE(published->files_vanished);
  CHECK(read_text(filled.ref()) == kCommit.hex());
  CHECK(read_text(filled.repo / "refs" / kCommit.hex()) == kCommit.hex());
  CHECK(fs::read_symlink(filled.link()) == "../../../blobs/" + git_sha1_of("text").hex());
  CHECK(read_text(filled.link()) == "text");
  CHECK(filled.inspect(snapshot()).satisfied());
  CHECK(fs::exists(filled.repo / "trees" / (kCommit.hex() + ".json")));
}

TEST_CASE("publishing again writes nothing") {
  const Filled filled;
  REQUIRE(filled.cache.publish(snapshot(), filled.verified()).has_value());
  const auto old = fs::file_time_type::clock::now() - std::chrono::hours(1);
  const fs::path record = filled.repo / ".model-prep" / (kCommit.hex() + ".json");
  fs::last_write_time(filled.ref(), old);
  fs::last_write_time(record, old);
  REQUIRE(filled.cache.publish(snapshot(), filled.verified()).has_value());
  CHECK(fs::last_write_time(filled.ref()) == old);
  CHECK(fs::last_write_time(record) == old);
}

TEST_CASE("the ref is written last: without links there is no ref") {
  const Filled filled;
  fs::create_directories(filled.link() / "in/the/way");
  CHECK_FALSE(filled.cache.publish(snapshot(), filled.verified()).has_value());
  CHECK_FALSE(fs::exists(filled.ref()));
}

TEST_CASE("a blob deleted meanwhile is reported as lost, and no ref is written") {
  const Filled filled;
  fs::remove(filled.cache.repository(kRepo).layout.blob(git_sha1_of("text")));
  const auto published = filled.cache.publish(snapshot(), filled.verified());
  REQUIRE(published.has_value());
  CHECK(published->files_vanished);
  CHECK_FALSE(fs::exists(filled.ref()));
}

TEST_CASE("a blob that changed after it was hashed is reported as lost, and never trusted") {
  const Filled filled;
  const VerifiedBlobs verified = filled.verified();
  write_text(filled.blob("text"), "next");
  fs::last_write_time(filled.blob("text"),
                      fs::file_time_type::clock::now() + std::chrono::hours(1));
  const auto published = filled.cache.publish(snapshot(), verified);
  REQUIRE(published.has_value());
  CHECK(published->files_vanished);
  CHECK_FALSE(fs::exists(filled.ref()));
  REQUIRE(filled.cache.publish(snapshot(), verified, IfChanged::ignore).has_value());
  CHECK(fs::exists(filled.ref()));
  CHECK(filled.inspect(snapshot()).files.at(1).state == BlobState::unverified);
}

TEST_CASE("a copy that changed after it was hashed is reported, though the other is as it was") {
  const Filled filled;
  ResolvedSnapshot twice = snapshot();
  twice.files = {plain_file("a.json", "{}"), plain_file("b.json", "{}")};
  const VerifiedBlobs verified = filled.verified();
  const fs::path folder = filled.repo / "snapshots" / kCommit.hex();
  for (const char* name : {"a.json", "b.json"}) {
    write_text(folder / name, "{}");
    fs::last_write_time(folder / name, fs::last_write_time(filled.blob("{}")));
  }
  fs::remove(filled.blob("{}"));
  CHECK_FALSE(filled.cache.publish(twice, verified)->files_vanished);
  write_text(folder / "b.json", "[]");
  fs::last_write_time(folder / "b.json", fs::file_time_type::clock::now() + std::chrono::hours(1));
  CHECK(filled.cache.publish(twice, verified)->files_vanished);
}

TEST_CASE("variants of one commit that are published at once keep each other's record") {
  const Filled filled;
  const VerifiedBlobs verified = filled.verified();
  for (int round = 0; round < 20; ++round) {
    fs::remove_all(filled.repo / ".model-prep");
    std::vector<std::thread> threads;
    for (const RemoteFile& file : snapshot().files)
      threads.emplace_back([&, file] {
        const Cache cache((filled.folder / "hub").string(), {});
        ResolvedSnapshot variant = snapshot();
        variant.files = {file};
        static_cast<void>(cache.publish(variant, {*verified.find(file.blob)}));
      });
    for (std::thread& thread : threads) thread.join();
    REQUIRE(filled.cache.record(kRepo, kCommit)->blobs.size() == 2);
  }
}

TEST_CASE("an unwritable record is a warning, and the refs are still written") {
  const Filled filled;
  fs::create_directories(filled.repo / ".model-prep" / (kCommit.hex() + ".json") / "in/the/way");
  const auto published = filled.cache.publish(snapshot(), filled.verified());
  REQUIRE(published.has_value());
  CHECK(published->warnings.size() == 1);
  CHECK(read_text(filled.ref()) == kCommit.hex());
}

TEST_CASE("publishing leaves no temporary files") {
  const Filled filled;
  REQUIRE(filled.cache.publish(snapshot(), filled.verified()).has_value());
  const auto entries = fs::directory_iterator(filled.repo / ".model-prep");
  CHECK(std::distance(entries, fs::directory_iterator()) == 1);
}

TEST_CASE("the tree listing is written for a whole commit only") {
  const Filled filled;
  ResolvedSnapshot whole = snapshot();
  whole.spec.whole_commit = true;
  CHECK_FALSE(filled.inspect(whole).tree_correct);
  REQUIRE(filled.cache.publish(whole, filled.verified()).has_value());
  CHECK(filled.inspect(whole).satisfied());
  const auto tree = filled.cache.tree(kRepo, kCommit);
  REQUIRE(tree.has_value());
  CHECK(tree->size() == 2);
}

TEST_CASE("a blob without a record exists but is not trusted") {
  const Filled filled;
  const SnapshotView view = filled.inspect(snapshot());
  CHECK(view.files.at(0).state == BlobState::unverified);
  CHECK_FALSE(view.satisfied());
}

TEST_CASE("a recorded blob is trusted while its size and modification time are unchanged") {
  const Filled filled;
  REQUIRE(filled.cache.publish(snapshot(), filled.verified()).has_value());
  fs::last_write_time(filled.blob("{}"), fs::file_time_type::clock::now() - std::chrono::hours(1));
  write_text(filled.blob("text"), "tex");
  const SnapshotView view = filled.inspect(snapshot());
  CHECK(view.files.at(0).state == BlobState::unverified);
  CHECK(view.files.at(1).state == BlobState::missing);
}

TEST_CASE("a ref with a newline, another commit or no content is wrong") {
  const Filled filled;
  REQUIRE(filled.cache.publish(snapshot(), filled.verified()).has_value());
  const std::string content = GENERATE(kCommit.hex() + "\n", std::string(40, 'b'), std::string());
  write_text(filled.ref(), content);
  CHECK_FALSE(filled.inspect(snapshot()).refs_correct);
}

TEST_CASE("a snapshot is complete without refs/<commit>, but not if that ref is wrong") {
  const Filled filled;
  REQUIRE(filled.cache.publish(snapshot(), filled.verified()).has_value());
  const fs::path own = filled.repo / "refs" / kCommit.hex();
  fs::remove(own);
  CHECK(filled.inspect(snapshot()).satisfied());

  write_text(own, std::string(40, 'b'));
  CHECK_FALSE(filled.inspect(snapshot()).refs_correct);
}

TEST_CASE("probing creates only directories, and reports a file in their place") {
  const TemporaryFolder folder;
  const Cache cache((folder / "hub").string(), {});
  REQUIRE(cache.probe_writing(kRepo));
  CHECK(fs::is_empty(folder / "hub/.locks"));
  write_text(folder / "file", "");
  CHECK_FALSE(Cache((folder / "file").string(), {}).probe_writing(kRepo).has_value());
}

TEST_CASE("a file that a killed probe left is removed when it is a day old") {
  const Filled filled;
  for (const fs::path& directory :
       {filled.repo / "blobs", filled.repo / ".model-prep", filled.folder / "hub/.locks",
        filled.folder / "hub/.locks/models--org--name"}) {
    const fs::path young = directory / "probe.0123456789abcdef.tmp";
    const fs::path old = directory / "probe.fedcba9876543210.tmp";
    for (const fs::path& left : {young, old}) write_text(left, "");
    fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours(25));
    REQUIRE(filled.cache.create_repo_dirs(kRepo));
    CHECK(fs::exists(young));
    CHECK_FALSE(fs::exists(old));
  }
}

TEST_CASE("a real repository in a legacy directory is adopted with a relative link") {
  const TemporaryFolder folder;
  write_text(folder / "models--org--name/refs/main", kCommit.hex());
  Cache cache((folder / "hub").string(), {folder.path().string()});
  cache.adopt_existing(kRepo, Cache::Writing::allowed);
  CHECK(fs::read_symlink(folder / "hub/models--org--name") == "../models--org--name");
  CHECK(cache.ref(kRepo, "main") == kCommit);
}

TEST_CASE("a read-only run uses a real repository in a legacy directory in place") {
  const TemporaryFolder folder;
  write_text(folder / "models--org--name/refs/main", kCommit.hex());
  Cache cache((folder / "hub").string(), {folder.path().string()});
  cache.adopt_existing(kRepo, Cache::Writing::forbidden);
  CHECK_FALSE(fs::exists(folder / "hub"));
  CHECK(cache.repository(kRepo).layout.root == folder.path().string());
  CHECK(cache.ref(kRepo, "main") == kCommit);
}

TEST_CASE("legacy directories get relative links, and wrong ones are corrected") {
  const TemporaryFolder folder;
  const Cache cache((folder / "hub").string(), {folder.path().string(), (folder / "old").string()});
  REQUIRE(cache.create_repo_dirs(kRepo));
  fs::create_symlink("nowhere", folder / "models--org--name");
  CHECK(cache.link_legacy_dirs(kRepo).empty());
  CHECK(cache.link_legacy_dirs(kRepo).empty());
  CHECK(fs::read_symlink(folder / "models--org--name") == "hub/models--org--name");
  CHECK(fs::read_symlink(folder / "old/models--org--name") == "../hub/models--org--name");
}

TEST_CASE("a second real copy in a legacy directory is reported and left alone") {
  const TemporaryFolder folder;
  const Cache cache((folder / "hub").string(), {folder.path().string()});
  REQUIRE(cache.create_repo_dirs(kRepo));
  write_text(folder / "models--org--name/refs/main", "theirs");
  CHECK(cache.link_legacy_dirs(kRepo).size() == 1);
  CHECK(read_text(folder / "models--org--name/refs/main") == "theirs");
}

}  // namespace model_prep
