// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/parallel_hash.h"

#include <filesystem>
#include <fstream>

#include "model_prep/io/hasher.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

namespace model_prep {
namespace {

using testing::TemporaryFolder;

/// Files of many sizes, each with its own content.
struct Files {
  explicit Files(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      contents.emplace_back((i % 7) * 100'000 + i, static_cast<char>('a' + i % 26));
      const std::string path = folder / std::to_string(i);
      std::ofstream(path) << contents.back();
      requests.push_back({path, static_cast<Bytes>(contents.back().size()), DigestKind::git_sha1});
    }
  }

  TemporaryFolder folder;
  std::vector<std::string> contents;
  std::vector<HashRequest> requests;
};

constexpr auto kIgnoreProgress = [](std::span<const ActiveFile>, TimePoint) {};

}  // namespace

TEST_CASE("every file is hashed, with its result in the place of its request") {
  const Files files(60);
  const SignalFd signals;
  std::vector<int> reported(files.requests.size());
  const HashResults results = hash_files(
      files.requests, signals, TimePoint::max(),
      {[&](std::size_t request, bool succeeded) { reported[request] += succeeded ? 1 : 100; },
       kIgnoreProgress});

  CHECK(std::ranges::all_of(reported, [](int times) { return times == 1; }));
  CHECK_FALSE(results.signal);
  for (std::size_t i = 0; i < files.contents.size(); ++i) {
    CHECK(results.files[i].sha256 == sha256_of(files.contents[i]));
    CHECK(results.files[i].git_sha1 == git_sha1_of(files.contents[i]));
  }
}

TEST_CASE("a file that cannot be opened or became shorter is an error of that file alone") {
  const Files files(4);
  std::filesystem::remove(files.requests[1].path);
  std::filesystem::resize_file(files.requests[2].path, 1);
  const SignalFd signals;
  const HashResults results =
      hash_files(files.requests, signals, TimePoint::max(), {[](auto, auto) {}, kIgnoreProgress});

  CHECK(results.files[0].sha256);
  CHECK(results.files[1].error);
  CHECK(results.files[2].error);
  CHECK(results.files[3].sha256);
}

TEST_CASE("hashing stops at the deadline and tells so") {
  const Files files(60);
  const SignalFd signals;
  const HashResults results =
      hash_files(files.requests, signals, Clock::now(), {[](auto, auto) {}, kIgnoreProgress});

  CHECK(results.deadline_passed);
  CHECK_FALSE(std::ranges::all_of(results.files,
                                  [](const HashResult& file) { return file.sha256.has_value(); }));
}

}  // namespace model_prep
