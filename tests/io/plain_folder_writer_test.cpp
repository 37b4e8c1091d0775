// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/plain_folder_writer.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "support/catch.h"
#include "support/in_child.h"
#include "support/temporary_folder.h"

namespace model_prep {
namespace {

namespace fs = std::filesystem;
using testing::in_child;
using testing::TemporaryFolder;

constexpr int kMayNotMount = 99;

/// The contents are one character long.
std::vector<RemoteFile> files_with(char content, const std::vector<std::string>& names = {
                                                     "a.json", "b.json", "c.json"}) {
  std::vector<RemoteFile> files;
  for (const std::string& name : names)
    files.push_back({.path = *RepoPath::parse(name),
                     .size = 1,
                     .blob = *Digest::parse(std::string(64, content)),
                     .oid = *Digest::parse(std::string(40, content)),
                     .locked_sha256 = {},
                     .xet_hash = {}});
  return files;
}

/// `meanwhile` happens while the files are written.
Status write_files(
    const PlainFolder& folder, const std::vector<RemoteFile>& files, char content,
    const std::function<void()>& meanwhile = [] {}) {
  const auto lock = folder.try_lock();
  if (!lock || !*lock) return Error{ErrorKind::io, "locked"};
  const auto fill = [&](std::size_t i, const Directory& directory,
                        const std::string& at) -> Result<VerifiedBlob> {
    meanwhile();
    const auto file = directory.open_file(at, O_RDWR | O_CREAT | O_EXCL);
    if (!file) return file.error();
    if (Status written = write_at(*file, std::string(1, content), 0, at); !written)
      return written.error();
    set_time(*file, 1);  // they have the same content, and so one entry in the record
    return VerifiedBlob{1, 1'000'000'000, files[i].blob};
  };
  return folder.write(**lock, files, std::string("origin ") + content, fill);
}

Status write_files(const PlainFolder& folder, char content) {
  return write_files(folder, files_with(content), content);
}

/// What the next export does first.
bool would_be_ours(const PlainFolder& folder) {
  const auto lock = folder.try_lock();
  if (!lock || !*lock) return false;
  folder.remove_leftovers(**lock);
  return folder.check_owner().has_value();
}

bool is_text(const fs::path& file, const std::string& text) { return read_file(file, 100) == text; }

/// Runs `work` in a process of its own, for which the folder is a mount point. 0 is good.
int with_mounted(const fs::path& path, const std::function<int()>& work) {
  fs::create_directories(path);
  const int answer = in_child([&] {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", path.c_str(), "tmpfs", 0, nullptr) != 0)
      return kMayNotMount;
    return work();
  });
  if (answer == kMayNotMount) skip_test("MAY NOT MOUNT");
  return answer == kMayNotMount ? 0 : answer;
}

int on_a_mount(const std::function<int(const PlainFolder& folder, const fs::path& path)>& work) {
  const TemporaryFolder root;
  const fs::path path = root / "mounted";
  return with_mounted(path, [&] { return work(PlainFolder(path), path); });
}

}  // namespace

TEST_CASE("what an export could not move into a mount point stays the export's own") {
  const int failed_at = on_a_mount([](const PlainFolder& folder, const fs::path& path) {
    if (!write_files(folder, '1')) return 1;

    // A folder is in the way of the second file: the first one is moved in, the others are not.
    fs::remove(path / "b.json");
    fs::create_directories(path / "b.json/theirs");
    for (int i = 0; i < 3; ++i) {
      if (!would_be_ours(folder)) return 10 + i;
      if (write_files(folder, '2')) return 20 + i;
      if (folder.holds(files_with('1')) || folder.holds(files_with('2'))) return 30 + i;
    }
    // The folder, and what the last one has moved in and has not: no more than one leftover.
    if (std::distance(fs::directory_iterator(path), fs::directory_iterator()) > 3) return 2;

    fs::remove_all(path / "b.json");
    if (!would_be_ours(folder)) return 3;
    if (!write_files(folder, '2') || !folder.holds(files_with('2'))) return 4;
    if (folder.content()->origin != "origin 2") return 6;
    return std::distance(fs::directory_iterator(path), fs::directory_iterator()) == 4 ? 0 : 5;
  });
  CHECK(failed_at == 0);
}

TEST_CASE("an export that cannot replace a file in a mount point leaves no copy of the model") {
  const int failed_at = on_a_mount([](const PlainFolder& folder, const fs::path& path) {
    if (!write_files(folder, '1')) return 1;

    // What is a mount point itself can be neither removed nor replaced.
    const fs::path busy = path / "b.json";
    if (mount(busy.c_str(), busy.c_str(), nullptr, MS_BIND, nullptr) != 0) return kMayNotMount;
    for (int i = 0; i < 3; ++i) {
      if (!would_be_ours(folder)) return 10 + i;
      if (write_files(folder, '2')) return 20 + i;
      // That file, and the folder with the record that says whose it is.
      if (std::distance(fs::directory_iterator(path), fs::directory_iterator()) != 2) return 30 + i;
      for (const auto& entry : fs::recursive_directory_iterator(path))
        if (entry.is_regular_file() && entry.path() != busy &&
            entry.path().filename() != ".model-prep.old.json")
          return 40 + i;
    }

    if (umount(busy.c_str()) != 0) return 2;
    if (!would_be_ours(folder) || !write_files(folder, '2')) return 3;
    return folder.holds(files_with('2')) ? 0 : 4;
  });
  CHECK(failed_at == 0);
}

TEST_CASE("an export that could not move its files in never takes those of others for its own") {
  const int failed_at = on_a_mount([](const PlainFolder& folder, const fs::path& path) {
    fs::create_directories(path / "b.json/theirs");
    if (write_files(folder, '1')) return 1;

    std::ofstream(path / "notes.txt") << "weeks of work";
    if (would_be_ours(folder)) return 2;
    if (!fs::exists(path / "notes.txt") || !fs::exists(path / "b.json/theirs")) return 3;
    return 0;
  });
  CHECK(failed_at == 0);
}

TEST_CASE("a file that somebody puts into a mount point during an export stays") {
  const int failed_at = on_a_mount([](const PlainFolder& folder, const fs::path& path) {
    const auto somebody = [&] { std::ofstream(path / "b.json") << "theirs"; };
    if (write_files(folder, files_with('1'), '1', somebody)) return 1;
    if (!is_text(path / "b.json", "theirs")) return 2;
    return would_be_ours(folder) || !is_text(path / "b.json", "theirs") ? 3 : 0;
  });
  CHECK(failed_at == 0);
}

TEST_CASE("after a kill, a file with a name of the model is not taken for the export's own") {
  const int failed_at = on_a_mount([](const PlainFolder& folder, const fs::path& path) {
    if (!write_files(folder, '1')) return 1;

    // As it is when all is written and nothing has been moved in.
    const fs::path temporary = path / ".model-prep.0123456789abcdef.tmp";
    fs::create_directory(temporary);
    for (const char* name : {"a.json", "b.json", "c.json", ".model-prep.json"})
      fs::rename(path / name, temporary / name);
    std::ofstream(path / "a.json") << "theirs";

    if (would_be_ours(folder)) return 2;
    if (!is_text(path / "a.json", "theirs")) return 3;
    fs::remove(path / "a.json");
    return would_be_ours(folder) && write_files(folder, '2') && folder.holds(files_with('2')) ? 0
                                                                                              : 4;
  });
  CHECK(failed_at == 0);
}

TEST_CASE("a folder that an earlier model left empty is not in the way of a file") {
  const int failed_at = on_a_mount([](const PlainFolder& folder, const fs::path&) {
    const auto deep = files_with('1', {"encoder/a/b.json", "encoder/c.json"});
    const auto flat = files_with('2', {"encoder"});
    if (!write_files(folder, deep, '1')) return 1;
    if (!write_files(folder, flat, '2')) return 2;
    return folder.holds(flat) ? 0 : 3;
  });
  CHECK(failed_at == 0);
}

TEST_CASE("a folder in which something is mounted is not replaced") {
  const TemporaryFolder root;
  const PlainFolder folder((root / "plain").string());
  REQUIRE(write_files(folder, files_with('1', {"a.json", "sub/b.json"}), '1'));
  const std::string name = GENERATE("volume", "sub");
  fs::remove(root / "plain/sub/b.json");
  CHECK(with_mounted(root / "plain" / name, [&] {
          if (would_be_ours(folder)) return 1;
          return write_files(folder, '2') ? 2 : 0;
        }) == 0);
  CHECK(is_text(root / "plain/a.json", "1"));
}

TEST_CASE("an empty folder that no file needs is somebody's, and may soon be a mount point") {
  const TemporaryFolder root;
  const PlainFolder folder((root / "plain").string());
  REQUIRE(write_files(folder, files_with('1', {"a.json", "sub/more/b.json"}), '1'));
  CHECK(would_be_ours(folder));
  fs::create_directory(root / "plain/volume");
  CHECK_FALSE(would_be_ours(folder));
  CHECK_FALSE(write_files(folder, '2'));
  CHECK(fs::exists(root / "plain/volume"));
}

TEST_CASE("what is mounted in a leftover stays when the leftover is removed") {
  const TemporaryFolder root;
  const fs::path leftover = root / ".plain.0123456789abcdef.tmp";
  const PlainFolder folder((root / "plain").string());
  fs::create_directories(leftover / "unfinished/sub");
  fs::create_directories(leftover / "read-only");
  fs::permissions(leftover / "read-only", fs::perms(0555));
  CHECK(with_mounted(leftover / "held/volume", [&] {
          const fs::path theirs = leftover / "held/volume/data";
          std::ofstream(theirs) << "weeks of work";
          if (!write_files(folder, '1')) return 1;
          if (!would_be_ours(folder) || !is_text(theirs, "weeks of work")) return 2;
          return fs::exists(leftover / "unfinished") || fs::exists(leftover / "read-only") ? 3 : 0;
        }) == 0);
  CHECK(would_be_ours(folder));
  CHECK_FALSE(fs::exists(leftover));
}

TEST_CASE("a model with a file that has one of our own names is refused") {
  const TemporaryFolder root;
  const PlainFolder folder(root / "plain");
  for (const char* name : {".model-prep.json", ".model-prep.old.json",
                           ".model-prep.0123456789abcdef.tmp/.model-prep.json"}) {
    const Status written = write_files(folder, files_with('1', {name}), '1');
    REQUIRE_FALSE(written);
    CHECK(written.error().message.find(name) != std::string::npos);
  }
  CHECK(fs::is_empty(root.path()));
}

TEST_CASE("one export at a time writes to a folder, and the lock leaves nothing behind") {
  const TemporaryFolder root;
  const PlainFolder folder(root / "plain");
  {
    const auto first = folder.try_lock();
    REQUIRE(first);
    REQUIRE(*first);
    const auto second = folder.try_lock();
    CHECK((second && !*second));
    CHECK(folder.has_leftovers());
  }
  {
    const auto next = folder.try_lock();
    CHECK((next && *next));
  }
  CHECK_FALSE(folder.has_leftovers());
  CHECK(fs::is_empty(root.path()));
}

}  // namespace model_prep
