// SPDX-License-Identifier: Apache-2.0
// What to do next: events in, actions out. No clock, no socket, no file, no thread; time and chance
// are arguments.
//
// An item is a file to be fetched, or a query of the hub's API. The life of a file:
//
//   state       event                                   next        action
//   waiting     a blob is there that nobody vouches for checking    hash it
//   waiting     room for another file                   locking     try the lock
//   checking    digest equals                           done        outcome `reused`
//   checking    digest differs                          locking     fetch it anew (offline:
//   `digest_mismatch`) locking     held by another                         locking     look again
//   in 250 ms; say so now and then locking     got it, the blob exists now             checking
//   hash it: another program may have put it there locking     got it moving      open staging,
//   read the resume record moving      another process is staging it           locking     let the
//   lock go, look again (see `resume.h`) moving      a connection is free                    moving
//   ask the hub for the next segment moving      a redirect                              moving the
//   same range there, the token only at the hub moving      segment ended whole moving      record
//   ranges moving      transient failure                       moving      give back what is
//   missing; embargo host or file;
//                                                                   ask the next endpoint, and wait
//                                                                   after the last
//   moving      the endpoint does not have it           moving      ask the next endpoint
//   moving      401, 403, … of a payload host           moving      ask the hub again, at most
//   twice without progress moving      200 to a ranged request                 moving      one
//   stream from byte 0, no ranges any more moving      416, another total, wrong encoding moving
//   forget what is staged, once or for each endpoint moving      all bytes on disk verifying   –
//   verifying   digests equal                           publishing  rename into place
//   verifying   digest differs                          moving      restart from zero once, or at
//   the next endpoint;
//                                                                   then `digest_mismatch`
//   publishing  renamed                                 done        outcome `fetched`
//   moving …    the staging file is gone, or claimed    locking     begin anew; counts as a failure
//   any         out of attempts, or not worth another   done        outcome `failed`
//   any         deadline, signal, disk full             done        outcome `cancelled`, bytes and
//   record kept
//
// A query goes waiting → moving → done. Every transfer of a file starts at the hub's `/resolve/`
// with its own range: a signed address is good for that range only
// (docs/developing/hub-protocol.md, section 3.8).
//
// A failure counts once however many connections of the item it hits: a transfer that was under way
// when the last failure was counted is part of it. Where there are several endpoints (endpoints.h),
// one at each counts once in all.
//
// The segments of one file may come from several endpoints. If they turn out wrong together, nobody
// can be blamed: the file is fetched from zero, and from then on all of it from one endpoint; who
// takes over begins at zero. Bytes that all came from one endpoint and are wrong are that
// endpoint's fault: it is not asked for this file again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "model_prep/base/clock.h"
#include "model_prep/base/response.h"
#include "model_prep/core/activity.h"
#include "model_prep/core/fetch_plan.h"
#include "model_prep/core/host_limits.h"
#include "model_prep/core/lock_waiter.h"
#include "model_prep/core/mirror_selector.h"
#include "model_prep/core/response_check.h"
#include "model_prep/core/retry.h"
#include "model_prep/core/segments.h"

namespace model_prep {

using ItemId = std::size_t;

struct WorkItem {
  RequestContext asked;
  std::vector<Source> sources;  ///< at the hub and its mirrors
  bool query{false};
  // For files only:
  std::int64_t size{0};
  std::optional<Digest> blob{};
  std::optional<Digest> expected_sha256{};
  bool locked{false};
  bool html{false};
  bool check_existing{false};
  std::vector<std::size_t>
      models{};  ///< when one of them cannot succeed, items that only it wants are not begun
};

struct CheckExisting {
  ItemId item;
};
struct TryLock {
  ItemId item;
};
struct OpenStaging {
  ItemId item;
  bool fresh;      ///< forget what is staged
  bool take_over;  ///< of a writer who has gone silent
};
struct StartTransfer {
  TransferId id;
  ItemId item;
  std::size_t source;    ///< of the item: where it was asked for, redirects or not
  std::size_t endpoint;  ///< of that source
  Url url;
  std::optional<ByteRange> range;  ///< what to ask for; nothing: the whole
  bool with_token;                 ///< the one of that endpoint
};
struct CancelTransfer {
  TransferId id;
};
struct HashTo {
  ItemId item;
  std::int64_t watermark;
};
struct SaveResume {
  ItemId item;
};
struct Publish {
  ItemId item;
};
struct Close {
  ItemId item;
  bool drop_staging;
};  ///< release the lock, close the files, stop hashing
struct Finish {
  ItemId item;
  FileOutcome outcome;
};
enum class NoticeLevel : std::uint8_t { debug, info, warning, error };
struct Notice {
  NoticeLevel level;
  std::string text;
};

using Action = std::variant<CheckExisting, TryLock, OpenStaging, StartTransfer, CancelTransfer,
                            HashTo, SaveResume, Publish, Close, Finish, Notice>;

enum class LockResult : std::uint8_t { held, acquired, acquired_blob_exists };

enum class PublishResult : std::uint8_t { done, staging_lost };

enum class Loss : std::uint8_t { pruned, taken };

struct SchedulerSettings {
  RetryPolicy retry{};
  int connections{8};
  std::vector<Endpoint> endpoints{};  ///< in order of preference
  bool offline{false};
  std::optional<TimePoint> deadline{};
};

class Scheduler {
 public:
  /// `hosts` is what an earlier scheduler of the run has learned of them.
  Scheduler(SchedulerSettings settings, std::vector<WorkItem> items, HostLimits hosts = {});

  /// What is to be done now. Carry the actions out in order, report each one's result, and call
  /// again.
  std::vector<Action> next(TimePoint now);
  /// When to call `next` at the latest: at once after an event, or when a wait is over.
  TimePoint wake_at() const { return actions_.empty() ? wake_ : TimePoint::min(); }
  bool finished() const { return open_items_ == 0 && actions_.empty(); }

  void on_lock(ItemId item, LockResult answer, const std::string& holder, TimePoint now);
  void on_staged(ItemId item, RangeSet have, TimePoint now);
  /// Another process is at it, whatever the lock says; `sign` changes as long as it lives.
  void on_owned(ItemId item, const std::string& owner, const std::string& sign, TimePoint now);
  /// The staging file is not ours any more.
  void on_lost(ItemId item, Loss how, TimePoint now);
  /// Bytes of this transfer are on disk.
  void on_bytes(TransferId transfer, ByteRange range);
  void on_end(const TransferEnd& end, TimePoint now, double jitter);
  void on_hash(ItemId item, const HashResult& answer, TimePoint now);
  void on_published(ItemId item, PublishResult answer, TimePoint now);
  /// Everything that is left ends now, and it is told why: a signal, a full disk, a fault that
  /// concerns the whole run.
  void stop(const Error& why, TimePoint now);

  /// What a running transfer asked for: its sink judges the head with it.
  const PayloadRequest& payload_request(TransferId transfer) const {
    return transfers_.at(transfer).asked;
  }
  /// The bytes that a running transfer may write.
  ByteRange range_of(TransferId transfer) const { return transfers_.at(transfer).range; }
  /// Whether it was neither ended nor cancelled.
  bool running(TransferId transfer) const { return transfers_.contains(transfer); }
  /// Whether it still wants the staging that it asked for.
  bool awaits_staging(ItemId item) const {
    return items_[item].state == State::moving && !items_[item].segments;
  }
  /// What of the item is on disk; null while it is not staged.
  const RangeSet* have(ItemId item) const;
  /// What the files are at that are begun and not done; for a fetch, for those who watch.
  std::vector<ActiveFile> active_files(TimePoint now) const;
  int retries() const { return retries_; }
  std::int64_t requests() const { return requests_; }
  const HostLimits& hosts() const { return hosts_; }

 private:
  static constexpr auto kSaveEvery = std::chrono::seconds(1);  // what a kill may cost
  static constexpr std::size_t kEarlier = SIZE_MAX;            // no source: bytes of an earlier run

  enum class State : std::uint8_t {
    waiting,
    checking,
    locking,
    moving,
    verifying,
    publishing,
    done
  };

  struct Item {
    Item(WorkItem wanted, FailureBudget failures)
        : work(std::move(wanted)), sources(std::move(work.sources)), budget(failures) {}
    WorkItem work;
    MirrorSelector sources;
    FailureBudget budget;
    int passed_on{0};  // failures that another endpoint was asked for at once
    std::set<std::size_t>
        came_from;  // the sources of the staged bytes; `kEarlier`: of an earlier run
    std::optional<std::size_t> sole;  // of all bytes, once they were wrong
    State state{State::waiting};
    bool lock_held{false};
    bool lock_asked{false};
    bool damaged{false};        // the existing blob was hashed and is wrong
    bool whole{false};          // this server gives no ranges
    std::size_t restarts{0};    // from zero
    bool window_waited{false};  // for the end of a rate limit's window, without progress since
    bool query_taken{false};
    int spent_signatures{0};
    int generation{0};  // of failures, see the header
    std::optional<SegmentMap> segments;
    std::int64_t best{0};  // most bytes ever on disk: what is beyond is progress
    std::int64_t hashed_to{0};
    std::int64_t fetched{0};
    std::optional<Digest> sha256;
    bool unsaved{false};
    TimePoint not_before{TimePoint::min()};
    LockWaiter watch;
    TimePoint save_again{TimePoint::min()};
    TimePoint begun{};
  };

  struct Transfer {
    ItemId item;
    std::size_t source;
    ByteRange range;
    Url url;
    int hops{0};
    int generation{0};
    std::int64_t received{0};
    HostLimits::Ticket ticket{0};
    PayloadRequest asked;
  };

  HostLimits::Counted counted(ItemId id) const {
    return items_[id].work.query ? HostLimits::Counted::queries : HostLimits::Counted::files;
  }
  TimePoint closed_until(ItemId id, const std::string& origin, TimePoint now) const;
  bool begin(ItemId id, TimePoint now);
  void begin_items(TimePoint now);
  void look_at_locks(TimePoint now);
  void wait_for(ItemId id, const std::string& holder, const std::string& sign, TimePoint now);
  void fill_slots(TimePoint now);
  bool start_one(ItemId id, TimePoint now);
  struct Turn {
    std::optional<std::size_t> source;  ///< that is asked now
    TimePoint at;                       ///< else: when there will be one
  };
  Turn turn_of(ItemId id, TimePoint now) const;
  void start(ItemId id, std::size_t source, ByteRange range);
  void send(TransferId id, Transfer transfer);
  void save_resumes(TimePoint now);
  void hop(TransferId id, Transfer transfer, const ResponseHead& head, TimePoint now,
           double jitter);
  void on_body(ItemId id, const Transfer& transfer, TimePoint now, double jitter);
  void on_spent_signature(ItemId id, const Transfer& transfer, const Error& error, TimePoint now,
                          double jitter);
  void failure(ItemId id, const Transfer& transfer, const Error& error, const ResponseHead& head,
               TimePoint now, double jitter);
  void refused(ItemId id, const Transfer& transfer, const Error& error, const ResponseHead& head,
               TimePoint now, double jitter);
  void wait_for_round(ItemId id, const std::string& origin, const Error& error, Duration wait,
                      TimePoint now);
  void pass_on(ItemId id, const Transfer& transfer, const Error& error, TimePoint now);
  void note_silence(const Transfer& transfer, const TransferEnd& end);
  void detour(const Transfer& transfer, const Error& why, TimePoint now);
  std::string next_endpoint(ItemId id, std::size_t without) const;
  bool has_bytes_of_others(ItemId id, const Transfer& transfer) const;
  bool spares(ItemId id, const Transfer& transfer) const;
  const Endpoint& endpoint_of(const Transfer& transfer) const {
    return settings_.endpoints[items_[transfer.item].sources[transfer.source].endpoint];
  }
  void give_back(const Transfer& transfer);
  void begin_at_zero(ItemId id);
  void on_damaged(ItemId id, const Error& wrong, TimePoint now);
  void restart(ItemId id, TimePoint now, const Error& wrong,
               std::optional<std::size_t> from = std::nullopt);
  void fail(ItemId id, Error error, TimePoint now);
  void drop_model(std::size_t model, const Error& error, TimePoint now);
  void finish(ItemId id, FileStatus status, std::optional<Error> error, TimePoint now,
              bool drop_staging = false);
  void cancel_transfers(ItemId id);
  void cancel_transfers_at(ItemId id, std::size_t source);
  void all_on_disk(ItemId id);
  void wake(TimePoint when) { wake_ = std::min(wake_, when); }

  SchedulerSettings settings_;
  std::vector<Item> items_;
  std::map<TransferId, Transfer> transfers_;
  std::set<ItemId> active_;  // neither waiting nor done
  HostLimits hosts_;
  std::set<std::size_t> failed_models_;
  std::vector<Action> actions_;
  std::size_t first_waiting_{0};
  std::size_t open_items_{0};
  TransferId next_transfer_{1};
  TimePoint wake_{TimePoint::min()};
  int retries_{0};
  std::int64_t requests_{0};
  bool stopping_{false};
};

}  // namespace model_prep
