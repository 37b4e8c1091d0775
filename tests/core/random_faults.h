// SPDX-License-Identifier: Apache-2.0
// Runs the scheduler in virtual time through random faults of network, disk, hash thread and locks,
// and checks its invariants. The first violation ends the run.
#pragma once

#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/builders.h"
#include "model_prep/core/scheduler.h"

namespace model_prep::testing {

class RandomFaults {
 public:
  /// Several hubs, of which the last one never fails.
  enum class Hubs { any, last_is_good };
  explicit RandomFaults(unsigned seed, Hubs hubs = Hubs::any);
  /// Empty, or the invariant that was violated.
  std::string run();

  // Counts, so that a test can check that faults did occur.
  int fetched{0};
  int reused{0};
  int failed{0};
  int cancelled{0};
  int copied{0};
  std::int64_t events{0};

 private:
  struct Transfer {
    ItemId item;
    Url url;
    std::size_t endpoint;
  };
  struct Disk {
    RangeSet bytes;   ///< of the staging file
    RangeSet record;  ///< the ranges in the resume record
    std::int64_t hash_at{0};
    bool hash_ended{false};  ///< with a digest or an error: it reports nothing more
    std::optional<HashResult> hashed;
    bool open{false};
    int finished{0};
    TimePoint locked_until;
    bool blob_exists{false};
    TimePoint not_before{TimePoint::min()};
    bool tainted{false};  ///< may contain bytes of a hub that sends wrong ones
    int copies{0};        ///< begun: only the last one of the present staging counts
    bool copying{false};
    int windows{0};  ///< redirects with an exhausted rate limit since the last byte
  };
  struct Event {
    enum class What { bytes, end, hash, copy } what;
    TransferId transfer{0};
    ByteRange range{};
    TransferEnd end{};
    ItemId item{0};
    HashResult answer{};
    int ticket{0};
  };
  struct Embargo {
    TimePoint since;
    TimePoint until;
    TimePoint refused_until;
  };

  /// A fault of this hub or of its payload host.
  bool fails(const StartTransfer& at, double probability) {
    const bool at_good =
        hubs_ == Hubs::last_is_good && at.url.origin == settings_.endpoints.back().origin;
    return !is_good(at.endpoint) && !at_good && chance(probability);
  }
  bool is_good(std::size_t endpoint) const {
    return hubs_ == Hubs::last_is_good && endpoint + 1 == settings_.endpoints.size();
  }
  bool chance(double probability) {
    return std::uniform_real_distribution<double>(0, 1)(random_) < probability;
  }
  std::int64_t pick(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  std::chrono::milliseconds milliseconds(std::int64_t low, std::int64_t high) {
    return std::chrono::milliseconds(pick(low, high));
  }
  void broken(const std::string& promise) {
    if (fault_.empty()) fault_ = promise;
  }

  std::vector<WorkItem> make_items();
  SchedulerSettings make_settings();
  void drive();
  void deliver(const Event& event);
  void deliver_copy(const Event& event);
  void later(Duration delay, Event event) { events_.emplace(now_ + delay, std::move(event)); }

  void execute(const CheckExisting& action);
  void execute(const TryLock& action);
  void execute(const OpenStaging& action);
  void execute(const CopyNearby& action);
  void execute(const StartTransfer& action);
  void execute(const CancelTransfer& action);
  void execute(const HashTo& action);
  void execute(const SaveResume& action);
  void execute(const Publish& action);
  void execute(const Close& action);
  void execute(const Finish& action);
  void execute(const Notice& action);

  void answer_of_hub(const StartTransfer& action);
  void answer_of_payload_host(const StartTransfer& action);
  void send_body(const StartTransfer& action, bool may_break);
  ResponseHead temporary_refusal(const std::string& origin);
  void end_later(TransferId id, Duration delay, ResponseHead head, std::optional<Error> error = {});
  void unreached(TransferId id, Duration delay);
  HashResult hash_answer(ItemId item, double right);
  void on_end(const TransferEnd& end);

  std::mt19937 random_;
  Hubs hubs_;
  double fault_rate_;  ///< 0: no faults
  TimePoint now_{kStart};
  std::set<std::size_t> dead_;  ///< unreachable endpoints; chosen with the settings
  SchedulerSettings settings_;
  std::vector<WorkItem> items_;
  Scheduler scheduler_;
  std::vector<Disk> disks_;
  std::multimap<TimePoint, Event> events_;
  std::map<TransferId, Transfer> running_;
  std::map<std::string, Embargo> embargoes_;
  std::map<ItemId, int> tickets_;
  std::set<TransferId> heard_;  ///< may continue although its host's window is exhausted
  bool stopped_{false};
  std::optional<TimePoint> stop_at_;
  std::string fault_;
};

}  // namespace model_prep::testing
