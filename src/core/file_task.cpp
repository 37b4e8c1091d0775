// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/file_task.h"

namespace model_prep {
namespace {

constexpr auto kSaveEvery = std::chrono::seconds(1);       // what a kill may cost
constexpr auto kHeartbeatEvery = std::chrono::seconds(2);  // of an unchanged record, for others
constexpr Bytes kHashStep = 1024 * 1024;                   // one wake-up of the hash thread per MiB

}  // namespace

bool FileTask::starting() const {
  return checking() || awaits_staging() || (locking() && !watch_.waiting());
}

std::string FileTask::awaited_host() const {
  if (state_ != State::moving) return {};

  const auto& hosts = shared_.hosts;
  const bool arrives = std::ranges::any_of(shared_.transfers, [&](const auto& entry) {
    const Transfer& transfer = entry.second;
    const bool is_probe = hosts.outage(transfer.url.origin) || hosts.outage(transfer.awaited);
    return transfer.item == id_ && !is_probe;
  });
  return arrives ? std::string() : failover_.awaited_host();
}

ActiveFile FileTask::progress() const {
  ActiveFile file{.index = id_,
                  .failures = failover_.budget().total(),
                  .done = segments_ ? have()->total() : 0};
  const TimePoint until = failover_.choose(only_source_).at;
  const bool fetching = state_ == State::moving || state_ == State::opening;

  if (awaits_hash() || state_ == State::publishing) {
    file.activity = Activity::verifying;
  } else if (waits_for_lock()) {
    file.activity = Activity::waiting_for_lock;
  } else if (state_ == State::copying) {
    file.activity = Activity::copying;
  } else if (transferring() || until == TimePoint::max()) {
    file.activity = Activity::fetching;  // itself, or a probe of the host that it waits for
  } else if (fetching && until > shared_.now) {
    file.activity = Activity::paused;
    file.pause = until - shared_.now;
  }
  return file;
}

void FileTask::start() {
  started_ = shared_.now;
  if (is_query())
    state_ = State::moving;
  else if (work_.check_existing)
    check_existing(State::checking);
  else
    state_ = State::locking;
}

void FileTask::poll_lock() {
  if (state_ != State::locking) return;
  if (shared_.now < watch_.next_poll()) return shared_.wake_by(watch_.next_poll());

  state_ = State::lock_tried;
  emit(TryLock{id_});
}

void FileTask::on_lock(LockResult result) {
  if (state_ != State::lock_tried) return;
  // A blob that is known to be damaged need not be hashed again, unless the process that held the
  // lock may have repaired it.
  if (result == LockResult::acquired_blob_exists && (!blob_damaged_ || watch_.waiting()))
    return check_existing(State::rechecking);
  if (!has_nearby())
    if (auto lost = failover_.leave_lost_hosts(work_.context)) return fail(std::move(*lost));
  open_staging(false, watch_.writer_timed_out());
}

void FileTask::on_busy(const std::string& owner, const std::string& heartbeat) {
  if (state_ != State::lock_tried && state_ != State::opening) return;
  if (state_ == State::opening) emit(Close{id_, false});

  state_ = State::locking;
  if (watch_.on_poll(heartbeat, shared_.now))
    shared_.notice(LogLevel::info,
                   work_.context.object + ": waiting for " + owner + ", which is downloading it");
}

void FileTask::open_staging(bool fresh, bool take_over) {
  state_ = State::opening;
  segments_.reset();
  emit(OpenStaging{id_, fresh, take_over});
}

void FileTask::on_staged(RangeSet have) {
  if (state_ != State::opening) return;
  const Bytes size = work_.blob->size;
  const int connections = shared_.settings.connections;
  const Bytes segment = segment_size(size, connections);

  state_ = State::moving;
  byte_sources_.clear();
  if (!have.empty()) byte_sources_.insert(kEarlierRun);
  segments_.emplace(size, std::move(have), segment, 2 * connections * segment);
  max_bytes_ = std::max(max_bytes_, segments_->have().total());
  hashed_to_ = segments_->watermark();
  next_resume_save_ = shared_.now + kSaveEvery;

  if (hashed_to_ > 0) emit(HashTo{id_, hashed_to_});
  if (segments_->complete()) return all_on_disk();
  get_bytes();
}

bool FileTask::start_transfer() {
  // A query has one request at a time; a file as many as it has segments, if it has any.
  const bool single = is_query() || failover_.single_stream();
  if (state_ != State::moving || (single && transferring())) return false;
  const auto [source, at] = failover_.choose(only_source_);
  if (!source) {
    shared_.wake_by(at);
    return false;
  }
  if (is_query()) {
    request(*source, {});
    return true;
  }

  // The bytes of two sources were wrong together once: they must not meet again.
  if (only_source_ && only_source_ != source) {
    restart_from_zero();
    return false;
  }
  const auto range = single ? ByteRange{0, work_.blob->size} : segments_->take();
  if (range) request(*source, *range);
  return range.has_value();
}

void FileTask::request(std::size_t source, ByteRange range) {
  if (failover_.restarts() > 0) only_source_ = source;
  const bool whole =
      is_query() || failover_.single_stream() || range == ByteRange{0, work_.blob->size};
  Transfer transfer{.item = id_,
                    .source = source,
                    .context = work_.context,
                    .range = range,
                    .requested = whole ? std::nullopt : std::optional(range),
                    .url = failover_.sources()[source].url,
                    .failure_epoch = failover_.failure_epoch(),
                    .awaited = failover_.led_to(source)};
  transfer.context.token = failover_.endpoint(source).token;
  send(shared_.next_transfer++, std::move(transfer));
}

void FileTask::send(TransferId id, Transfer transfer) {
  ++shared_.requests;
  transfer.sent = shared_.now;
  transfer.number = shared_.hosts.on_request(transfer.url.origin, bucket());
  emit(StartTransfer{id, id_, transfer.source, failover_.sources()[transfer.source].endpoint,
                     transfer.url, transfer.requested, transfer.context.token == TokenUse::sent});
  shared_.transfers.emplace(id, std::move(transfer));
}

void FileTask::on_bytes(Transfer& transfer, ByteRange range) {
  fetched_ += range.size();
  unsaved_bytes_ += range.size();
  segments_->wrote(range);
  byte_sources_.insert(transfer.source);

  const Bytes total = segments_->have().total();
  failover_.record_progress(transfer, std::max<Bytes>(0, total - max_bytes_));
  max_bytes_ = std::max(max_bytes_, total);

  hash_to_watermark();
}

void FileTask::hash_to_watermark() {
  // `all_on_disk` sends the last step: a result would be dropped before the state is `verifying`.
  const Bytes watermark = segments_->watermark();
  if (watermark < hashed_to_ + kHashStep || watermark == work_.blob->size) return;
  hashed_to_ = watermark;
  emit(HashTo{id_, watermark});
}

void FileTask::save_resume_if_due() {
  if (!segments_ || state_ < State::copying || state_ > State::verifying) return;
  // A small file without a record needs no heartbeat.
  if (unsaved_bytes_ == 0 && work_.blob->size < kMinClaimedSize) return;

  const TimePoint due =
      unsaved_bytes_ > 0 ? next_resume_save_ : next_resume_save_ + (kHeartbeatEvery - kSaveEvery);
  if (shared_.now < due) return shared_.wake_by(due);
  save_resume();
}

void FileTask::save_resume() {
  unsaved_bytes_ = 0;
  next_resume_save_ = shared_.now + kSaveEvery;
  emit(SaveResume{id_});
}

void FileTask::all_on_disk() {
  const Bytes size = work_.blob->size;
  state_ = State::verifying;
  cancel_transfers();  // they have delivered everything: how they end must not matter
  hashed_to_ = size;
  if (size >= kMinClaimedSize) emit(SaveResume{id_});
  emit(HashTo{id_, size});
}

void FileTask::on_hash(const HashResult& result) {
  if (result.error) return on_disk_error(*result.error);
  const auto wrong = check_digests(result, work_.context.object, *work_.blob);
  sha256_ = result.sha256;
  if (!checking()) stamps_.clear();
  if (result.stamp) stamps_.push_back(*result.stamp);

  if (wrong && checking()) return on_damaged_blob(*wrong);
  if (wrong) return byte_sources_.contains(kNearby) ? on_wrong_copy(*wrong) : refetch(*wrong);
  if (checking() && copies_checked_ < work_.copies)
    return emit(CheckExisting{id_, ++copies_checked_});
  if (checking()) return finish(FileStatus::reused);
  state_ = State::publishing;
  emit(Publish{id_});
}

/// The file cannot be read or synced. After a sync that failed, the kernel may show bytes that
/// never reached the disk, and report no error again: nothing of this file may be used by the next
/// run.
void FileTask::on_disk_error(const Error& error) {
  const std::string message = work_.context.object + ": " + error.message;
  if (checking() && (!shared_.settings.offline || has_nearby()))
    return on_damaged_blob({ErrorKind::digest_mismatch, message});
  finish(FileStatus::cancelled, Error{error.kind, message, error.hint}, true);
}

void FileTask::on_damaged_blob(const Error& wrong) {
  if (shared_.settings.offline && !has_nearby())
    return fail({wrong.kind, wrong.message + ": the cached file is damaged",
                 "run once online, without HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE, to repair it"});

  shared_.notice(LogLevel::warning, wrong.message + "; the cached file is damaged and will be " +
                                        (has_nearby() ? "replaced" : "downloaded again"));
  blob_damaged_ = true;
  if (state_ == State::rechecking)
    open_staging(false, watch_.writer_timed_out());
  else
    state_ = State::locking;
}

void FileTask::on_lost(StagingOwner owner) {
  if (state_ < State::opening || state_ > State::publishing) return;
  const std::string what =
      work_.context.object + ": " +
      (owner == StagingOwner::nobody    ? "its partial download was deleted"
       : owner == StagingOwner::changed ? "another program has written to its partial download"
                                        : "another process has taken over its partial download");
  cancel_transfers();
  segments_.reset();
  unsaved_bytes_ = 0;
  if (!failover_.record_loss())
    return fail(
        {ErrorKind::io, what,
         "another program is changing files in the cache: run the two one after the other"});

  shared_.notice(LogLevel::warning, what + "; starting over");
  emit(Close{id_, false});
  watch_ = {};
  state_ = State::locking;
}

/// The staged bytes are wrong, or those of `culprit` will be.
void FileTask::refetch(const Error& wrong, std::optional<std::size_t> culprit) {
  if (!culprit && byte_sources_.size() == 1 && !byte_sources_.contains(kEarlierRun))
    culprit = *byte_sources_.begin();
  if (auto given_up = failover_.record_wrong_bytes(wrong, culprit))
    return fail(std::move(*given_up));

  max_bytes_ = 0;
  restart_from_zero();
}

void FileTask::restart_from_zero() {
  cancel_transfers();
  byte_sources_.clear();
  only_source_.reset();
  open_staging(true);
}

void FileTask::fail(Error error) {
  const bool drop_staging =
      error.kind == ErrorKind::digest_mismatch || error.kind == ErrorKind::lock_mismatch;
  failure_ = error;
  finish(FileStatus::failed, std::move(error), drop_staging);
}

void FileTask::finish(FileStatus status, std::optional<Error> error, bool drop_staging) {
  if (done()) return;
  const bool started = !waiting();
  const bool good = status == FileStatus::fetched || status == FileStatus::reused;
  cancel_transfers();

  if (started && !is_query()) {
    if (segments_ && unsaved_bytes_ > 0 && !drop_staging && !good) emit(SaveResume{id_});
    emit(Close{id_, drop_staging});
  }
  emit(Finish{id_,
              {.status = status,
               .bytes_fetched = fetched_,
               .attempts = started ? failover_.attempts() : 0,
               .took = started ? shared_.now - started_ : Duration{},
               .sha256 = good ? sha256_ : std::nullopt,
               .stamps = stamps_,
               .error = std::move(error),
               .source = status == FileStatus::fetched ? source_of_bytes() : std::string()}});
  state_ = State::done;
}

/// All transfers, or those of one source. Their ranges become free again.
void FileTask::cancel_transfers(std::optional<std::size_t> of_source) {
  std::erase_if(shared_.transfers, [&](const auto& running) {
    const auto& [id, transfer] = running;
    if (transfer.item != id_ || transfer.source != of_source.value_or(transfer.source))
      return false;
    emit(CancelTransfer{id});
    give_back(transfer.range);
    return true;
  });
}

void FileTask::on_end(TransferId id, Transfer transfer, const TransferEnd& end) {
  failover_.record_response(transfer, end);
  if (end.error)
    return on_failure(
        transfer, describe_transport_error(*end.error, transfer.context, transfer.url), end.head);

  // The sink has checked the head too, before it took the first byte of the body.
  const ResponseVerdict verdict = is_query()
                                      ? check_api_response(end.head, transfer.context)
                                      : check_payload_response(end.head, payload_request(transfer));
  switch (verdict.kind) {
    case VerdictKind::body: return on_body(transfer, end.head);
    case VerdictKind::redirect: return follow_redirect(id, std::move(transfer), end.head);
    case VerdictKind::signature_spent:
      if (!failover_.record_spent_signature(transfer)) return on_failure(transfer, verdict.error);
      return give_back(transfer.range);
    case VerdictKind::range_ignored: return on_range_ignored(transfer);
    case VerdictKind::restart:
      // The others' bytes may be right: ask those endpoints first.
      if (has_bytes_of_others(transfer.source))
        return on_failure(transfer, verdict.error, end.head);
      return refetch(verdict.error, transfer.source);
    case VerdictKind::failed: return on_failure(transfer, verdict.error, end.head);
  }
}

void FileTask::on_body(const Transfer& transfer, const ResponseHead& head) {
  if (is_query()) return finish(FileStatus::fetched);
  if (have()->gap(transfer.range.begin, transfer.range.end))
    return on_failure(transfer, body_cut_short(head, transfer.context, transfer.url));
  if (segments_->complete()) return all_on_disk();
  save_resume();
}

void FileTask::on_range_ignored(const Transfer& transfer) {
  give_back(transfer.range);
  if (failover_.record_ignored_range(transfer)) return;

  // In a single stream the bytes of other endpoints come once more: those are asked first, for this
  // many rounds.
  constexpr int kRounds = 2;
  if (has_bytes_of_others(transfer.source) &&
      failover_.budget().in_a_row() < std::min(kRounds, shared_.settings.retry.max_failures))
    return on_failure(transfer,
                      {ErrorKind::network, transfer.context.object + ": " + transfer.url.origin +
                                               " does not support range requests"});

  failover_.use_single_stream();
  cancel_transfers();
  shared_.notice(
      LogLevel::info,
      transfer.context.object +
          ": the server does not support range requests; downloading the file in one request");
}

void FileTask::follow_redirect(TransferId id, Transfer transfer, const ResponseHead& head) {
  const auto target = follow(head, transfer.url, transfer.redirects, transfer.context);
  if (!target) return on_failure(transfer, target.error());

  // The signed address may not live until the host is open: the hub is asked again.
  if (!failover_.may_follow(transfer, *target)) {
    give_back(transfer.range);
    return failover_.avoid_redirect(transfer, *target);
  }

  transfer.url = *target;
  ++transfer.redirects;
  const Endpoint& home = failover_.endpoint(transfer.source);
  transfer.context.of_hub = target->origin == home.origin;
  const bool had_token = home.token == TokenUse::sent || home.token == TokenUse::login;
  transfer.context.token = had_token && !transfer.context.of_hub ? TokenUse::left_home : home.token;
  send(id, std::move(transfer));
}

void FileTask::on_failure(const Transfer& transfer, const Error& error, const ResponseHead& head) {
  // After the last byte: whatever went wrong then, the digest decides.
  if (segments_ && segments_->complete()) return all_on_disk();

  const bool transient = disposition(error.kind) == Disposition::retry;
  if (!transient) cancel_transfers(transfer.source);
  give_back(transfer.range);
  auto given_up = transient ? failover_.record_transient_failure(transfer, error, head)
                            : failover_.record_permanent_failure(transfer, error, head);
  if (given_up) fail(std::move(*given_up));
}

/// Whether bytes of other sources are on disk that another endpoint could complete.
bool FileTask::has_bytes_of_others(std::size_t source) const {
  return failover_.sources().remaining() > 1 &&
         std::ranges::any_of(byte_sources_, [&](std::size_t other) { return other != source; });
}

}  // namespace model_prep
