// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/parallel_hash.h"

#include <algorithm>
#include <array>
#include <numeric>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "model_prep/io/hasher.h"

namespace model_prep {
namespace {

/// Progress is reported at least this often.
constexpr auto kMaxWait = std::chrono::milliseconds(200);

/// Open files for each thread: enough that small files never leave a thread without work while this
/// loop opens the next ones.
constexpr std::size_t kOpenFilesPerThread = 4;

class ParallelHash {
 public:
  ParallelHash(std::span<const HashRequest> requests, const HashCallbacks& callbacks)
      : requests_(requests),
        callbacks_(callbacks),
        queue_(requests.size()),
        results_{.files = std::vector<HashResult>(requests.size())} {
    if (!wakeup_) throw FatalError(io_error("create", "an eventfd", errno));

    // Taken from the end: the largest file first.
    std::iota(queue_.begin(), queue_.end(), std::size_t{0});
    std::ranges::stable_sort(queue_, {}, [&](std::size_t i) { return requests[i].size; });
  }

  HashResults run(const SignalFd& signals, TimePoint deadline) {
    for (open_files(); !open_.empty(); open_files()) {
      wait(signals);
      take_results();

      const TimePoint now = Clock::now();
      show_progress(now);
      results_.signal = signals.read();
      results_.deadline_passed = now >= deadline;
      if (results_.signal || results_.deadline_passed) break;
    }
    return std::move(results_);
  }

 private:
  /// Returns after a hash event, a signal or `kMaxWait`.
  void wait(const SignalFd& signals) const {
    std::array<pollfd, 2> events = {pollfd{wakeup_.get(), POLLIN, 0},
                                    pollfd{signals.get(), POLLIN, 0}};
    poll(events.data(), events.size(), static_cast<int>(kMaxWait.count()));

    eventfd_t count = 0;
    eventfd_read(wakeup_.get(), &count);
  }

  void open_files() {
    while (!queue_.empty() && open_.size() < kOpenFilesPerThread * threads_) {
      const std::size_t index = queue_.back();
      queue_.pop_back();
      const HashRequest& request = requests_[index];

      auto fd = open_for_reading(request.path);
      if (!fd) {
        set_result(index, {.error = fd.error()});
        continue;
      }

      const HashJobId job =
          hasher_.open(std::move(*fd), request.size, request.kind, AfterHash::nothing);
      open_.emplace(job, index);
      hasher_.advance(job, request.size);
    }
  }

  void take_results() {
    for (const HashEvent& event : hasher_.take_all()) {
      const auto request = open_.find(event.job);
      set_result(request->second, event);
      open_.erase(request);
    }
  }

  void set_result(std::size_t index, HashResult result) {
    callbacks_.on_result(index, !result.error);
    results_.files[index] = std::move(result);
  }

  void show_progress(TimePoint now) {
    std::vector<ActiveFile> active;
    for (const auto& [job, index] : open_)
      active.push_back(
          {.index = index, .activity = Activity::verifying, .done = hasher_.progress(job)});
    callbacks_.on_progress(active, now);
  }

  const std::span<const HashRequest> requests_;
  const HashCallbacks& callbacks_;
  std::vector<std::size_t> queue_;
  std::map<HashJobId, std::size_t> open_;  // to the index of the request
  HashResults results_;

  const std::size_t threads_ = processors();
  const UniqueFd wakeup_{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  Hasher hasher_{[this] { eventfd_write(wakeup_.get(), 1); },
                 threads_};  // last: its threads use the wakeup
};

}  // namespace

HashResults hash_files(std::span<const HashRequest> requests, const SignalFd& signals,
                       TimePoint deadline, const HashCallbacks& callbacks) {
  return ParallelHash(requests, callbacks).run(signals, deadline);
}

}  // namespace model_prep
