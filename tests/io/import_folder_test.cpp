// SPDX-License-Identifier: Apache-2.0
// What is found in a folder of somebody else, and what is not.
#include "model_prep/io/import_folder.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "core/builders.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

const std::string kBlob(64, 'a');
const std::string kBlobs = "models--org--name/blobs/";

struct Source {
  TemporaryFolder temporary;
  fs::path folder = fs::canonical(temporary.path()) / "from";
  model_prep::Status status = ok();

  Source() { fs::create_directory(folder); }
  void write(const std::string& name, const std::string& text = "right") const {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name) << text;
  }
  /// Relative to the folder.
  std::set<std::string> find(const std::string& cache = "/nowhere") {
    std::set<std::string> found;
    status = ImportFolder(folder, cache)
                 .find({{kBlob, 5}}, [&](const std::string& digest, const std::string& path) {
                   CHECK(digest == kBlob);
                   found.insert(fs::path(path).lexically_relative(folder));
                 });
    return found;
  }
};

}  // namespace

TEST_CASE("blobs are found in every repository, in hub, and without repositories") {
  Source source;
  const std::string dataset = "hub/datasets--one/blobs/" + kBlob;
  for (const std::string& name : {kBlobs + kBlob, dataset, "blobs/" + kBlob, kBlob})
    source.write(name);
  source.write("elsewhere/blobs/" + kBlob);
  source.write("models--org--name/other/" + kBlob);
  source.write(kBlobs + std::string(64, 'b'));
  CHECK(source.find() == std::set{kBlobs + kBlob, dataset, "blobs/" + kBlob, kBlob});
  CHECK(source.status);
}

TEST_CASE("a blob of another size, a pipe, a directory or a link is none") {
  Source source;
  source.write(kBlobs + "other");
  const fs::path path = source.folder / (kBlobs + kBlob);
  SECTION("another size") { source.write(kBlobs + kBlob, "wrong!"); }
  SECTION("a pipe") { REQUIRE(mkfifo(path.c_str(), 0600) == 0); }
  SECTION("a directory") { fs::create_directory(path); }
  SECTION("a link to a right one") { fs::create_symlink("other", path); }
  CHECK(source.find().empty());
  CHECK(source.status);
}

TEST_CASE("a link in place of a directory is passed by, without an error") {
  Source source;
  const fs::path outside = source.folder.parent_path() / "outside";
  fs::create_directories(outside / "blobs");
  std::ofstream(outside / "blobs" / kBlob) << "right";
  fs::create_directory_symlink(outside, source.folder / "models--org--name");
  fs::create_directory_symlink(outside, source.folder / "hub");
  fs::create_directory_symlink(outside / "blobs", source.folder / "blobs");
  CHECK(source.find().empty());
  CHECK(source.status);
}

TEST_CASE("a blob in the shared store is found where it lies, and only there") {
  Source source;
  const std::string shared = "blobs/0c/" + std::string(64, 'c');
  source.write(shared);
  source.write(kBlobs + "other");
  const fs::path link = source.folder / (kBlobs + kBlob);
  SECTION("there") {
    fs::create_symlink("../../" + shared, link);
    CHECK(source.find() == std::set{shared});
  }
  SECTION("through another link") {
    fs::rename(source.folder / "blobs/0c", source.folder / "real");
    fs::create_directory_symlink("../real", source.folder / "blobs/0c");
    fs::create_symlink("../../" + shared, link);
    CHECK(source.find().empty());
  }
}

TEST_CASE("the cache of the run itself is not looked at") {
  Source source;
  source.write("hub/" + kBlobs + kBlob);
  CHECK(source.find().size() == 1);
  CHECK(source.find(source.folder / "hub").empty());
}

TEST_CASE("one wanted blob is found among 20,000 names") {
  Source source;
  source.write(kBlobs + kBlob);
  for (int i = 0; i < 20'000; ++i) {
    std::string name = std::to_string(i);
    name.insert(0, 64 - name.size(), 'f');
    fs::create_hard_link(source.folder / (kBlobs + kBlob), source.folder / (kBlobs + name));
  }
  CHECK(source.find() == std::set{kBlobs + kBlob});
}

TEST_CASE("the file of a snapshot is found if it is a real one") {
  Source source;
  const RemoteFile file = plain_file("sub/config.json", 5, '1');
  const std::string path =
      "models--org--name/snapshots/" + std::string(40, '7') + "/sub/config.json";
  source.write(path);
  const auto find = [&] {
    return ImportFolder(source.folder, "/nowhere")
        .snapshot_file(repo("org/name"), commit('7'), file);
  };
  CHECK(find() == source.folder / path);
  CHECK(ImportFolder(source.folder, "/nowhere").read(repo("org/name"), commit('7'), file, 100) ==
        "right");
  fs::rename(source.folder / path, source.folder / "real");
  fs::create_symlink("../../../../real", source.folder / path);
  CHECK_FALSE(find());
}

TEST_CASE("a file of which only the path is known is read from its place or from its own blob") {
  Source source;
  const std::string path = "models--org--name/snapshots/" + std::string(40, '7') + "/model.sig";
  const auto read = [&](std::size_t max = 100) {
    return ImportFolder(source.folder, "/nowhere")
        .read(repo("org/name"), commit('7'), *RepoPath::parse("model.sig"), max);
  };
  CHECK_FALSE(read());
  source.write(path);
  CHECK(read() == "right");
  CHECK_FALSE(read(4));

  fs::remove(source.folder / path);
  source.write(kBlobs + kBlob, "blob");
  source.write("elsewhere/" + kBlob, "wrong");
  fs::create_symlink("../../../elsewhere/" + kBlob, source.folder / path);
  CHECK(read() == "blob");
  fs::remove(source.folder / path);
  fs::create_symlink("../../../elsewhere/real", source.folder / path);
  CHECK_FALSE(read());
}

TEST_CASE("what a folder says of refs and listings is read, but through no link") {
  Source source;
  const std::string ref = "models--org--name/refs/main";
  source.write(ref, std::string(40, '7'));
  const ImportFolder folder(source.folder, "/nowhere");
  CHECK(folder.ref(repo("org/name"), "main") == commit('7'));
  CHECK_FALSE(folder.ref(repo("org/name"), "other"));
  CHECK_FALSE(folder.tree(repo("org/name"), commit('7')));
  CHECK_FALSE(folder.record(repo("org/name"), commit('7')));

  fs::rename(source.folder / ref, source.folder / "real");
  fs::create_symlink("../../real", source.folder / ref);
  CHECK_FALSE(folder.ref(repo("org/name"), "main"));
}

}  // namespace model_prep::testing
