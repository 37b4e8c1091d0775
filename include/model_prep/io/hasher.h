// SPDX-License-Identifier: Apache-2.0
// Hash threads: read files back below their watermark while they still grow, and sync them when
// they are complete.
//
// The bytes were written a moment ago and are still in the page cache, so that the network never
// waits for the hash and nothing is buffered in memory. One owner (the loop thread) calls the
// functions. Events wait in a mailbox until it takes them; `wake` is called on a hash thread when
// there is one. `cancel` returns at once, because the threads check for it between blocks of 1 MiB.
// Only one thread at a time works on a file.
//
// Each result has the size and time of the open file when its hash ended (`FileStamp`): whatever is
// done to the file from then on changes them. A complete file that was changed while it was hashed
// has none. In a file that still grows, our own writes hide such a change.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "model_prep/core/digest_check.h"
#include "model_prep/io/posix.h"

struct evp_md_ctx_st;  // of OpenSSL

namespace model_prep {

/// Digests of bytes in memory.
Digest sha256_of(std::string_view bytes);
Digest git_sha1_of(std::string_view bytes);

/// The digest of bytes that come one piece after the other.
class RunningDigest {
 public:
  /// A git sha1 is that of `size` bytes.
  RunningDigest(DigestKind kind, Bytes size);

  void update(std::string_view bytes);
  Digest finish();

 private:
  struct FreeContext {
    void operator()(evp_md_ctx_st* context) const noexcept;
  };

  DigestKind kind_;
  std::unique_ptr<evp_md_ctx_st, FreeContext> context_;
};

using HashJobId = std::uint64_t;

enum class AfterHash : std::uint8_t {
  nothing,       ///< of a complete file
  sync,          ///< of a complete file
  sync_growing,  ///< of a file that our own writes change meanwhile
};

/// `git_sha1` only if that kind was requested.
struct HashEvent : HashResult {
  HashJobId job{0};
};

class Hasher {
 public:
  /// Starts one thread, and others when files are opened: as many as files, at most `threads`.
  explicit Hasher(std::function<void()> wake, std::size_t threads = processors());
  ~Hasher();

  /// Starts a file of `size` bytes; nothing is read before `advance`. `kind` is the digest that
  /// names its blob; sha256 is always computed.
  HashJobId open(UniqueFd fd, Bytes size, DigestKind kind, AfterHash after);

  /// Bytes below `watermark` may be read. At `size` the file is finished and its event follows.
  void advance(HashJobId job, Bytes watermark);

  /// No event will follow.
  void cancel(HashJobId job);

  /// Throws what a hash thread threw, such as `std::bad_alloc`.
  std::vector<HashEvent> take_all();

  /// Bytes read so far of an open file, for the display.
  Bytes progress(HashJobId job);

 private:
  struct Task;
  void start_thread();
  void run();
  void work();
  Task* ready();

  std::function<void()> wake_;
  std::mutex mutex_;  // guards everything below
  std::size_t max_threads_;
  std::condition_variable work_;
  std::map<HashJobId, std::unique_ptr<Task>> tasks_;
  std::vector<HashEvent> events_;
  std::exception_ptr failure_;  // what ended a thread
  HashJobId next_{1};
  bool stopping_{false};
  std::vector<std::thread> threads_;  // last: they use everything above
};

}  // namespace model_prep
