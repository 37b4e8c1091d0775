// SPDX-License-Identifier: Apache-2.0
// Hash threads: hash files below their watermark while they still grow, and sync them when they are
// complete. Several files at a time; only one thread at a time works on a file.
//
// Bytes come to the hash in two ways. What was written a moment ago is read back from the page
// cache, so that the network never waits for the hash. Or the very block that was written is handed
// over, which saves reading it. Such blocks are the pool's, at most 4 MiB in all; what finds no
// room there, because the hash is slower, is read back.
//
// What a digest proves: bytes that were read back were in the file at that moment. Bytes of a block
// that was handed over had been taken by pwrite, all of them, so they are in the file too, unless
// somebody else wrote to the same place in between or the file system lies. Reading back shows the
// first only until the hash has passed that place, and the second only where it does not read the
// page cache. So a block may be handed over only if nobody else has reason to write to the file and
// it has a page cache (`Staging::is_ours_alone`). The check of size and identity before a file is
// published, and the stamps, are of the file and do not depend on this.
//
// One owner (the loop thread) calls the functions, which never wait for a hash. Events wait in a
// mailbox until it takes them; `wake` is called on a hash thread when there is one. `cancel`
// returns at once, because the threads check for it after each MiB.
//
// Each result has the size and time of the open file when its hash ended (`FileStamp`): whatever is
// done to the file from then on changes them. A complete file that was changed while it was hashed
// has none. In a file that still grows, our own writes hide such a change.
//
// A file that grew gets a time in whole seconds when it is complete: layers of images and many
// archives and copies keep no more, and the time in a record must match there too.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

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

/// Bytes on their way to a file.
using Block = std::vector<char>;
inline constexpr std::size_t kBlockSize = 128 * 1024;  // fits into the second-level cache

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

  /// `block` was written at `offset`, and every byte of the file before it is on disk. Takes the
  /// bytes if the hash has not passed them and the pool has room. They are hashed after `advance`.
  /// Leaves an empty block to be filled next. The capacity of a block is `kBlockSize`.
  void hand_over(HashJobId job, Bytes offset, Block& block);

  /// No event will follow.
  void cancel(HashJobId job);

  /// Throws what a hash thread threw, such as `std::bad_alloc`.
  std::vector<HashEvent> take_all();

  /// Bytes read so far of an open file, for the display.
  Bytes progress(HashJobId job);

 private:
  struct Task;
  struct Written {
    Bytes offset{0};
    Block block;
    Bytes end() const { return offset + static_cast<Bytes>(block.size()); }
  };
  using Blocks = std::list<Written>;  // a block moves from list to list without an allocation

  void start_thread();
  void run();
  void work();
  Task* ready();
  Task* wait_for_task(std::unique_lock<std::mutex>& lock);
  void call_one();
  bool has_free_block();

  std::function<void()> wake_;
  std::mutex mutex_;  // guards everything below
  std::size_t max_threads_;
  std::condition_variable work_;
  std::map<HashJobId, std::unique_ptr<Task>> tasks_;
  Blocks free_;                 // of the pool
  std::size_t pool_blocks_{0};  // free or with bytes
  std::vector<HashEvent> events_;
  std::exception_ptr failure_;  // what ended a thread
  HashJobId next_{1};
  bool stopping_{false};
  std::size_t awake_{0};              // threads that will look for another task soon
  bool called_{false};                // a thread was woken and has not looked yet
  std::vector<std::thread> threads_;  // last: they use everything above
};

}  // namespace model_prep
