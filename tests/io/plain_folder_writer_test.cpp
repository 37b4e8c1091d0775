// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/plain_folder_writer.h"

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
std::vector<RemoteFile> files_with(char content) {
  std::vector<RemoteFile> files;
  for (const char* name : {"a.json", "b.json", "c.json"})
    files.push_back({.path = *RepoPath::parse(name),
                     .size = 1,
                     .blob = *Digest::parse(std::string(64, content)),
                     .oid = *Digest::parse(std::string(40, content)),
                     .locked_sha256 = {},
                     .xet_hash = {}});
  return files;
}

Status write_all(const PlainFolder& folder, char content) {
  const auto files = files_with(content);
  return folder.write(files, [&](std::size_t i, const UniqueFd& file, const std::string& path) {
    Status written = write_at(file, std::string(1, content), 0, path);
    set_time(file, 1);  // they have the same content, and so one entry in the record
    const auto found = stat_fd(file);
    if (!written || !found) return Result<VerifiedBlob>(io_error("write", path, errno));
    return Result<VerifiedBlob>({1, found->mtime_ns, files[i].blob});
  });
}

/// What the next export does first.
bool would_be_ours(const PlainFolder& folder) {
  folder.remove_leftovers();
  return folder.check_owner().has_value();
}

/// Runs `work` in a process of its own, for which `folder` is a mount point.
int on_a_mount(const fs::path& folder, const std::function<int()>& work) {
  const int answer = in_child([&] {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", folder.c_str(), "tmpfs", 0, nullptr) != 0)
      return kMayNotMount;
    return work();
  });
  if (answer == kMayNotMount) WARN("SKIPPED: MAY NOT MOUNT");
  return answer == kMayNotMount ? 0 : answer;
}

}  // namespace

TEST_CASE("what an export could not move into a mount point stays the export's own") {
  const TemporaryFolder root;
  const fs::path path = root / "mounted";
  fs::create_directory(path);
  const int failed_at = on_a_mount(path, [&] {
    const PlainFolder folder(path);
    if (!write_all(folder, '1')) return 1;

    // A folder is in the way of the second file: the first one is moved in, the others are not.
    fs::remove(path / "b.json");
    fs::create_directories(path / "b.json/theirs");
    for (int i = 0; i < 3; ++i) {
      if (!would_be_ours(folder)) return 10 + i;
      if (write_all(folder, '2')) return 20 + i;
      if (folder.holds(files_with('1')) || folder.holds(files_with('2'))) return 30 + i;
    }
    // The folder, and what the last one has moved in and has not: no more than one leftover.
    if (std::distance(fs::directory_iterator(path), fs::directory_iterator()) > 3) return 2;

    fs::remove_all(path / "b.json");
    if (!would_be_ours(folder)) return 3;
    if (!write_all(folder, '2') || !folder.holds(files_with('2'))) return 4;
    return std::distance(fs::directory_iterator(path), fs::directory_iterator()) == 4 ? 0 : 5;
  });
  CHECK(failed_at == 0);
}

TEST_CASE("an export that could not move its files in never takes those of others for its own") {
  const TemporaryFolder root;
  const fs::path path = root / "mounted";
  fs::create_directory(path);
  const int failed_at = on_a_mount(path, [&] {
    const PlainFolder folder(path);
    fs::create_directories(path / "b.json/theirs");
    if (write_all(folder, '1')) return 1;

    std::ofstream(path / "notes.txt") << "weeks of work";
    if (would_be_ours(folder)) return 2;
    if (!fs::exists(path / "notes.txt") || !fs::exists(path / "b.json/theirs")) return 3;
    return 0;
  });
  CHECK(failed_at == 0);
}

}  // namespace model_prep
