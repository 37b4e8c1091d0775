// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/parallel_hash.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <thread>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "model_prep/io/hasher.h"

namespace model_prep {
namespace {

constexpr auto kLongestWait =
    std::chrono::milliseconds(200);  // the live lines move five times a second

/// What the hash threads ring and the waiting thread hears, beside signals.
class WakeupFd {
 public:
  WakeupFd() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (!fd_) throw FatalError(io_error("make", "an eventfd", errno));
  }
  void ring() const { eventfd_write(fd_.get(), 1); }
  void wait(const SignalFd& signals) const {
    std::array<pollfd, 2> heard = {pollfd{fd_.get(), POLLIN, 0}, pollfd{signals.get(), POLLIN, 0}};
    poll(heard.data(), heard.size(), static_cast<int>(kLongestWait.count()));
    eventfd_t rings = 0;
    eventfd_read(fd_.get(), &rings);
  }

 private:
  UniqueFd fd_;
};

}  // namespace

HashResults hash_files(std::span<const HashRequest> orders, const SignalFd& signals,
                       Observer& observer, TimePoint deadline) {
  HashResults result{.answers = std::vector<HashResult>(orders.size())};
  std::vector<std::size_t> queue(orders.size());  // from the back
  std::iota(queue.begin(), queue.end(), std::size_t{0});
  std::stable_sort(queue.begin(), queue.end(),
                   [&](std::size_t a, std::size_t b) { return orders[a].size < orders[b].size; });
  ProgressPlan work;
  for (const HashRequest& order : orders) work.files.push_back({.bytes = order.size, .models = {}});

  const WakeupFd bell;
  const std::size_t threads = std::max(1U, std::thread::hardware_concurrency());
  Hasher hasher([&] { bell.ring(); }, threads);
  std::map<HashJobId, std::size_t> open;
  observer.planned(std::move(work), Clock::now());
  while (!queue.empty() || !open.empty()) {
    while (!queue.empty() &&
           open.size() < 4 * threads) {  // enough for small files not to wait for this loop
      const std::size_t index = queue.back();
      queue.pop_back();
      auto fd = open_for_reading(orders[index].path);
      if (!fd) {
        result.answers[index].error = fd.error();
        observer.file_done(index, FileEnd::given_up, 0);
        continue;
      }
      const HashJobId ticket =
          hasher.open(std::move(*fd), orders[index].size, orders[index].kind, AfterHash::nothing);
      open.emplace(ticket, index);
      hasher.advance(ticket, orders[index].size);
    }
    if (open.empty()) break;
    bell.wait(signals);
    for (HashEvent& event : hasher.take_all()) {
      const auto at = open.find(event.ticket);
      result.answers[at->second] = {
          .sha256 = event.sha256, .git_sha1 = event.git_sha1, .error = event.error};
      observer.file_done(at->second, event.error ? FileEnd::given_up : FileEnd::ready, 0);
      open.erase(at);
    }
    const TimePoint now = Clock::now();
    if (now >= observer.due()) {
      std::vector<ActiveFile> active_files;
      active_files.reserve(open.size());
      for (const auto& [ticket, index] : open)
        active_files.push_back(
            {.file = index, .activity = Activity::verifying, .done = hasher.progress(ticket)});
      observer.show(active_files, 0, now);
    }
    result.signal = signals.read();
    result.out_of_time = now >= deadline;
    if (result.signal) signals.exit_immediately_on_next_signal();
    if (result.signal || result.out_of_time) break;
  }
  observer.finished();
  return result;
}

}  // namespace model_prep
