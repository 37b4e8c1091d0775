// SPDX-License-Identifier: Apache-2.0
// Copying from a folder that nobody answers for, on a thread of its own.
#include "model_prep/io/copier.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "support/catch.h"
#include "support/temporary_folder.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

/// A copier and its owner, who waits for events.
struct Owner {
  TemporaryFolder temporary;
  fs::path folder = fs::canonical(temporary.path());
  std::mutex mutex;
  std::condition_variable woken;
  bool wake = false;
  Copier copier{[this] {
    const std::lock_guard lock(mutex);
    wake = true;
    woken.notify_one();
  }};

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder / name) << text;
    return (folder / name).string();
  }
  UniqueFd target(const std::string& name = "target") const {
    return UniqueFd(open((folder / name).c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  }
  void wait() {
    std::unique_lock lock(mutex);
    woken.wait(lock, [&] { return wake; });
    wake = false;
  }
  CopyEvent next() {
    while (true) {
      wait();
      const auto events = copier.take_all();
      if (!events.empty()) return events.front();
    }
  }
  CopyEvent copy(const std::string& path, Bytes size, ByteRange range) {
    const CopyJobId job = copier.open({folder.string(), path}, size, target(), "wanted");
    copier.copy(job, range, false);
    CopyEvent event = next();
    CHECK(event.job == job);
    copier.close(job);
    return event;
  }
  std::string copied(const std::string& name = "target") const {
    std::ifstream file(folder / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

}  // namespace

TEST_CASE("a piece of a file is copied to its place") {
  Owner owner;
  const CopyEvent event = owner.copy(owner.write("file", "0123456789"), 10, {4, 8});
  CHECK_FALSE(event.error);
  CHECK(event.range == ByteRange{4, 8});
  CHECK(owner.copied() == std::string(4, '\0') + "4567");
}

TEST_CASE("several pieces of a file are copied one after the other") {
  Owner owner;
  const std::string path = owner.write("file", "0123456789");
  const CopyJobId first =
      owner.copier.open({owner.folder.string(), path}, 10, owner.target(), "wanted");
  owner.copier.copy(first, {0, 5}, true);
  CHECK_FALSE(owner.next().error);
  owner.copier.copy(first, {5, 10}, false);
  CHECK_FALSE(owner.next().error);
  CHECK(owner.copied() == "0123456789");
}

TEST_CASE("files are asked for, and events taken, while others are copied") {
  constexpr std::size_t kFiles = 50;
  Owner owner;
  std::map<CopyJobId, std::string> targets;
  std::vector<CopyEvent> events;

  const auto take_events = [&] {
    for (CopyEvent& event : owner.copier.take_all()) events.push_back(std::move(event));
  };
  for (std::size_t i = 0; i < kFiles; ++i) {
    const std::string text = std::to_string(1000 + i);
    const NearbyFile file{owner.folder.string(), owner.write("file" + text, text)};
    const CopyJobId job = owner.copier.open(file, 4, owner.target(text), text);
    owner.copier.copy(job, {0, 4}, false);
    targets.emplace(job, text);
    take_events();
  }
  while (events.size() < kFiles) {
    owner.wait();
    take_events();
  }

  for (const CopyEvent& event : events) {
    CHECK_FALSE(event.error);
    CHECK(owner.copied(targets.at(event.job)) == targets.at(event.job));
  }
}

TEST_CASE("a link, a pipe, a directory, another size and nothing are refused, and not waited for") {
  Owner owner;
  std::string path = (owner.folder / "there").string();
  SECTION("nothing") {}
  SECTION("another size") { owner.write("there", "longer than it should be"); }
  SECTION("a link") {
    owner.write("real", "0123456789");
    fs::create_symlink("real", path);
  }
  SECTION("a link on the way") {
    fs::create_directory(owner.folder / "real");
    owner.write("real/file", "0123456789");
    fs::create_directory_symlink("real", path);
    path += "/file";
  }
  SECTION("a pipe") { REQUIRE(mkfifo(path.c_str(), 0600) == 0); }
  SECTION("a directory") { fs::create_directory(path); }
  const CopyEvent event = owner.copy(path, 10, {0, 10});
  REQUIRE(event.error);
  CHECK(event.error->kind != ErrorKind::disk_full);
  CHECK(owner.copied().empty());
}

TEST_CASE("a file that becomes shorter while it is copied is an error") {
  Owner owner;
  const std::string path = owner.write("file", "0123456789");
  const CopyJobId job =
      owner.copier.open({owner.folder.string(), path}, 10, owner.target(), "wanted");
  owner.copier.copy(job, {0, 4}, false);
  CHECK_FALSE(owner.next().error);
  fs::resize_file(path, 6);
  owner.copier.copy(job, {4, 10}, false);
  CHECK(owner.next().error);
}

TEST_CASE("no event follows a job that was closed, and the copier can end at any time") {
  Owner owner;
  const std::string path = owner.write("file", std::string(1'000'000, 'x'));
  const auto begin = [&] {
    const CopyJobId job =
        owner.copier.open({owner.folder.string(), path}, 1'000'000, owner.target(), "wanted");
    owner.copier.copy(job, {0, 1'000'000}, true);
    return job;
  };
  for (int i = 0; i < 50; ++i) {
    owner.copier.close(begin());
    CHECK(owner.copier.take_all().empty());
  }
  begin();
}

}  // namespace model_prep::testing
