// SPDX-License-Identifier: Apache-2.0
// Hash threads: read files back behind their watermark while they still grow, and sync them when
// they are whole.
//
// The bytes it reads were written a moment ago and are still in the page cache, so the network
// never waits for the hash and nothing is kept in memory. One owner (the loop thread) calls the
// functions; the answers lie in a mailbox until it takes them, and `wake` is called from a hash
// thread when there is one. Cancelling returns at once; the threads look between blocks of 1 MiB. A
// file is one thread's at a time, whichever takes it next.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "model_prep/base/digest.h"
#include "model_prep/base/error.h"
#include "model_prep/io/posix.h"

namespace model_prep {

/// The digests of bytes that are at hand.
Digest sha256_of(std::string_view bytes);
Digest git_sha1_of(std::string_view bytes);

using HashJobId = std::uint64_t;

enum class AfterHash : std::uint8_t { nothing, sync };

struct HashEvent {
  HashJobId ticket{0};
  std::optional<Digest> sha256;
  std::optional<Digest> git_sha1;  ///< only if it was asked for
  std::optional<Error> error;
};

class Hasher {
 public:
  /// One thread is right beside a download: the loop has the other core (`io/parallel_hash.h`
  /// has more).
  explicit Hasher(std::function<void()> wake, std::size_t threads = 1);
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  /// Begins a file of `size` bytes. Nothing is read before `advance`. `kind` is the digest that
  /// names its blob; sha256 is computed in any case.
  HashJobId open(UniqueFd fd, std::int64_t size, DigestKind kind, AfterHash after);
  /// Every byte below `watermark` may be read. At `size` the file is finished and its event comes.
  void advance(HashJobId ticket, std::int64_t watermark);
  /// No event comes any more.
  void cancel(HashJobId ticket);
  std::vector<HashEvent> take_all();
  /// Bytes read so far of a file that is open, for those who show it.
  std::int64_t progress(HashJobId ticket);

 private:
  struct Task;
  void run();
  Task* ready();
  void step(Task& task, std::unique_lock<std::mutex>& lock, std::span<char> block);

  std::function<void()> wake_;
  std::mutex mutex_;  // guards all below
  std::condition_variable work_;
  std::map<HashJobId, std::unique_ptr<Task>> tasks_;
  std::vector<HashEvent> events_;
  HashJobId next_{1};
  bool stopping_{false};
  std::vector<std::thread> threads_;  // last: they use all above
};

}  // namespace model_prep
