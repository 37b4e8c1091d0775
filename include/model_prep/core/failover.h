// SPDX-License-Identifier: Apache-2.0
// What the failures of one item lead to: which endpoint is asked next, from when on, and when the
// item is given up.
//
// A failure counts once, however many connections of the item it hits: each transfer carries the
// failure epoch in which it started. Transfers that started before a failure and end after it
// belong to that failure and are not counted again. With several endpoints, one failure at each
// counts once in all (source_selector.h).
//
// A host that is down (host_limits.h) is no failure of the item, which waits for it as long as the
// patience with it lasts. But a host that answers others, and not this item, is not down: if it has
// answered since it first failed for the item, its failures are the item's own.
//
// Pure; not thread-safe.
#pragma once

#include "model_prep/base/clock.h"
#include "model_prep/core/scheduler_state.h"

namespace model_prep {

class Failover {
 public:
  /// `shared` must outlive it.
  Failover(std::vector<Source> sources, SchedulerState& shared)
      : shared_(shared),
        sources_(std::move(sources)),
        bucket_(bucket_of(sources_[0].url)),
        budget_(shared.settings.retry.max_failures) {}

  const SourceSelector& sources() const { return sources_; }
  const FailureBudget& budget() const { return budget_; }
  HostLimits::Bucket bucket() const { return bucket_; }
  int failure_epoch() const { return failure_epoch_; }
  int restarts() const { return restarts_; }
  int attempts() const { return 1 + budget_.total() + fail_overs_; }
  const Endpoint& endpoint(std::size_t source) const {
    return shared_.settings.endpoints[sources_[source].endpoint];
  }

  /// Whether the present source gives no ranges.
  bool single_stream() const { return single_stream_; }
  void use_single_stream() { single_stream_ = true; }

  struct Choice {
    std::optional<std::size_t> source;  ///< to ask now
    TimePoint at{TimePoint::min()};     ///< without a source: when there will be one
  };

  /// The first available source whose host is reachable and open; an unreachable host only if there
  /// is no other. While `only` is available, no other source is considered.
  Choice choose(std::optional<std::size_t> only) const;

  /// `transfer` wrote to disk; `gained`: bytes that were never there before.
  void record_progress(Transfer& transfer, Bytes gained) {
    window_waited_ = false;
    record_payload_host(transfer);
    // Bytes of a transfer that started before a refusal prove nothing about the signatures since.
    if (gained > 0 && budget_.moved(gained) && in_current_epoch(transfer))
      spent_signatures_.clear(), ignored_ranges_.clear();
  }

  /// The transfer failed, and another try may succeed. Returns an error if the item must be given
  /// up with it.
  std::optional<Error> record_transient_failure(const Transfer& transfer, const Error& error,
                                                const ResponseHead& head);

  /// This source does not have the item, or gives nothing that could be it. Likewise.
  std::optional<Error> record_permanent_failure(const Transfer& transfer, const Error& error,
                                                const ResponseHead& head);

  /// The staged bytes are wrong, all of them from `culprit` if there is one. Returns an error if
  /// the item must be given up with it; otherwise it is fetched from zero.
  std::optional<Error> record_wrong_bytes(const Error& wrong, std::optional<std::size_t> culprit);

  /// The staging file was lost, with the transfers that wrote to it. Returns false if the item must
  /// be given up.
  bool record_loss();

  /// A response has the whole file, or no usable range. Returns false if there is no point in
  /// requesting a range again.
  bool record_ignored_range(const Transfer& transfer);

  /// A payload host refused a signed address. Returns false if another one would not help.
  bool record_spent_signature(const Transfer& transfer);

  /// Whether the host responded, and how, says something about the host.
  void record_response(Transfer& transfer, const TransferEnd& end);

  /// Turns away from the sources whose host was given up. Returns an error if the item must be
  /// given up with them.
  std::optional<Error> leave_lost_hosts(const RequestContext& context);

  /// The payload host that this source led to when that was down; else empty.
  std::string led_to(std::size_t source) const {
    const auto found = led_to_.find(source);
    return found == led_to_.end() ? std::string() : found->second;
  }

  /// The host that is down and that the item waits for, because all its sources lead to such hosts:
  /// that of the first source. Otherwise empty.
  std::string awaited_host() const;

  /// Says that the item waits because its hosts allow no more requests for now, unless that was
  /// said before. Returns whether it has said so.
  bool announce_window();

  /// Whether a redirect may go to this host now.
  bool may_follow(const Transfer& transfer, const Url& target) const;

  /// It may not: another endpoint is asked, or the same one later.
  void avoid_redirect(const Transfer& transfer, const Url& target);

 private:
  /// `window`: with its rate limit.
  TimePoint closed_until(const std::string& origin, bool window = true) const;

  /// A host that calls its window used up in every response, whether or not the window has ended,
  /// does not mean it: it is obeyed once.
  TimePoint redirect_closed_until(const std::string& origin) const {
    return closed_until(origin, !window_waited_);
  }

  /// The source leads to this host now, which answers: there is no need to wait for another one.
  /// Not if it only redirects, because that may lead to the one that is down.
  void record_payload_host(Transfer& transfer) {
    if (led_to(transfer.source) != transfer.url.origin) led_to_.erase(transfer.source);
    transfer.awaited.clear();
  }

  /// Which host of the source was given up: its own, or the payload host that it led to. Empty if
  /// none was.
  std::string lost_host_of(std::size_t source) const;
  bool record_outage(const Transfer& transfer, Duration demanded, bool has_next);
  void use_next_source(const Transfer& transfer, const Error& error, bool is_down = false);
  std::optional<Error> next_round_or_give_up(const Transfer& transfer, const Error& error,
                                             Duration wait);
  void wait_until(TimePoint when) { not_before_ = std::max(not_before_, when); }
  std::string alternative_to(std::size_t source) const;
  bool in_current_epoch(const Transfer& transfer) const {
    return transfer.failure_epoch == failure_epoch_;
  }

  SchedulerState& shared_;
  SourceSelector sources_;
  HostLimits::Bucket bucket_;
  FailureBudget budget_;
  TimePoint not_before_{TimePoint::min()};
  int failure_epoch_{0};
  int fail_overs_{0};          // to another endpoint, without a pause, from one that is not down
  int restarts_{0};            // from zero
  int probes_{0};              // of hosts that were down, and still were
  bool failed_itself_{false};  // in this round: not only its hosts were down
  std::map<std::string, TimePoint> failing_since_;  // hosts that have not answered it since
  std::map<std::size_t, std::string> led_to_;

  // Of each source, without progress since.
  std::map<std::size_t, int> spent_signatures_;
  std::map<std::size_t, int> ignored_ranges_;  // nor a failure of the item at another source

  // What the present source has shown.
  bool single_stream_{false};
  bool window_waited_{false};  // for the end of a rate limit, without a byte since
};

}  // namespace model_prep
