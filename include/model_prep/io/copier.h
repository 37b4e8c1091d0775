// SPDX-License-Identifier: Apache-2.0
// Copies pieces of files of other folders into staging files, on a thread of its own: a slow disk,
// or a server that does not answer, holds up neither the loop nor the network.
//
// The folder's owner is not trusted. A file is opened below the folder without following a link,
// and a pipe is not waited for (`io/directory.h`). It must have the right size when it is opened;
// what it does afterwards, and whether its bytes are right, the digest of the staging file shows.
// Bytes are cloned or copied, so that nothing of the folder is shared with somebody who writes to
// it: never linked.
//
// One owner (the loop thread) calls the functions, which never wait for a disk. Events wait until
// it takes them; `wake` is called on the copying thread when there is one. The thread is started
// with the first file.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "model_prep/base/byte_range.h"
#include "model_prep/core/fetch_plan.h"
#include "model_prep/io/directory.h"

namespace model_prep {

using CopyJobId = std::uint64_t;

struct CopyEvent {
  CopyJobId job{0};
  ByteRange range{};             ///< what is in the target now
  std::optional<Error> error{};  ///< `disk_full`: of the target; otherwise the file is at fault
};

class Copier {
 public:
  explicit Copier(std::function<void()> wake) : wake_(std::move(wake)) {}
  ~Copier();
  Copier(const Copier&) = delete;
  Copier& operator=(const Copier&) = delete;

  /// `from` is to be copied into `target`, and has `size` bytes. Nothing is opened yet. `wanted` is
  /// what errors call the target.
  CopyJobId open(const NearbyFile& from, Bytes size, UniqueFd target, const std::string& wanted);

  /// An event follows, with this range, or all of the file if it `may_clone` and that was possible.
  void copy(CopyJobId job, ByteRange range, bool may_clone);

  /// No event will follow. What is being written at the moment still is.
  void close(CopyJobId job);

  /// Throws what ended the thread, such as `std::bad_alloc`.
  std::vector<CopyEvent> take_all();

 private:
  struct Task {
    NearbyFile from;
    Bytes size;
    UniqueFd target;
    std::string wanted;
    UniqueFd source{};  // of the thread, as everything above while it works on the task
    bool closed{false};
  };
  struct Request {
    CopyJobId job;
    ByteRange range;
    bool may_clone;
  };

  void run();
  void work();
  Status open_source(Task& task);
  CopyEvent carry_out(const Request& request, Task& task);

  std::function<void()> wake_;
  std::map<std::string, Directory> folders_;  // of the thread
  std::mutex mutex_;                          // guards everything below
  std::condition_variable work_;
  std::map<CopyJobId, Task> tasks_;
  std::deque<Request> requests_;
  std::optional<CopyJobId> busy_;  // the task that the thread works on
  std::vector<CopyEvent> events_;
  std::exception_ptr failure_;
  CopyJobId next_{1};
  bool stopping_{false};
  std::thread thread_;  // last: it uses everything above
};

}  // namespace model_prep
