// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/hasher.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>

#include "support/catch.h"
#include "support/hub_content.h"
#include "support/temporary_folder.h"

namespace model_prep {
namespace {

using testing::TemporaryFolder;

/// A hasher whose wake-ups can be waited for.
class Waker {
 public:
  void wake() {
    {
      const std::lock_guard lock(mutex_);
      ++wakes_;
    }
    changed_.notify_all();
  }
  /// Takes events until there are as many, or ten seconds are over.
  std::vector<HashEvent> take(Hasher& hasher, std::size_t count) {
    std::vector<HashEvent> events;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    std::unique_lock lock(mutex_);
    while (true) {
      for (HashEvent& event : hasher.take_all()) events.push_back(std::move(event));
      if (events.size() >= count) return events;
      const int seen = wakes_;
      if (!changed_.wait_until(lock, deadline, [&] { return wakes_ != seen; })) return events;
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int wakes_ = 0;
};

UniqueFd file_with(const TemporaryFolder& folder, std::string_view name,
                   const std::string& content) {
  UniqueFd fd(::open((folder / name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  static_cast<void>(write_at(fd, content, 0, "file"));
  return fd;
}

constexpr auto kBlock = static_cast<std::int64_t>(kBlockSize);
constexpr std::int64_t kPool = 32;  // blocks

/// Hands over blocks number `first` to `end` - 1 of a file, all of this character.
void hand_over(Hasher& hasher, HashJobId job, std::int64_t first, std::int64_t end, char fill) {
  for (; first < end; ++first) {
    Block block(kBlockSize, fill);
    hasher.hand_over(job, first * kBlock, block);
    CHECK(block.empty());
  }
}

std::string blocks_of(char fill, std::int64_t count) {
  return std::string(static_cast<std::size_t>(count) * kBlockSize, fill);
}

}  // namespace

TEST_CASE("the digests of bytes in memory are the well-known ones") {
  CHECK(sha256_of("").hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_of("abc").hex() ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(git_sha1_of("").hex() == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
  CHECK(git_sha1_of("{}").hex() == "9e26dfeeb6e641a33dae4961196235bdb965b21b");
}

TEST_CASE("a growing file is hashed up to its watermark") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); });
  const std::string content = testing::content_text(testing::MadeUpBytes{3'000'000, 1});
  auto writer = file_with(folder, "file", content.substr(0, 1'000'000));
  const auto job = hasher.open(*open_for_reading(folder / "file"), 3'000'000, DigestKind::sha256,
                               AfterHash::sync_growing);
  hasher.advance(job, 1'000'000);
  CHECK(hasher.take_all().empty());
  REQUIRE(write_at(writer, std::string_view(content).substr(1'000'000), 1'000'000, "file"));
  hasher.advance(job, 2'000'000);
  hasher.advance(job, 3'000'000);
  const auto events = waker.take(hasher, 1);
  REQUIRE(events.size() == 1);
  CHECK(events[0].job == job);
  CHECK(events[0].sha256 == sha256_of(content));
  CHECK_FALSE(events[0].git_sha1.has_value());
}

TEST_CASE("a plain git file gets both digests") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); });
  const auto job =
      hasher.open(file_with(folder, "file", "{}"), 2, DigestKind::git_sha1, AfterHash::nothing);
  hasher.advance(job, 2);
  const auto events = waker.take(hasher, 1);
  REQUIRE(events.size() == 1);
  CHECK(events[0].git_sha1 == git_sha1_of("{}"));
  CHECK(events[0].sha256 == sha256_of("{}"));
}

TEST_CASE("a result has the size and time of the file when its hash ended") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); });
  const AfterHash after = GENERATE(AfterHash::nothing, AfterHash::sync);
  const auto job = hasher.open(file_with(folder, "file", "{}"), 2, DigestKind::sha256, after);
  hasher.advance(job, 2);
  const auto events = waker.take(hasher, 1);
  REQUIRE(events.size() == 1);
  CHECK(events[0].stamp == stat_path(folder / "file")->stamp());
}

TEST_CASE("a complete file that changes while it is hashed has no size and time to be trusted by") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); });
  const AfterHash after = GENERATE(AfterHash::nothing, AfterHash::sync);
  const auto job = hasher.open(file_with(folder, "file", "{}"), 2, DigestKind::sha256, after);
  std::filesystem::last_write_time(folder / "file", std::filesystem::file_time_type());
  hasher.advance(job, 2);
  const auto events = waker.take(hasher, 1);
  REQUIRE(events.size() == 1);
  CHECK(events[0].sha256 == sha256_of("{}"));
  CHECK_FALSE(events[0].stamp.has_value());
}

TEST_CASE("an empty file is finished as soon as it is declared complete") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); });
  const auto job =
      hasher.open(file_with(folder, "file", ""), 0, DigestKind::git_sha1, AfterHash::sync);
  hasher.advance(job, 0);
  const auto events = waker.take(hasher, 1);
  REQUIRE(events.size() == 1);
  CHECK(events[0].git_sha1 == git_sha1_of(""));
}

TEST_CASE("many files at once each get their own digest") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); });
  std::map<HashJobId, Digest> wanted;
  for (int i = 0; i < 50; ++i) {
    const std::string content(static_cast<std::size_t>(i) * 1000, static_cast<char>('a' + i % 26));
    const auto size = static_cast<std::int64_t>(content.size());
    const auto job = hasher.open(file_with(folder, std::to_string(i), content), size,
                                 DigestKind::sha256, AfterHash::nothing);
    wanted.emplace(job, sha256_of(content));
    hasher.advance(job, size);
  }
  std::map<HashJobId, Digest> found;
  for (const HashEvent& event : waker.take(hasher, 50)) found.emplace(event.job, *event.sha256);
  CHECK(found == wanted);
}

TEST_CASE("several threads hash several files, each file once") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); }, 4);
  std::map<HashJobId, Digest> wanted;
  for (int i = 0; i < 40; ++i) {
    const std::string content(static_cast<std::size_t>(i) * 100'003,
                              static_cast<char>('a' + i % 26));
    const auto size = static_cast<std::int64_t>(content.size());
    const auto job = hasher.open(file_with(folder, std::to_string(i), content), size,
                                 DigestKind::git_sha1, AfterHash::nothing);
    wanted.emplace(job, git_sha1_of(content));
    hasher.advance(job, size);
  }
  std::map<HashJobId, Digest> found;
  for (const HashEvent& event : waker.take(hasher, 40)) found.emplace(event.job, *event.git_sha1);
  CHECK(found == wanted);
}

TEST_CASE("small files do not wait for the large one that was opened first") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); }, 2);
  const std::int64_t size = 8'000'000'000;  // takes seconds
  auto file = file_with(folder, "large", "x");
  REQUIRE(::ftruncate(file.get(), size) == 0);
  const auto large = hasher.open(std::move(file), size, DigestKind::sha256, AfterHash::nothing);
  hasher.advance(large, size);

  for (const char* name : {"a", "b", "c"}) {
    const auto small =
        hasher.open(file_with(folder, name, name), 1, DigestKind::sha256, AfterHash::nothing);
    hasher.advance(small, 1);
    const auto events = waker.take(hasher, 1);
    REQUIRE(events.size() == 1);
    CHECK(events[0].job == small);
  }
  CHECK(hasher.progress(large) < size);
}

TEST_CASE("the progress of an open file can be queried") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); });
  const std::string content(3'000'000, 'x');
  const auto job = hasher.open(file_with(folder, "file", content), 3'000'000, DigestKind::sha256,
                               AfterHash::nothing);
  CHECK(hasher.progress(job) == 0);
  hasher.advance(job, 2'000'000);
  while (hasher.progress(job) < 2'000'000) std::this_thread::yield();
  CHECK(hasher.progress(job) == 2'000'000);
  hasher.advance(job, 3'000'000);
  CHECK(waker.take(hasher, 1).size() == 1);
}

TEST_CASE("a cancelled file produces no event, and others continue") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); });
  const auto cancelled =
      hasher.open(file_with(folder, "a", "aa"), 2, DigestKind::sha256, AfterHash::nothing);
  hasher.cancel(cancelled);
  hasher.advance(cancelled, 2);
  const auto other =
      hasher.open(file_with(folder, "b", "bb"), 2, DigestKind::sha256, AfterHash::nothing);
  hasher.advance(other, 2);
  const auto events = waker.take(hasher, 1);
  REQUIRE(events.size() == 1);
  CHECK(events[0].job == other);
}

TEST_CASE("a thread that was woken in vain can be woken again") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); }, 2);
  const auto open = [&] {
    return hasher.open(file_with(folder, "file", "b"), 1, DigestKind::sha256, AfterHash::nothing);
  };
  for (int i = 0; i < 500; ++i) {
    hasher.cancel(open());
    for (int n = 0; n < i; ++n) std::this_thread::yield();

    const auto job = open();
    hasher.advance(job, 1);
    const auto events = waker.take(hasher, 1);
    REQUIRE(events.size() == 1);
    CHECK(events[0].job == job);
  }
}

TEST_CASE("a file shorter than its watermark is an error without a digest") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); });
  const auto job =
      hasher.open(file_with(folder, "file", "short"), 100, DigestKind::sha256, AfterHash::nothing);
  hasher.advance(job, 100);
  const auto events = waker.take(hasher, 1);
  REQUIRE(events.size() == 1);
  REQUIRE(events[0].error.has_value());
  CHECK(events[0].error->kind == ErrorKind::io);
  CHECK_FALSE(events[0].sha256.has_value());
}

TEST_CASE("a hasher with unfinished work can be destroyed at once") {
  const TemporaryFolder folder;
  Hasher hasher([] {});
  const std::int64_t size = 500'000'000;
  auto file = file_with(folder, "file", "x");
  REQUIRE(::ftruncate(file.get(), size) == 0);
  const auto job = hasher.open(std::move(file), size, DigestKind::sha256, AfterHash::nothing);
  hasher.advance(job, size);
  CHECK(hasher.take_all().empty());
}

// In these tests the file has other bytes than the blocks, to show which of them were hashed.

TEST_CASE("blocks that were handed over are hashed from memory, what lies between from the file") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); });
  const DigestKind kind = GENERATE(DigestKind::sha256, DigestKind::git_sha1);
  const auto job = hasher.open(file_with(folder, "file", blocks_of('f', 40) + "end"),
                               40 * kBlock + 3, kind, AfterHash::sync_growing);
  hand_over(hasher, job, 0, 2, 'a');
  hand_over(hasher, job, 3, 20, 'b');
  hasher.advance(job, 20 * kBlock);
  hand_over(hasher, job, 39, 40, 'c');
  hasher.advance(job, 40 * kBlock + 3);

  const auto events = waker.take(hasher, 1);
  REQUIRE(events.size() == 1);
  const std::string wanted = blocks_of('a', 2) + blocks_of('f', 1) + blocks_of('b', 17) +
                             blocks_of('f', 19) + blocks_of('c', 1) + "end";
  CHECK(events[0].sha256 == sha256_of(wanted));
  if (kind == DigestKind::git_sha1) CHECK(events[0].git_sha1 == git_sha1_of(wanted));
}

TEST_CASE("nothing is hashed beyond the watermark, wherever the blocks begin and end") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); });
  const auto job = hasher.open(file_with(folder, "file", blocks_of('f', 3)), 3 * kBlock,
                               DigestKind::sha256, AfterHash::sync_growing);
  hand_over(hasher, job, 0, 3, 'b');
  hasher.advance(job, kBlock + 1);  // in the second block, whose first byte is read back
  while (hasher.progress(job) < kBlock + 1) std::this_thread::yield();
  CHECK(hasher.progress(job) == kBlock + 1);
  hasher.advance(job, 3 * kBlock);

  const auto events = waker.take(hasher, 1);
  REQUIRE(events.size() == 1);
  CHECK(events[0].sha256 == sha256_of(blocks_of('b', 1) + blocks_of('f', 1) + blocks_of('b', 1)));
}

TEST_CASE("a block that the hash has passed is not hashed again") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); });
  const auto job = hasher.open(file_with(folder, "file", blocks_of('f', 3)), 3 * kBlock,
                               DigestKind::sha256, AfterHash::sync_growing);
  hasher.advance(job, 2 * kBlock);
  while (hasher.progress(job) < 2 * kBlock) std::this_thread::yield();
  hand_over(hasher, job, 1, 2, 'b');
  hasher.advance(job, 3 * kBlock);

  const auto events = waker.take(hasher, 1);
  REQUIRE(events.size() == 1);
  CHECK(events[0].sha256 == sha256_of(blocks_of('f', 3)));
}

TEST_CASE("what the pool has no room for is read back, and the next file has all of the pool") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); }, 1);
  const std::string on_disk = blocks_of('f', kPool + 2);
  for (const char* name : {"first", "second"}) {
    const auto job = hasher.open(file_with(folder, name, on_disk), (kPool + 2) * kBlock,
                                 DigestKind::sha256, AfterHash::sync_growing);
    hand_over(hasher, job, 0, kPool + 2, 'b');
    hasher.advance(job, (kPool + 2) * kBlock);

    const auto events = waker.take(hasher, 1);
    REQUIRE(events.size() == 1);
    CHECK(events[0].sha256 == sha256_of(blocks_of('b', kPool) + blocks_of('f', 2)));
  }
}

TEST_CASE("a cancelled file gives its blocks back at once") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); });
  const auto open = [&](const char* name) {
    return hasher.open(file_with(folder, name, blocks_of('f', kPool)), kPool * kBlock,
                       DigestKind::sha256, AfterHash::sync_growing);
  };
  const auto cancelled = open("a");
  hand_over(hasher, cancelled, 0, kPool, 'b');
  hasher.cancel(cancelled);
  hand_over(hasher, cancelled, 0, kPool, 'b');  // too late, and no harm

  const auto other = open("b");
  hand_over(hasher, other, 0, kPool, 'b');
  hasher.advance(other, kPool * kBlock);
  const auto events = waker.take(hasher, 1);
  REQUIRE(events.size() == 1);
  CHECK(events[0].job == other);
  CHECK(events[0].sha256 == sha256_of(blocks_of('b', kPool)));
}

TEST_CASE("files can be cancelled while their blocks are being hashed") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); }, 3);
  const auto file = [&] { return file_with(folder, "file", blocks_of('f', 16)); };
  for (int i = 0; i < 100; ++i) {
    const auto cancelled =
        hasher.open(file(), 16 * kBlock, DigestKind::sha256, AfterHash::sync_growing);
    hand_over(hasher, cancelled, 0, 12, 'b');
    hasher.advance(cancelled, 12 * kBlock);
    hasher.cancel(cancelled);
  }

  const auto job = hasher.open(file(), 16 * kBlock, DigestKind::sha256, AfterHash::sync_growing);
  hasher.advance(job, 16 * kBlock);
  const auto events = waker.take(hasher, 1);
  REQUIRE(events.size() == 1);
  CHECK(events[0].job == job);
  CHECK(events[0].sha256 == sha256_of(blocks_of('f', 16)));
}

TEST_CASE("several files grow at once, and each block is hashed into its own file") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); }, 4);
  constexpr int kFiles = 6;
  constexpr std::int64_t kBlocks = 40;  // of each file: more than the pool has for all of them
  const testing::MadeUpBytes made_up{kBlocks * kBlock, 7};
  const std::string content = testing::content_text(made_up);

  std::map<HashJobId, Digest> wanted;
  std::vector<HashJobId> jobs;
  std::vector<UniqueFd> files;
  std::vector<std::string> contents;
  for (int i = 0; i < kFiles; ++i) {
    contents.push_back(content);
    contents.back()[static_cast<std::size_t>(i)] = 'x';
    const std::string name = std::to_string(i);
    files.push_back(file_with(folder, name, ""));
    jobs.push_back(hasher.open(*open_for_reading(folder / name), kBlocks * kBlock,
                               DigestKind::sha256, AfterHash::sync_growing));
    wanted.emplace(jobs.back(), sha256_of(contents.back()));
  }

  for (std::int64_t at = 0; at < kBlocks * kBlock; at += kBlock)
    for (std::size_t i = 0; i < kFiles; ++i) {
      const char* begin = contents[i].data() + at;
      Block block(begin, begin + kBlock);
      REQUIRE(write_at(files[i], block, at, "file"));
      hasher.hand_over(jobs[i], at, block);
      hasher.advance(jobs[i], at + kBlock);
    }
  std::map<HashJobId, Digest> found;
  for (const HashEvent& event : waker.take(hasher, kFiles)) found.emplace(event.job, *event.sha256);
  CHECK(found == wanted);
}

TEST_CASE("advancing or cancelling a finished file does no harm") {
  const TemporaryFolder folder;
  Waker waker;
  Hasher hasher([&] { waker.wake(); });
  const auto job =
      hasher.open(file_with(folder, "file", "x"), 1, DigestKind::sha256, AfterHash::nothing);
  hasher.advance(job, 1);
  REQUIRE(waker.take(hasher, 1).size() == 1);
  hasher.advance(job, 1);
  hasher.cancel(job);
  CHECK(hasher.take_all().empty());
}

TEST_CASE("what a hash thread throws is thrown to the owner") {
  const TemporaryFolder folder;
  Waker waker;
  bool has_thrown = false;
  Hasher hasher([&] {
    waker.wake();
    if (!std::exchange(has_thrown, true)) throw std::bad_alloc();
  });
  const HashJobId job =
      hasher.open(file_with(folder, "a", "abc"), 3, DigestKind::sha256, AfterHash::nothing);
  hasher.advance(job, 3);
  CHECK_THROWS_AS(waker.take(hasher, 2), std::bad_alloc);
}

}  // namespace model_prep
