// SPDX-License-Identifier: Apache-2.0
#include "model_prep/decisions/scheduler.h"

#include <algorithm>

#include <fmt/format.h>

namespace model_prep {
namespace {

constexpr auto kLockPoll = std::chrono::milliseconds(250);
constexpr auto kLockFirstNotice = std::chrono::seconds(1);  // most are free sooner
constexpr auto kLockNotice = std::chrono::seconds(10);
constexpr auto kSaveEvery = std::chrono::seconds(1);  // what a kill may cost
constexpr std::int64_t kHashStep = 1024 * 1024;       // one wake-up of the hash thread per MiB
constexpr int kMostSpentSignatures = 2;
constexpr std::size_t kMostLockWaits = 64;     // each is looked at four times a second
constexpr std::size_t kOpenPerConnection = 4;  // files open at once: some move, some wait for the hash thread

}  // namespace

Scheduler::Scheduler(SchedulerSettings settings, std::vector<WorkItem> items) : settings_(std::move(settings)) {
  for (WorkItem& work : items) items_.emplace_back(std::move(work), FailureBudget(settings_.retry.retries));
  open_items_ = items_.size();
}

std::vector<Action> Scheduler::next(TimePoint now) {
  wake_ = TimePoint::max();
  if (!stopping_ && settings_.deadline && now >= *settings_.deadline)
    stop({ErrorKind::deadline, "the run's deadline has passed", "allow more with --deadline; the next run resumes"},
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

/// A file is opened when a connection has nothing else to do: those that wait for another process's lock or for their
/// back-off do not count, those that are just being opened do.
void Scheduler::begin_items(TimePoint now) {
  std::size_t busy = transfers_.size();
  std::size_t open = 0;
  std::size_t lock_waits = 0;
  for (const ItemId id : active_) {
    const Item& item = items_[id];
    const bool lock_wait = item.state == State::locking && item.lock_again != TimePoint::min();
    const bool opening = !lock_wait && (item.state == State::locking ||
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
    if (now < item.lock_again) {
      wake(item.lock_again);
      continue;
    }
    item.lock_asked = true;
    actions_.push_back(TryLock{id});
  }
}

void Scheduler::on_lock(ItemId id, LockAnswer answer, const std::string& holder, TimePoint now) {
  wake_ = TimePoint::min();
  Item& item = items_[id];
  item.lock_asked = false;
  if (item.state != State::locking) return;
  if (answer == LockAnswer::held) {
    item.lock_again = now + kLockPoll;
    if (item.say_again == TimePoint::min()) item.say_again = now + kLockFirstNotice;
    if (now < item.say_again) return;
    item.say_again = now + kLockNotice;
    actions_.push_back(Notice{NoticeLevel::info,
                              fmt::format("{}: waiting for {}, which is fetching it", item.work.asked.object, holder)});
    return;
  }
  item.lock_held = true;
  const bool waited = item.lock_again != TimePoint::min();  // whoever held it may have mended the blob
  if (answer == LockAnswer::acquired_blob_exists && (!item.damaged || waited)) {
    item.state = State::checking;
    actions_.push_back(CheckExisting{id});
    return;
  }
  item.state = State::moving;
  actions_.push_back(OpenStaging{id, false});
}

void Scheduler::on_staged(ItemId id, RangeSet have, TimePoint now) {
  wake_ = TimePoint::min();
  Item& item = items_[id];
  if (item.state != State::moving) return;
  const std::int64_t size = item.work.size;
  const std::int64_t segment = item.whole ? std::max<std::int64_t>(size, 1) : segment_size(size, settings_.connections);
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
  if (item.state != State::moving || (item.work.query ? item.query_taken : !item.segments)) return false;
  if (now < item.not_before) {
    wake(item.not_before);
    return false;
  }
  if (const TimePoint until = hosts_.embargoed_until(item.work.url.origin, now); until != TimePoint::min()) {
    wake(until);
    return false;
  }
  if (item.work.query) {
    item.query_taken = true;
    start(id, {});
    return true;
  }
  const auto range = item.segments->take();
  if (range) start(id, *range);
  return range.has_value();
}

void Scheduler::start(ItemId id, ByteRange range) {
  const Item& item = items_[id];
  const bool all = item.work.query || item.whole || range == ByteRange{0, item.work.size};
  Transfer transfer{.item = id, .range = range, .url = item.work.url, .generation = item.generation, .asked = {}};
  transfer.asked = {.asked = item.work.asked,
                    .range = all ? std::nullopt : std::optional(range),
                    .size = item.work.size,
                    .html = item.work.html,
                    .blob = item.work.blob,
                    .locked = item.work.locked};
  transfer.asked.asked.with_token = settings_.has_token;
  send(next_transfer_++, std::move(transfer));
}

void Scheduler::send(TransferId id, Transfer transfer) {
  ++requests_;
  const PayloadAsked& asked = transfer.asked;
  actions_.push_back(StartTransfer{id, transfer.item, transfer.url, asked.range, asked.asked.with_token});
  transfers_.emplace(id, std::move(transfer));
}

void Scheduler::save_resumes(TimePoint now) {
  for (const ItemId id : active_) {
    Item& item = items_[id];
    if (!item.unsaved || item.state != State::moving) continue;
    if (now < item.save_again) {
      wake(item.save_again);
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
  if (const std::int64_t total = item.segments->have().total(); total > item.best) {
    if (item.budget.moved(total - item.best)) item.spent_signatures = 0;
    item.best = total;
  }
  const std::int64_t mark = item.segments->watermark();
  // The whole is hashed when the last transfer has ended: an answer that came before would find nobody waiting.
  if (mark < item.hashed_to + kHashStep || mark == item.work.size) return;
  item.hashed_to = mark;
  actions_.push_back(HashTo{transfer.item, mark});
}

void Scheduler::on_end(const TransferEnd& end, TimePoint now, double jitter) {
  wake_ = TimePoint::min();
  const auto found = transfers_.find(end.id);
  if (found == transfers_.end()) return;  // cancelled meanwhile
  Transfer transfer = std::move(found->second);
  transfers_.erase(found);
  const ItemId id = transfer.item;
  if (const auto limit = parse_rate_limit(end.head.rate_limit); limit && limit->remaining == 0)
    hosts_.embargo(transfer.url.origin, now + server_wait(end.head));
  if (end.error) {
    if (disposition(end.error->kind) == Disposition::abort_run) return stop(*end.error, now);
    return failure(id, transfer, unanswered(*end.error, transfer.asked.asked, transfer.url), end.head, now, jitter);
  }
  const Answer answer =
      items_[id].work.query ? judge_query(end.head, transfer.asked.asked) : judge_payload(end.head, transfer.asked);
  switch (answer.kind) {
    case AnswerKind::body: return on_body(id, transfer, now, jitter);
    case AnswerKind::redirect: return hop(end.id, std::move(transfer), end.head, now);
    case AnswerKind::signature_spent: return on_spent_signature(id, transfer, answer.error, now);
    case AnswerKind::range_ignored:
      items_[id].whole = true;
      cancel_transfers(id);
      actions_.push_back(Notice{NoticeLevel::info, fmt::format("{}: the server gives no ranges, so it is fetched in "
                                                               "one piece",
                                                               transfer.asked.asked.object)});
      items_[id].segments.reset();
      actions_.push_back(OpenStaging{id, true});
      return;
    case AnswerKind::restart: return restart(id, now, answer.error);
    case AnswerKind::failed: return failure(id, transfer, answer.error, end.head, now, jitter);
  }
}

void Scheduler::on_body(ItemId id, const Transfer& transfer, TimePoint now, double jitter) {
  Item& item = items_[id];
  if (item.work.query) return finish(id, FileStatus::fetched, std::nullopt, now);
  if (transfer.received < transfer.range.size())
    return failure(id, transfer,
                   unanswered({ErrorKind::network, "the body ended early", {}}, transfer.asked.asked, transfer.url), {},
                   now, jitter);
  if (item.segments->complete()) return all_on_disk(id);
  item.unsaved = false;
  item.save_again = now + kSaveEvery;
  actions_.push_back(SaveResume{id});
}

void Scheduler::all_on_disk(ItemId id) {
  Item& item = items_[id];
  item.state = State::verifying;
  cancel_transfers(id);  // they have brought all they had: how they end must not matter any more
  item.hashed_to = item.work.size;
  if (item.work.size >= kHashStep) actions_.push_back(SaveResume{id});  // a small file is sooner fetched than recorded
  actions_.push_back(HashTo{id, item.work.size});
}

void Scheduler::hop(TransferId id, Transfer transfer, const ResponseHead& head, TimePoint now) {
  const auto target = follow(head, transfer.url, transfer.hops, transfer.asked.asked);
  Item& item = items_[transfer.item];
  if (!target) return fail(transfer.item, target.error(), now);
  if (const TimePoint until = hosts_.embargoed_until(target->origin, now); until != TimePoint::min()) {
    give_back(transfer);  // the signature may not live that long: ask again when the host may be asked
    item.not_before = std::max(item.not_before, until);
    return;
  }
  transfer.url = *target;
  ++transfer.hops;
  transfer.asked.asked.of_hub = target->origin == settings_.hub_origin;
  transfer.asked.asked.with_token = settings_.has_token && transfer.asked.asked.of_hub;
  send(id, std::move(transfer));
}

void Scheduler::on_spent_signature(ItemId id, const Transfer& transfer, const Error& error, TimePoint now) {
  Item& item = items_[id];
  give_back(transfer);
  if (transfer.generation != item.generation) return;
  ++item.generation;
  if (++item.spent_signatures > kMostSpentSignatures) return fail(id, error, now);
  actions_.push_back(Notice{NoticeLevel::debug, fmt::format("{}: the signed address was refused, asking the hub again",
                                                            transfer.asked.asked.object)});
}

void Scheduler::failure(ItemId id, const Transfer& transfer, const Error& error, const ResponseHead& head,
                        TimePoint now, double jitter) {
  Item& item = items_[id];
  if (disposition(error.kind) != Disposition::retry) return fail(id, error, now);
  if (item.segments && item.segments->complete()) return all_on_disk(id);  // the fault came behind the last byte
  give_back(transfer);
  const bool of_server = error.kind == ErrorKind::rate_limited || error.kind == ErrorKind::server;
  const bool counted = transfer.generation == item.generation;  // else it is part of a failure that was counted
  if (counted) {
    ++item.generation;
    ++retries_;
    item.budget.failed();
  }
  const Duration wait = std::max<Duration>(backoff(settings_.retry, item.budget.in_a_row(), jitter), server_wait(head));
  if (of_server) hosts_.embargo(transfer.url.origin, now + wait);  // for the others, if this item is given up
  if (item.budget.spent()) {
    --retries_;  // the last failure is not tried again
    return fail(id, error, now);
  }
  item.not_before = std::max(item.not_before, now + wait);
  if (!counted) return;
  const bool news = hosts_.is_news(transfer.url.origin, error.kind, now);
  actions_.push_back(
      Notice{news ? NoticeLevel::warning : NoticeLevel::debug,
             fmt::format("{} (failure {} of {}, next try in {:.1f} s)", error.message, item.budget.in_a_row(),
                         settings_.retry.retries, std::chrono::duration<double>(wait).count())});
}

void Scheduler::give_back(const Transfer& transfer) {
  Item& item = items_[transfer.item];
  item.query_taken = false;
  if (!item.segments) return;
  item.segments->give_back(transfer.range);
  if (!item.whole) return;
  item.segments.reset();  // without ranges there is no going on from the middle
  actions_.push_back(OpenStaging{transfer.item, true});
}

void Scheduler::restart(ItemId id, TimePoint now, const Error& otherwise) {
  Item& item = items_[id];
  if (item.restarted) return fail(id, otherwise, now);
  item.restarted = true;
  cancel_transfers(id);
  item.state = State::moving;
  item.segments.reset();
  item.best = 0;
  actions_.push_back(
      Notice{NoticeLevel::warning, fmt::format("{}; it is fetched once more from the start", otherwise.message)});
  actions_.push_back(OpenStaging{id, true});
}

void Scheduler::on_hash(ItemId id, const HashAnswer& answer, TimePoint now) {
  wake_ = TimePoint::min();
  Item& item = items_[id];
  if (item.state != State::checking && item.state != State::verifying) return;
  if (answer.error) return stop(*answer.error, now);
  const WorkItem& work = item.work;
  const auto wrong = judge_hash(answer, {work.asked.object, *work.blob, work.expected_sha256, work.size, work.locked});
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
      Notice{NoticeLevel::warning, fmt::format("{}; the cached file is damaged and is fetched anew", wrong.message)});
  item.damaged = true;
  item.state = item.lock_held ? State::moving : State::locking;
  if (item.lock_held) actions_.push_back(OpenStaging{id, false});
}

void Scheduler::on_published(ItemId id, PublishAnswer answer, TimePoint now) {
  wake_ = TimePoint::min();
  if (items_[id].state != State::publishing) return;
  if (answer == PublishAnswer::done) return finish(id, FileStatus::fetched, std::nullopt, now);
  restart(id, now,
          {ErrorKind::io, fmt::format("{}: its staging file has vanished", items_[id].work.asked.object),
           "another program prunes the cache: let it wait until this one is done"});
}

void Scheduler::fail(ItemId id, Error error, TimePoint now) {
  const bool drop = error.kind == ErrorKind::digest_mismatch || error.kind == ErrorKind::lock_mismatch;
  const std::vector<std::size_t> models = items_[id].work.models;
  finish(id, FileStatus::failed, error, now, drop);
  if (disposition(error.kind) != Disposition::fail_item) return;
  for (const std::size_t model : models) drop_model(model, error, now);
}

/// The model cannot succeed any more: what only it wants is not begun. What is under way ends, for the next run.
void Scheduler::drop_model(std::size_t model, const Error& error, TimePoint now) {
  if (!failed_models_.insert(model).second) return;
  for (ItemId id = 0; id < items_.size(); ++id) {
    const auto& models = items_[id].work.models;
    const bool useless =
        std::all_of(models.begin(), models.end(), [&](std::size_t other) { return failed_models_.contains(other); });
    if (items_[id].state == State::waiting && useless && !models.empty())
      finish(id, FileStatus::cancelled, Error{error.kind, "not begun: " + error.message, {}}, now);
  }
}

void Scheduler::finish(ItemId id, FileStatus status, std::optional<Error> error, TimePoint now, bool drop_staging) {
  Item& item = items_[id];
  if (item.state == State::done) return;
  cancel_transfers(id);
  const bool opened = item.state != State::waiting && !item.work.query;
  if (opened && item.segments && item.unsaved && !drop_staging && status != FileStatus::fetched)
    actions_.push_back(SaveResume{id});
  if (opened) actions_.push_back(Close{id, drop_staging});
  FileOutcome outcome{.status = status,
                      .bytes_fetched = item.fetched,
                      .attempts = item.state == State::waiting ? 0 : 1 + item.budget.total(),
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

}  // namespace model_prep
