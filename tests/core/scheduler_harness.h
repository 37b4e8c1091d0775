// SPDX-License-Identifier: Apache-2.0
// Drives a scheduler by hand: the test advances the time, sees every action, and responds to each
// in one short call.
//
//   SchedulerHarness play({file(100)});
//   play.to_moving(0);                       // lock, staging, and the transfers that start
//   play.answer(play.one<StartTransfer>());  // all its bytes, then its end
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "core/builders.h"
#include "model_prep/core/scheduler.h"

namespace model_prep::testing {

constexpr const char* kHub = "https://hub.example";
constexpr const char* kMirror = "https://mirror.example";
constexpr const char* kCdn = "https://cdn.example";

inline WorkItem file(std::int64_t size, char digit = 'a') {
  return {.context = {.object = "org/name file", .repo = "org/name"},
          .sources = {{0, url("https://hub.example/file")}},
          .blob = BlobSpec{sha256(digit), size}};
}

inline WorkItem query() {
  return {.context = {.object = "org/name", .repo = "org/name"},
          .sources = {{0, url("https://hub.example/api")}}};
}

inline SchedulerSettings settings(int connections = 2) {
  SchedulerSettings settings;
  settings.connections = connections;
  settings.endpoints = {{kHub, kHub, TokenUse::sent}};
  settings.retry.max_failures = 3;
  return settings;
}

/// The head of a correct response with these bytes.
inline ResponseHead right_head(const PayloadRequest& asked) {
  if (!asked.range) return head(200);
  ResponseHead answer = head(206);
  answer.content_range = "bytes " + std::to_string(asked.range->begin) + "-" +
                         std::to_string(asked.range->end - 1) + "/" +
                         std::to_string(asked.blob.size);
  return answer;
}

struct SchedulerHarness {
  Scheduler scheduler;
  TimePoint now{kStart};
  std::vector<Action> actions{};  ///< of the last step

  explicit SchedulerHarness(std::vector<WorkItem> items, const SchedulerSettings& with = settings())
      : scheduler(with, std::move(items)) {}

  void step(Duration later = {}) {
    now += later;
    actions = scheduler.next(now);
  }

  template <class T>
  std::vector<T> all() const {
    std::vector<T> found;
    for (const Action& action : actions)
      if (const T* one = std::get_if<T>(&action)) found.push_back(*one);
    return found;
  }
  template <class T>
  bool has() const {
    return !all<T>().empty();
  }
  template <class T>
  T one() const {
    const auto found = all<T>();
    if (found.size() != 1) throw std::runtime_error("not exactly one such action");
    return found.front();
  }
  bool notice(const std::string& words) const {
    for (const Notice& notice : all<Notice>())
      if (notice.text.find(words) != std::string::npos) return true;
    return false;
  }

  void to_locking() { step(); }
  void to_moving(ItemId item, RangeSet have = {}) {
    step();
    scheduler.on_lock(item, LockResult::acquired, now);
    staged(item, std::move(have));
  }
  /// Carries out OpenStaging; afterwards `actions` has the transfers that start.
  void staged(ItemId item, RangeSet have = {}) {
    step();
    one<OpenStaging>();
    scheduler.on_staged(item, std::move(have), now);
    step();
  }

  void bytes(TransferId id) { scheduler.on_bytes(id, scheduler.range_of(id)); }
  void end(TransferId id, const ResponseHead& with, double jitter = 1.0) {
    scheduler.on_end({.id = id, .head = with, .refused = false, .error = {}}, now, jitter);
  }
  void fault(TransferId id, ErrorKind kind = ErrorKind::network, double jitter = 1.0) {
    scheduler.on_end(
        {.id = id, .head = {}, .refused = false, .error = Error{kind, "connection reset", {}}}, now,
        jitter);
  }
  void answer(const StartTransfer& transfer) {
    const ResponseHead with = right_head(scheduler.payload_request(transfer.id));
    bytes(transfer.id);
    end(transfer.id, with);
  }
  /// From a single whole transfer to the state `verifying`.
  void to_verifying(ItemId item) {
    to_moving(item);
    answer(one<StartTransfer>());
    step();
  }
  void hashed(ItemId item, char digit) {
    scheduler.on_hash(item, {.sha256 = sha256(digit), .git_sha1 = {}, .error = {}}, now);
    step();
  }
  void unreadable(ItemId item) {
    const Error error{ErrorKind::io, "cannot read", {}};
    scheduler.on_hash(item, {.sha256 = {}, .git_sha1 = {}, .error = error}, now);
    step();
  }
};

}  // namespace model_prep::testing
