// SPDX-License-Identifier: Apache-2.0
// What to do next, for all files and queries of a run: events in, actions out.
//
// The scheduler decides which task gets a free connection, when another file is started, and when
// the run ends; what happens to one file is in file_task.h, with the table of its states. No clock,
// socket, file or thread: time and chance are arguments. Not thread-safe.
#pragma once

#include <algorithm>
#include <array>

#include "model_prep/base/clock.h"
#include "model_prep/core/file_task.h"

namespace model_prep {

class Scheduler {
 public:
  /// `hosts` is what an earlier scheduler of the run has learned of them.
  Scheduler(SchedulerSettings settings, std::vector<WorkItem> items, HostLimits hosts = {})
      : shared_{.settings = std::move(settings), .hosts = std::move(hosts)} {
    shared_.hosts.probe_given_up();
    for (WorkItem& work : items) tasks_.emplace_back(tasks_.size(), std::move(work), shared_);
  }
  Scheduler(const Scheduler&) = delete;  // the tasks refer to its state

  /// Carry the actions out in order, report each one's result, and call again.
  std::vector<Action> next(TimePoint now);

  /// When to call `next` at the latest: at once after an event, or when a wait is over.
  TimePoint wake_at() const { return shared_.actions.empty() ? shared_.wake : TimePoint::min(); }
  bool finished() const {
    const bool all_started =
        std::ranges::all_of(first_waiting_, [&](ItemId first) { return first == tasks_.size(); });
    return active_.empty() && all_started && shared_.actions.empty();
  }

  void on_lock(ItemId item, LockResult result, TimePoint now) {
    dispatch(now, item, &FileTask::on_lock, result);
  }
  void on_staged(ItemId item, RangeSet have, TimePoint now) {
    dispatch(now, item, &FileTask::on_staged, std::move(have));
  }

  /// A piece of a nearby file is in the staging file, or cannot be had.
  void on_copied(ItemId item, ByteRange range, TimePoint now) {
    dispatch(now, item, &FileTask::on_copied, range);
  }
  void on_not_copied(ItemId item, const Error& error, TimePoint now) {
    dispatch(now, item, &FileTask::on_not_copied, error);
  }

  /// Another process holds the lock, or writes this blob whatever the lock says. `heartbeat`
  /// changes as long as that process lives.
  void on_busy(ItemId item, const std::string& owner, const std::string& heartbeat, TimePoint now) {
    dispatch(now, item, &FileTask::on_busy, owner, heartbeat);
  }

  /// The staging file is no longer ours.
  void on_lost(ItemId item, StagingOwner owner, TimePoint now) {
    dispatch(now, item, &FileTask::on_lost, owner);
  }

  /// The disk does not let this item be fetched.
  void on_failed(ItemId item, const Error& error, TimePoint now) {
    dispatch(now, item, &FileTask::on_failed, error);
  }

  /// Bytes of this transfer are on disk.
  void on_bytes(TransferId id, ByteRange range) {
    Transfer& transfer = shared_.transfers.at(id);
    tasks_[transfer.item].on_bytes(transfer, range);
    // The others need not wait until all of this body is there.
    if (shared_.hosts.outage(transfer.url.origin)) record_answer(transfer, false);
  }
  void on_end(const TransferEnd& end, TimePoint now, double jitter);
  void on_hash(ItemId item, const HashResult& result, TimePoint now);
  void on_published(ItemId item, TimePoint now) { dispatch(now, item, &FileTask::on_published); }

  /// Cancels everything that is left, with this error: a signal, a full disk, or another fault of
  /// the whole run.
  void stop(const Error& why, TimePoint now);

  /// What a running transfer requested: its sink checks the response's head against it.
  PayloadRequest payload_request(TransferId id) const {
    const Transfer& transfer = shared_.transfers.at(id);
    return tasks_[transfer.item].payload_request(transfer);
  }

  /// The bytes that a running transfer may write.
  ByteRange range_of(TransferId transfer) const { return shared_.transfers.at(transfer).range; }

  /// The first bytes of `range` that a running transfer must write: others are on disk already.
  std::optional<ByteRange> missing(TransferId transfer, ByteRange range) const {
    return have(shared_.transfers.at(transfer).item)->gap(range.begin, range.end);
  }

  /// Whether it was neither ended nor cancelled.
  bool running(TransferId transfer) const { return shared_.transfers.contains(transfer); }

  /// Whether the item still needs the staging that it requested.
  bool awaits_staging(ItemId item) const { return tasks_[item].awaits_staging(); }

  /// What of the item is on disk; null while it is not staged.
  const RangeSet* have(ItemId item) const { return tasks_[item].have(); }

  /// The items in progress at the last event, for the progress display.
  std::vector<ActiveFile> active_files() const {
    std::vector<ActiveFile> files;
    for (const ItemId id : active_) files.push_back(tasks_[id].progress());
    return files;
  }
  int retries() const { return shared_.retries; }
  std::int64_t requests() const { return shared_.requests; }
  const HostLimits& hosts() const { return shared_.hosts; }

 private:
  /// Files that have a file nearby need no connection at first, so they are started on their own.
  enum class Lane : std::uint8_t { network, copying };

  template <class Event, class... Arguments>
  void dispatch(TimePoint now, ItemId item, Event event, Arguments&&... arguments) {
    begin_event(now);
    (tasks_[item].*event)(std::forward<Arguments>(arguments)...);
    settle(item);
  }
  void begin_event(TimePoint now) {
    shared_.now = now;
    shared_.wake = TimePoint::min();
  }
  void record_answer(const Transfer& transfer, bool redirects) {
    shared_.hosts.on_answer(transfer.url.origin, transfer.context.of_hub, redirects, transfer.sent,
                            shared_.now);
  }
  void settle(ItemId item);
  void drop_model(std::size_t model, const Error& error);
  Error deadline_passed() const;
  void start_items();
  bool start_next(Lane lane);
  void fill_connections();
  void announce_window();

  SchedulerState shared_;
  std::vector<FileTask> tasks_;
  std::set<ItemId> active_;                // neither waiting nor done
  std::array<ItemId, 2> first_waiting_{};  // of each lane: all before it were started or dropped
  std::set<std::size_t> failed_models_;
  bool stopping_{false};
};

}  // namespace model_prep
