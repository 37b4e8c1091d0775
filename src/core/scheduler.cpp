// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/scheduler.h"

#include <algorithm>

#include <fmt/format.h>

namespace model_prep {
namespace {

constexpr auto kBeatEvery =
    std::chrono::seconds(2);                     // without news: the sign of life of `resume.h`
constexpr std::int64_t kHashStep = 1024 * 1024;  // one wake-up of the hash thread per MiB
constexpr std::size_t kMostLockWaits = 64;       // each is looked at four times a second
constexpr std::size_t kOpenPerConnection =
    4;  // files open at once: some move, some wait for the hash thread

}  // namespace

Scheduler::Scheduler(SchedulerSettings settings, std::vector<WorkItem> items, HostLimits hosts)
    : settings_(std::move(settings)), hosts_(std::move(hosts)) {
  for (WorkItem& work : items)
    items_.emplace_back(std::move(work), FailureBudget(settings_.retry.retries));
  open_items_ = items_.size();
}

std::vector<Action> Scheduler::next(TimePoint now) {
  wake_ = TimePoint::max();
  if (!stopping_ && settings_.deadline && now >= *settings_.deadline)
    stop({ErrorKind::deadline, "the run's deadline has passed",
          "allow more with --deadline; the next run resumes"},
         now);
  if (!stopping_) {
    fill_slots(now);
    begin_items(now);
    fill_slots(now);  // queries that were just begun
    look_at_locks(now);
    save_resumes(now);
    if (settings_.deadline) wake(*settings_.deadline);
  }
  return std::exchange(actions_, {});
}

/// A file is opened when a connection has nothing else to do: those that wait for another process's
/// lock or for their back-off do not count, those that are just being opened do.
void Scheduler::begin_items(TimePoint now) {
  std::size_t busy = transfers_.size();
  std::size_t open = 0;
  std::size_t lock_waits = 0;
  for (const ItemId id : active_) {
    const Item& item = items_[id];
    const bool lock_wait = item.state == State::locking && item.watch.waiting();
    const bool opening =
        !lock_wait && (item.state == State::locking ||
                       (item.state == State::moving && !item.work.query && !item.segments));
    ++(lock_wait ? lock_waits : open);
    busy += opening || item.state == State::checking ? 1U : 0U;
  }
  const auto room = static_cast<std::size_t>(settings_.connections);
  if (lock_waits >= kMostLockWaits) return;
  while (first_waiting_ < items_.size() && busy < room && open < room * kOpenPerConnection) {
    const bool begun = begin(first_waiting_++, now);
    busy += begun ? 1U : 0U;
    open += begun ? 1U : 0U;
  }
}

bool Scheduler::begin(ItemId id, TimePoint now) {
  Item& item = items_[id];
  if (item.state != State::waiting) return false;
  item.begun = now;
  active_.insert(id);
  if (item.work.query) {
    item.state = State::moving;
  } else if (item.work.check_existing) {
    item.state = State::checking;
    actions_.push_back(CheckExisting{id});
  } else {
    item.state = State::locking;
  }
  return true;
}

void Scheduler::look_at_locks(TimePoint now) {
  for (const ItemId id : active_) {
    Item& item = items_[id];
    if (item.state != State::locking || item.lock_held || item.lock_asked) continue;
    if (now < item.watch.due()) {
      wake(item.watch.due());
      continue;
    }
    item.lock_asked = true;
    actions_.push_back(TryLock{id});
  }
}

void Scheduler::on_lock(ItemId id, LockResult answer, const std::string& holder, TimePoint now) {
  wake_ = TimePoint::min();
  Item& item = items_[id];
  item.lock_asked = false;
  if (item.state != State::locking) return;
  if (answer == LockResult::held) return wait_for(id, holder, {}, now);
  item.lock_held = true;
  const bool waited = item.watch.waiting();  // whoever held it may have mended the blob
  if (answer == LockResult::acquired_blob_exists && (!item.damaged || waited)) {
    item.state = State::checking;
    actions_.push_back(CheckExisting{id});
    return;
  }
  item.state = State::moving;
  actions_.push_back(OpenStaging{id, item.whole, item.watch.silent()});
}

void Scheduler::wait_for(ItemId id, const std::string& holder, const std::string& sign,
                         TimePoint now) {
  Item& item = items_[id];
  if (item.watch.seen(sign, now))
    actions_.push_back(Notice{
        NoticeLevel::info,
        fmt::format("{}: waiting for {}, which is fetching it", item.work.asked.object, holder)});
}

void Scheduler::on_owned(ItemId id, const std::string& owner, const std::string& sign,
                         TimePoint now) {
  wake_ = TimePoint::min();
  Item& item = items_[id];
  if (item.state != State::moving) return;
  actions_.push_back(Close{id, false});
  item.lock_held = false;
  item.state = State::locking;
  wait_for(id, owner, sign, now);
}

void Scheduler::on_lost(ItemId id, Loss how, TimePoint now) {
  wake_ = TimePoint::min();
  Item& item = items_[id];
  if (item.state != State::moving && item.state != State::verifying &&
      item.state != State::publishing)
    return;
  const std::string what =
      fmt::format("{}: {}", item.work.asked.object,
                  how == Loss::pruned ? "its staging file has vanished"
                                      : "another process has taken its staging over");
  cancel_transfers(id);
  item.segments.reset();
  item.unsaved = false;
  ++item.generation;
  item.budget.failed();
  if (item.budget.spent())
    return fail(id,
                {ErrorKind::io, what,
                 "another program prunes the cache: let it wait until this one is done"},
                now);
  ++retries_;
  actions_.push_back(Notice{NoticeLevel::warning, what + "; beginning anew"});
  actions_.push_back(Close{id, false});
  item.lock_held = false;
  item.watch = {};
  item.state = State::locking;
}

void Scheduler::on_staged(ItemId id, RangeSet have, TimePoint now) {
  wake_ = TimePoint::min();
  Item& item = items_[id];
  if (item.state != State::moving) return;
  const std::int64_t size = item.work.size;
  const std::int64_t segment =
      item.whole ? std::max<std::int64_t>(size, 1) : segment_size(size, settings_.connections);
  item.came_from.clear();
  if (!have.empty()) item.came_from.insert(kEarlier);
  item.segments.emplace(size, std::move(have), segment, 2 * settings_.connections * segment);
  item.best = std::max(item.best, item.segments->have().total());
  item.hashed_to = item.segments->watermark();
  item.save_again = now + kSaveEvery;
  if (item.hashed_to > 0) actions_.push_back(HashTo{id, item.hashed_to});
  if (item.segments->complete()) all_on_disk(id);
}

void Scheduler::fill_slots(TimePoint now) {
  const auto room = static_cast<std::size_t>(settings_.connections);
  for (const ItemId id : active_)
    while (transfers_.size() < room && start_one(id, now)) {
    }
}

bool Scheduler::start_one(ItemId id, TimePoint now) {
  Item& item = items_[id];
  if (item.state != State::moving || (item.work.query ? item.query_taken : !item.segments))
    return false;
  if (now < item.not_before) {
    wake(item.not_before);
    return false;
  }
  const auto [source, at] = turn_of(id, now);
  if (!source) {
    wake(at);
    return false;
  }
  if (item.work.query) {
    item.query_taken = true;
    start(id, *source, {});
    return true;
  }
  if (item.sole && item.sole != source) {  // bytes of two must not meet again
    begin_at_zero(id);
    return false;
  }
  const auto range = item.segments->take();
  if (range) start(id, *source, *range);
  return range.has_value();
}

TimePoint Scheduler::closed_until(ItemId id, const std::string& origin, TimePoint now) const {
  const auto under_way =
      std::count_if(transfers_.begin(), transfers_.end(),
                    [&](const auto& running) { return running.second.url.origin == origin; });
  return hosts_.closed_until(origin, counted(id), under_way, now);
}

void Scheduler::start(ItemId id, std::size_t source, ByteRange range) {
  Item& item = items_[id];
  if (item.restarts > 0) item.sole = source;
  const bool all = item.work.query || item.whole || range == ByteRange{0, item.work.size};
  Transfer transfer{.item = id,
                    .source = source,
                    .range = range,
                    .url = item.sources[source].url,
                    .generation = item.generation,
                    .asked = {}};
  transfer.asked = {.asked = item.work.asked,
                    .range = all ? std::nullopt : std::optional(range),
                    .size = item.work.size,
                    .html = item.work.html,
                    .blob = item.work.blob,
                    .locked = item.work.locked};
  const TokenUse token = endpoint_of(transfer).token;
  transfer.asked.asked.with_token = token == TokenUse::sent;
  transfer.asked.asked.token_withheld = token == TokenUse::withheld;
  send(next_transfer_++, std::move(transfer));
}

void Scheduler::send(TransferId id, Transfer transfer) {
  ++requests_;
  transfer.ticket = hosts_.asked(transfer.url.origin, counted(transfer.item));
  const PayloadRequest& asked = transfer.asked;
  actions_.push_back(StartTransfer{id, transfer.item, transfer.source,
                                   items_[transfer.item].sources[transfer.source].endpoint,
                                   transfer.url, asked.range, asked.asked.with_token});
  transfers_.emplace(id, std::move(transfer));
}

void Scheduler::save_resumes(TimePoint now) {
  for (const ItemId id : active_) {
    Item& item = items_[id];
    if (!item.segments || (item.state != State::moving && item.state != State::verifying)) continue;
    if (!item.unsaved && item.work.size < kHashStep)
      continue;  // a small file without a record has nobody to tell
    const TimePoint due =
        item.unsaved ? item.save_again : item.save_again + (kBeatEvery - kSaveEvery);
    if (now < due) {
      wake(due);
      continue;
    }
    item.unsaved = false;
    item.save_again = now + kSaveEvery;
    actions_.push_back(SaveResume{id});
  }
}

void Scheduler::on_bytes(TransferId id, ByteRange range) {
  Transfer& transfer = transfers_.at(id);
  Item& item = items_[transfer.item];
  transfer.received += range.size();
  item.fetched += range.size();
  item.segments->wrote(range);
  item.unsaved = true;
  item.came_from.insert(transfer.source);
  item.window_waited = false;
  if (const std::int64_t total = item.segments->have().total(); total > item.best) {
    // What began before the refusal says nothing of the signatures since.
    if (item.budget.moved(total - item.best) && transfer.generation == item.generation)
      item.spent_signatures = 0;
    item.best = total;
  }
  const std::int64_t mark = item.segments->watermark();
  // The whole is hashed when the last transfer has ended: an answer that came before would find
  // nobody waiting.
  if (mark < item.hashed_to + kHashStep || mark == item.work.size) return;
  item.hashed_to = mark;
  actions_.push_back(HashTo{transfer.item, mark});
}

void Scheduler::all_on_disk(ItemId id) {
  Item& item = items_[id];
  item.state = State::verifying;
  cancel_transfers(id);  // they have brought all they had: how they end must not matter any more
  item.hashed_to = item.work.size;
  if (item.work.size >= kHashStep)
    actions_.push_back(SaveResume{id});  // a small file is sooner fetched than recorded
  actions_.push_back(HashTo{id, item.work.size});
}

void Scheduler::on_hash(ItemId id, const HashResult& answer, TimePoint now) {
  wake_ = TimePoint::min();
  Item& item = items_[id];
  if (item.state != State::checking && item.state != State::verifying) return;
  if (answer.error) return stop(*answer.error, now);
  const WorkItem& work = item.work;
  const auto wrong = check_digests(
      answer, {work.asked.object, *work.blob, work.expected_sha256, work.size, work.locked});
  item.sha256 = answer.sha256;
  if (item.state == State::checking)
    return wrong ? on_damaged(id, *wrong, now) : finish(id, FileStatus::reused, {}, now);
  if (wrong) return restart(id, now, *wrong);
  item.state = State::publishing;
  actions_.push_back(Publish{id});
}

void Scheduler::on_damaged(ItemId id, const Error& wrong, TimePoint now) {
  Item& item = items_[id];
  if (settings_.offline)
    return fail(id,
                {ErrorKind::digest_mismatch, wrong.message + ": the cached file is damaged",
                 "run once with the network to repair it"},
                now);
  actions_.push_back(
      Notice{NoticeLevel::warning,
             fmt::format("{}; the cached file is damaged and is fetched anew", wrong.message)});
  item.damaged = true;
  item.state = item.lock_held ? State::moving : State::locking;
  if (item.lock_held) actions_.push_back(OpenStaging{id, item.whole, item.watch.silent()});
}

void Scheduler::on_published(ItemId id, PublishResult answer, TimePoint now) {
  wake_ = TimePoint::min();
  if (items_[id].state != State::publishing) return;
  if (answer == PublishResult::done) return finish(id, FileStatus::fetched, std::nullopt, now);
  on_lost(id, Loss::pruned, now);
}

void Scheduler::fail(ItemId id, Error error, TimePoint now) {
  const bool drop =
      error.kind == ErrorKind::digest_mismatch || error.kind == ErrorKind::lock_mismatch;
  const std::vector<std::size_t> models = items_[id].work.models;
  finish(id, FileStatus::failed, error, now, drop);
  if (disposition(error.kind) != Disposition::fail_item) return;
  for (const std::size_t model : models) drop_model(model, error, now);
}

/// The model cannot succeed any more: what only it wants is not begun. What is under way ends, for
/// the next run.
void Scheduler::drop_model(std::size_t model, const Error& error, TimePoint now) {
  if (!failed_models_.insert(model).second) return;
  for (ItemId id = 0; id < items_.size(); ++id) {
    const auto& models = items_[id].work.models;
    const bool useless = std::all_of(models.begin(), models.end(), [&](std::size_t other) {
      return failed_models_.contains(other);
    });
    if (items_[id].state == State::waiting && useless && !models.empty())
      finish(id, FileStatus::cancelled, Error{error.kind, "not begun: " + error.message, {}}, now);
  }
}

void Scheduler::finish(ItemId id, FileStatus status, std::optional<Error> error, TimePoint now,
                       bool drop_staging) {
  Item& item = items_[id];
  if (item.state == State::done) return;
  cancel_transfers(id);
  const bool opened = item.state != State::waiting && !item.work.query;
  if (opened && item.segments && item.unsaved && !drop_staging && status != FileStatus::fetched)
    actions_.push_back(SaveResume{id});
  if (opened) actions_.push_back(Close{id, drop_staging});
  FileOutcome outcome{
      .status = status,
      .bytes_fetched = item.fetched,
      .attempts = item.state == State::waiting ? 0 : 1 + item.budget.total() + item.passed_on,
      .took = item.state == State::waiting ? Duration{} : now - item.begun,
      .sha256 = {},
      .error = std::move(error)};
  if (status == FileStatus::fetched || status == FileStatus::reused) outcome.sha256 = item.sha256;
  item.state = State::done;
  active_.erase(id);
  --open_items_;
  actions_.push_back(Finish{id, std::move(outcome)});
}

void Scheduler::cancel_transfers(ItemId id) {
  for (auto it = transfers_.begin(); it != transfers_.end();) {
    if (it->second.item != id) {
      ++it;
      continue;
    }
    actions_.push_back(CancelTransfer{it->first});
    it = transfers_.erase(it);
  }
}

void Scheduler::stop(const Error& why, TimePoint now) {
  if (stopping_) return;
  stopping_ = true;
  actions_.push_back(Notice{NoticeLevel::error, why.message});
  if (!why.hint.empty()) actions_.push_back(Notice{NoticeLevel::error, "hint: " + why.hint});
  for (ItemId id = 0; id < items_.size(); ++id) finish(id, FileStatus::cancelled, why, now);
}

const RangeSet* Scheduler::have(ItemId item) const {
  return items_[item].segments ? &items_[item].segments->have() : nullptr;
}

std::vector<ActiveFile> Scheduler::active_files(TimePoint now) const {
  std::set<ItemId> transferring;
  for (const auto& [id, transfer] : transfers_) transferring.insert(transfer.item);
  std::vector<ActiveFile> files;
  for (const ItemId id : active_) {
    const Item& item = items_[id];
    ActiveFile file{.file = id,
                    .failures = item.budget.total(),
                    .done = item.segments ? item.segments->have().total() : 0};
    const TimePoint until = std::max(item.not_before, turn_of(id, now).at);
    if (item.state == State::checking || item.state == State::verifying ||
        item.state == State::publishing) {
      file.activity = Activity::verifying;
    } else if (item.state == State::locking && item.watch.waiting()) {
      file.activity = Activity::elsewhere;
    } else if (transferring.contains(id)) {
      file.activity = Activity::fetching;
    } else if (item.state == State::moving && until > now) {
      file.activity = Activity::paused;
      file.pause = until - now;
    }
    files.push_back(file);
  }
  return files;
}

}  // namespace model_prep
