// SPDX-License-Identifier: Apache-2.0
// The life of one file, or of one query of the Hub's API: its state, its bytes, its failures. These
// are the main transitions:
//
//   state            event                                next         action
//   waiting          a blob that no snapshot record       checking     hash it
//                    covers exists
//   waiting          room for another file                locking      try the lock
//   checking         digest equal                         done         outcome `reused`
//   checking         digest equal, and there is a copy    checking     hash the copy
//   checking         digest differs                       locking      fetch it again
//                                                                      (offline: it fails)
//   locking          time to poll the lock                lock_tried   try the lock
//   lock_tried       held by another process              locking      poll again in 250 ms; log
//                                                                      the wait now and then
//   lock_tried       got it, a blob exists by now         rechecking   hash it: another program may
//                                                                      have put it there
//   lock_tried       got it                               opening      open staging, read the
//                                                                      resume record
//   rechecking       digest equal                         done         outcome `reused`
//   rechecking       digest differs                       opening      under the same lock
//   opening          another process is writing it        locking      release the lock, poll (see
//                                                                      `resume_record.h`)
//   opening          staging is open                      moving       hash what it holds
//   opening          likewise, with a file nearby         copying      copy its next bytes
//   copying          bytes copied                         copying      hash them; copy the next
//   copying          the nearby file cannot be read       opening      restart from zero with the
//                                                                      next one, else by network
//                                                                      (offline: it fails)
//   moving           a connection is free                 moving       ask the hub for the next
//                                                                      segment
//   moving           a redirect                           moving       the same range there; the
//                                                                      token only to the hub
//   moving           segment complete                     moving       save the resume record
//   moving           transient failure                    moving       give back what is missing;
//                                                                      block the host; ask the next
//                                                                      endpoint, or wait
//   moving           the host is down                     moving       likewise, but wait as long
//                                                                      as the patience lasts
//   moving           the endpoint does not have it, or    moving       ask the next endpoint
//                    its host was given up
//   moving           401, 403, … of a payload host        moving       ask the hub again, each
//                                                                      endpoint at most twice
//                                                                      without progress
//   moving           200 to a ranged request              moving       ask again; if that gives a
//                                                                      200 too, request the whole
//                                                                      file in one stream, of which
//                                                                      only missing bytes are
//                                                                      written
//   moving           416, another total, wrong encoding   opening      restart from zero, once or
//                                                                      at each endpoint
//   moving           all bytes on disk                    verifying    –
//   verifying        digests equal                        publishing   rename into place
//   verifying        digest differs                       opening      restart from zero, likewise;
//                                                                      then `digest_mismatch`
//   verifying        digest of a copy differs             opening      restart from zero with the
//                                                                      next nearby file, likewise
//   publishing       renamed                              done         outcome `fetched`
//   opening to publishing, staging file lost              locking      take the lock again
//   copying to verifying, the disk cannot be read         done         outcome `cancelled`; bytes
//                                                                      are deleted; the run ends
//   any              retry budget spent, or hopeless      done         outcome `failed`
//   any              deadline, signal, disk full          done         outcome `cancelled`; bytes
//                                                                      and resume record are kept
//
// A query goes waiting → moving → done. Every transfer of a file starts at the hub's `/resolve/`
// with its own range: a signed address is good for that range only
// (docs/developing/hub-protocol.md, section 3.8).
//
// A failure counts once, however many connections of the item it hits (failover.h).
//
// The segments of one file may come from several endpoints. If they turn out wrong together, none
// of them can be blamed: the file is fetched from zero, and from then on all of it from one
// endpoint; a successor starts at zero again. Wrong bytes that all came from one endpoint are that
// endpoint's fault: it is not asked for this file again.
//
// Bytes of a nearby file never meet those of the network, except what an earlier run left: whatever
// is wrong with a copy, it is dropped, and costs the file no attempt. If it does not fit what an
// earlier run left, it is copied once more from zero.
//
// Pure: no clock, socket, file or thread. Not thread-safe.
#pragma once

#include "model_prep/base/clock.h"
#include "model_prep/core/activity.h"
#include "model_prep/core/digest_check.h"
#include "model_prep/core/failover.h"
#include "model_prep/core/scheduler_state.h"
#include "model_prep/core/writer_watch.h"

namespace model_prep {

class FileTask {
 public:
  /// `shared` must outlive the task.
  FileTask(ItemId id, WorkItem work, SchedulerState& shared)
      : id_(id),
        shared_(shared),
        work_(std::move(work)),
        failover_(std::move(work_.sources), shared) {}

  bool waiting() const { return state_ == State::waiting; }
  bool done() const { return state_ == State::done; }

  /// Whether another process has its lock.
  bool waits_for_lock() const { return locking() && watch_.waiting(); }

  /// Whether it will need a connection soon and has none.
  bool starting() const;
  bool awaits_staging() const { return state_ == State::opening; }

  /// Whether its next bytes come from a nearby file, so that it needs no connection.
  bool copies() const { return has_nearby() && state_ < State::moving; }
  bool awaits_hash() const { return checking() || state_ == State::verifying; }

  /// Whether its bytes are being hashed, be it while they arrive.
  bool is_hashed() const {
    return checking() || (state_ >= State::copying && state_ <= State::verifying);
  }

  /// The host that is down and that it waits for; empty if it waits for anything else.
  std::string awaited_host() const;

  /// Says, once, that it waits for a rate limit. For when no request is in flight.
  bool announce_window() { return state_ == State::moving && failover_.announce_window(); }

  /// Why it ended in `failed`.
  const std::optional<Error>& failure() const { return failure_; }
  const std::vector<std::size_t>& models() const { return work_.models; }

  /// The ranges on disk; null while staging is not open.
  const RangeSet* have() const { return segments_ ? &segments_->have() : nullptr; }
  ActiveFile progress() const;
  PayloadRequest payload_request(const Transfer& transfer) const {
    return {transfer.context, transfer.requested, *work_.blob};
  }
  HostLimits::Bucket bucket() const { return failover_.bucket(); }

  // Steps, which the scheduler offers in each round.
  void start();
  void poll_lock();

  /// Fails if all hosts that might have it were given up and nothing is arriving.
  void leave_lost_hosts() {
    if (state_ != State::moving || transferring()) return;
    if (auto lost = failover_.leave_lost_hosts(work_.context)) fail(std::move(*lost));
  }

  /// Returns false if it needs no connection now.
  bool start_transfer();
  void save_resume_if_due();

  // Events. on_lock to on_not_copied, on_published and on_lost are ignored in a state that does
  // not wait for them; `Scheduler` passes the others on only when they are due.
  void on_lock(LockResult result);
  void on_busy(const std::string& owner, const std::string& heartbeat);
  void on_staged(RangeSet have);
  void on_copied(ByteRange range);
  void on_not_copied(const Error& error);
  void on_bytes(Transfer& transfer, ByteRange range);

  /// `transfer` has left `SchedulerState::transfers`; a redirect puts it back.
  void on_end(TransferId id, Transfer transfer, const TransferEnd& end);
  void on_hash(const HashResult& result);
  void on_published() {
    if (state_ == State::publishing) finish(FileStatus::fetched);
  }
  void on_lost(StagingOwner owner);
  void on_failed(const Error& error) {
    if (!done()) fail(error);
  }
  void finish(FileStatus status, std::optional<Error> error = {}, bool drop_staging = false);

 private:
  enum class State : std::uint8_t {
    waiting,
    checking,
    locking,
    lock_tried,
    rechecking,
    opening,
    copying,
    moving,
    verifying,
    publishing,
    done,
  };

  /// In place of a source: what an earlier run left, and the nearby file.
  static constexpr std::size_t kEarlierRun = SIZE_MAX;
  static constexpr std::size_t kNearby = SIZE_MAX - 1;

  bool is_query() const { return !work_.blob; }
  bool has_nearby() const { return nearby_ < work_.nearby.size(); }
  bool locking() const { return state_ == State::locking || state_ == State::lock_tried; }
  bool checking() const { return state_ == State::checking || state_ == State::rechecking; }
  bool transferring() const {
    return std::ranges::any_of(shared_.transfers,
                               [&](const auto& running) { return running.second.item == id_; });
  }
  void check_existing(State state) {
    state_ = state;
    stamps_.clear();
    copies_checked_ = 0;
    emit(CheckExisting{id_});
  }
  void open_staging(bool fresh, bool take_over = false);
  void restart_from_zero();
  void refetch(const Error& wrong, std::optional<std::size_t> culprit = std::nullopt);
  void on_disk_error(const Error& error);
  void on_damaged_blob(const Error& wrong);
  void get_bytes();
  void copy_next();
  void leave_nearby(const std::string& why);
  void on_wrong_copy(const Error& wrong);
  std::string source_of_bytes() const;
  void hash_to_watermark();
  void all_on_disk();
  void save_resume();
  void fail(Error error);

  void request(std::size_t source, ByteRange range);
  void send(TransferId id, Transfer transfer);
  void give_back(ByteRange range) {
    if (segments_) segments_->give_back(range);
  }
  void cancel_transfers(std::optional<std::size_t> of_source = std::nullopt);
  void on_body(const Transfer& transfer, const ResponseHead& head);
  void on_range_ignored(const Transfer& transfer);
  void follow_redirect(TransferId id, Transfer transfer, const ResponseHead& head);
  void on_failure(const Transfer& transfer, const Error& error, const ResponseHead& head = {});
  bool has_bytes_of_others(std::size_t source) const;
  template <class AnyAction>
  void emit(AnyAction action) {
    shared_.actions.emplace_back(std::move(action));
  }

  ItemId id_;
  SchedulerState& shared_;
  WorkItem work_;
  Failover failover_;
  State state_{State::waiting};
  TimePoint started_{};
  WriterWatch watch_;
  bool blob_damaged_{false};  // the existing blob was hashed and is wrong
  std::optional<Error> failure_;

  std::optional<SegmentMap> segments_;      // while staging is open
  std::set<std::size_t> byte_sources_;      // the sources of the staged bytes
  std::optional<std::size_t> only_source_;  // the source of all bytes, after wrong ones
  std::size_t nearby_{0};                   // the nearby file in use; those before are no good
  Bytes max_bytes_{0};                      // the most ever on disk: what exceeds it is progress
  Bytes fetched_{0};
  Bytes hashed_to_{0};
  Bytes unsaved_bytes_{0};  // written since the resume record was saved
  TimePoint next_resume_save_{TimePoint::min()};
  std::optional<Digest> sha256_;
  std::vector<FileStamp> stamps_;  // of the files that were hashed
  std::size_t copies_checked_{0};
};

}  // namespace model_prep
