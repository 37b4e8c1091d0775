// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/scheduler.h"

namespace model_prep {
namespace {

constexpr std::size_t kMaxLockWaits = 64;  // each is polled four times a second
// Files open at once: some transfer, some wait for the hash thread.
constexpr std::size_t kOpenPerConnection = 4;
// Files that are copied at once: one is read, others wait for locks or for their turn.
constexpr std::size_t kMaxCopies = 8;

}  // namespace

std::vector<Action> Scheduler::next(TimePoint now) {
  shared_.now = now;
  shared_.wake = TimePoint::max();
  const auto& deadline = shared_.settings.deadline;
  if (!stopping_ && deadline && now >= *deadline) stop(deadline_passed(), now);

  if (!stopping_) {
    fill_connections();
    start_items();
    fill_connections();  // queries that were just started
    announce_window();
    for (const ItemId id : active_) tasks_[id].poll_lock();
    for (const ItemId id : active_) tasks_[id].save_resume_if_due();
    if (deadline) shared_.wake_by(*deadline);
  }
  return std::exchange(shared_.actions, {});
}

/// If everything waits for hosts that are down, it names one of them.
Error Scheduler::deadline_passed() const {
  std::string host;
  for (const ItemId id : active_) {
    host = tasks_[id].awaited_host();
    if (host.empty()) break;
  }

  Error error{ErrorKind::deadline, "the run's deadline has passed",
              "allow more time with --deadline; the next run resumes"};
  if (const auto* outage = shared_.hosts.outage(host)) {
    error.message += ": " + describe_outage(host, outage->cause);
    error.hint = hint_of_outage(outage->cause) + "; or " + error.hint;
  }
  return error;
}

/// A file is started when a connection has nothing else to do. Files that wait for another
/// process's lock or for their back-off do not keep a connection busy; one that is being opened
/// counts as busy.
void Scheduler::start_items() {
  std::size_t busy = shared_.transfers.size();
  std::size_t lock_waits = 0;
  std::size_t copying = 0;
  for (const ItemId id : active_) {
    const FileTask& task = tasks_[id];
    if (task.waits_for_lock())
      ++lock_waits;
    else if (task.copies())
      ++copying;
    else if (task.starting())
      ++busy;
  }
  if (lock_waits >= kMaxLockWaits) return;

  std::size_t open = active_.size() - lock_waits - copying;
  const auto connections = static_cast<std::size_t>(shared_.settings.connections);
  const std::size_t most_open = connections * kOpenPerConnection;
  for (; busy < connections && open < most_open && start_next(Lane::network); ++busy) ++open;

  // What was copied is open until it is verified.
  while (copying < kMaxCopies && open + copying < most_open + kMaxCopies &&
         start_next(Lane::copying))
    ++copying;
}

/// False if none is left.
bool Scheduler::start_next(Lane lane) {
  ItemId& next = first_waiting_[static_cast<std::size_t>(lane)];
  while (next < tasks_.size()) {
    const ItemId id = next++;
    FileTask& task = tasks_[id];
    if (!task.waiting() || task.copies() != (lane == Lane::copying)) continue;  // or dropped
    task.start();
    active_.insert(id);
    return true;
  }
  return false;
}

void Scheduler::fill_connections() {
  if (shared_.hosts.any_given_up())
    for (const ItemId id : std::vector(active_.begin(), active_.end())) {
      tasks_[id].leave_lost_hosts();
      settle(id);
    }

  const auto connections = static_cast<std::size_t>(shared_.settings.connections);
  for (const ItemId id : active_)
    while (shared_.transfers.size() < connections && tasks_[id].start_transfer()) {
    }
}

/// A window may last for minutes, in which nothing else happens.
void Scheduler::announce_window() {
  const bool is_waiting = shared_.transfers.empty() && shared_.actions.empty();
  if (!is_waiting || !shared_.hosts.any_window_unannounced(shared_.now)) return;

  for (const ItemId id : active_)
    if (tasks_[id].announce_window()) return;
}

void Scheduler::on_hash(ItemId item, const HashResult& result, TimePoint now) {
  begin_event(now);
  // A file that cannot be read is hashed no further, so nothing else will be reported of it.
  const bool expected = result.error ? tasks_[item].is_hashed() : tasks_[item].awaits_hash();
  if (!expected) return;
  dispatch(now, item, &FileTask::on_hash, result);
  // A file that cannot be read or synced means the disk, and that concerns the whole run.
  if (result.error && tasks_[item].done()) stop(*result.error, now);
}

void Scheduler::on_end(const TransferEnd& end, TimePoint now, double jitter) {
  begin_event(now);
  shared_.jitter = jitter;
  auto ended = shared_.transfers.extract(end.id);
  if (ended.empty()) return;  // it was cancelled meanwhile
  const Transfer& transfer = ended.mapped();
  const ItemId item = transfer.item;

  if (auto limit = parse_rate_limit(end.head.rate_limit)) {
    // `Retry-After` may demand more than the window of the rate limit.
    if (limit->remaining == 0)
      limit->reset = std::max(limit->reset, server_wait(end.head) - std::chrono::seconds(1));
    shared_.hosts.on_rate_limit(transfer.url.origin, tasks_[item].bucket(), transfer.number, *limit,
                                now);
  }
  if (end.head.status != 0) shared_.hosts.mark_reachable(transfer.url.origin);
  if (end.head.status != 0 && end.head.status < 500)
    record_answer(transfer, end.head.redirect.has_value());

  if (end.error && disposition(end.error->kind) == Disposition::abort_run)
    return stop(*end.error, now);
  dispatch(now, item, &FileTask::on_end, end.id, std::move(ended.mapped()), end);
}

/// Takes note if the task has ended.
void Scheduler::settle(ItemId id) {
  const FileTask& task = tasks_[id];
  if (!task.done() || active_.erase(id) == 0) return;

  // A file that could not be fetched now says nothing about the other files of its models.
  if (!task.failure() || disposition(*task.failure()) != Disposition::fail_item) return;
  for (const std::size_t model : task.models()) drop_model(model, *task.failure());
}

/// The model cannot succeed any more: items that only it wants are not started. Those in progress
/// go on, for the next run.
void Scheduler::drop_model(std::size_t model, const Error& error) {
  if (!failed_models_.insert(model).second) return;
  for (FileTask& task : tasks_) {
    const auto& models = task.models();
    const bool useless = std::ranges::all_of(
        models, [&](std::size_t other) { return failed_models_.contains(other); });
    if (task.waiting() && useless && !models.empty())
      task.finish(FileStatus::cancelled, Error{error.kind, "not started: " + error.message});
  }
}

void Scheduler::stop(const Error& why, TimePoint now) {
  if (stopping_) return;
  stopping_ = true;
  shared_.now = now;
  shared_.notice(LogLevel::error, why.message);
  if (!why.hint.empty()) shared_.notice(LogLevel::error, "hint: " + why.hint);
  for (FileTask& task : tasks_) task.finish(FileStatus::cancelled, why);
  active_.clear();
  first_waiting_.fill(tasks_.size());
}

}  // namespace model_prep
