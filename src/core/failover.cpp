// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/failover.h"

#include <fmt/format.h>

namespace model_prep {
namespace {

constexpr int kMaxSpentSignatures = 2;

}  // namespace

TimePoint Failover::closed_until(const std::string& origin) const {
  const auto in_flight = std::ranges::count_if(
      shared_.transfers, [&](const auto& running) { return running.second.url.origin == origin; });
  return shared_.hosts.closed_until(origin, bucket_, in_flight, shared_.now);
}

Failover::Choice Failover::choose(std::optional<std::size_t> only) const {
  // A source that has become unavailable binds nobody: then any other will do.
  const bool bound = only && sources_.is_available(*only);
  TimePoint earliest = TimePoint::max();

  for (const bool unreachable : {false, true})
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      const std::string& origin = sources_[i].url.origin;
      if (!sources_.is_available(i) || (bound && i != *only)) continue;
      if (shared_.hosts.is_unreachable(origin) != unreachable) continue;

      const TimePoint until = std::max(not_before_, closed_until(origin));
      if (until <= shared_.now) return {i};
      earliest = std::min(earliest, until);
    }
  return {std::nullopt, earliest};
}

std::optional<Error> Failover::record_transient_failure(const Transfer& transfer,
                                                        const Error& error,
                                                        const ResponseHead& head) {
  // What ends with a failure that was counted is part of it.
  const bool counts = in_current_epoch(transfer);
  const bool round_over = counts && sources_.mark_failed(transfer.source, error);
  if (round_over) budget_.failed();
  if (counts) {
    ++failure_epoch_;
    ++shared_.retries;
  }

  // The host is blocked for all items, also if this one is given up.
  const Duration pause = backoff(shared_.settings.retry, budget_.in_a_row(), shared_.jitter);
  const Duration wait = std::max<Duration>(pause, server_wait(head));
  if (error.kind == ErrorKind::rate_limited || error.kind == ErrorKind::server)
    shared_.hosts.block_until(transfer.url.origin, shared_.now + wait);

  // What this host demands holds for this host: the item may continue at another.
  const bool alone = sources_.remaining() == 1;
  if (round_over) return next_round_or_give_up(transfer, error, alone ? wait : pause);

  if (counts)
    use_next_source(transfer, error);
  else if (alone)
    wait_until(shared_.now + wait);
  return std::nullopt;
}

std::optional<Error> Failover::record_permanent_failure(const Transfer& transfer,
                                                        const Error& error,
                                                        const ResponseHead& head) {
  const bool unknown_address =
      (head.status == 404 || head.status == 405) && head.error_code.empty();
  const bool round_over = sources_.mark_unavailable(transfer.source, error, unknown_address);
  if (sources_.remaining() == 0) return sources_.error(shared_.settings.endpoints, error);

  if (!round_over) {
    use_next_source(transfer, error);
    return std::nullopt;
  }

  ++shared_.retries;
  budget_.failed();
  return next_round_or_give_up(transfer, error,
                               backoff(shared_.settings.retry, budget_.in_a_row(), shared_.jitter));
}

/// The item goes on at another endpoint, now: there is nothing to give up.
void Failover::use_next_source(const Transfer& transfer, const Error& error) {
  single_stream_ = false;
  spent_signatures_ = 0;
  window_waited_ = false;
  if (sources_.has_fallback(transfer.source)) return;  // the same endpoint

  ++fail_overs_;
  const std::string& origin = transfer.url.origin;
  if (shared_.hosts.is_unreachable(origin) ||
      !shared_.hosts.should_log(origin, error.kind, shared_.now))
    return;

  const bool transient = disposition(error.kind) == Disposition::retry;
  const std::string next = alternative_to(transfer.source);
  shared_.notice(transient ? LogLevel::warning : LogLevel::info,
                 fmt::format("{}; trying {} instead", error.message,
                             next.empty() ? "the next endpoint" : next));
}

std::optional<Error> Failover::next_round_or_give_up(const Transfer& transfer, const Error& error,
                                                     Duration wait) {
  if (budget_.spent()) {
    --shared_.retries;  // the last failure is not retried
    return sources_.error(shared_.settings.endpoints, error);
  }

  wait_until(shared_.now + wait);
  if (sources_.remaining() > 1) {  // what one of them did does not count against the next
    spent_signatures_ = 0;
    window_waited_ = false;
  }
  const bool news = shared_.hosts.should_log(transfer.url.origin, error.kind, shared_.now);
  shared_.notice(
      news ? LogLevel::warning : LogLevel::debug,
      fmt::format("{} (failure {} of {}; retrying in {:.1f} s)", error.message, budget_.in_a_row(),
                  shared_.settings.retry.max_failures, in_seconds(wait)));
  return std::nullopt;
}

std::optional<Error> Failover::record_wrong_bytes(const Error& wrong,
                                                  std::optional<std::size_t> culprit) {
  const bool elsewhere = culprit && sources_.remaining() > 1;
  const auto max_restarts = culprit ? 1 : static_cast<int>(sources_.size());

  // The only endpoint gets a second chance.
  if (culprit && (elsewhere || restarts_ > 0)) sources_.mark_unavailable(*culprit, wrong, false);
  if (!elsewhere && restarts_ >= max_restarts)
    return culprit ? sources_.error(shared_.settings.endpoints, wrong) : wrong;

  ++restarts_;
  if (elsewhere) single_stream_ = false;
  const std::string next = elsewhere ? alternative_to(*culprit) : std::string();
  shared_.notice(LogLevel::warning,
                 next.empty() ? wrong.message + "; downloading it again from the start"
                              : fmt::format("{}, from {}; downloading it again from {}",
                                            wrong.message, endpoint(*culprit).name, next));
  return std::nullopt;
}

bool Failover::record_loss() {
  ++failure_epoch_;
  budget_.failed();
  if (budget_.spent()) return false;
  ++shared_.retries;
  return true;
}

bool Failover::record_spent_signature(const Transfer& transfer) {
  // Segments that were signed together are refused together: that counts once.
  if (!in_current_epoch(transfer)) return true;
  ++failure_epoch_;
  return ++spent_signatures_ <= kMaxSpentSignatures;
}

void Failover::record_no_response(const Transfer& transfer, const TransferEnd& end) {
  const bool unreachable =
      !end.reached || (end.error->kind == ErrorKind::timeout && end.head.status == 0);
  if (!unreachable || disposition(end.error->kind) != Disposition::retry) return;

  const bool first = shared_.hosts.mark_unreachable(transfer.url.origin);
  const std::string next = alternative_to(transfer.source);
  if (first && !next.empty())
    shared_.notice(LogLevel::warning,
                   fmt::format("{} {} ({}); using {} first from now on", transfer.url.origin,
                               brief(end.error->kind), end.error->message, next));
}

bool Failover::may_follow(const Transfer& transfer, const Url& target) const {
  if (redirect_closed_until(target.origin) != TimePoint::min()) return false;
  // An unreachable host is tried again only if there is no other endpoint.
  return !shared_.hosts.is_unreachable(target.origin) || !sources_.has_alternative(transfer.source);
}

void Failover::avoid_redirect(const Transfer& transfer, const Url& target) {
  if (!sources_.has_alternative(transfer.source)) {
    wait_until(redirect_closed_until(target.origin));
    window_waited_ = true;
    return;
  }
  if (!in_current_epoch(transfer)) return;

  const Error cause = shared_.hosts.is_unreachable(target.origin)
                          ? Error{ErrorKind::network, "it did not respond earlier in this run"}
                          : Error{ErrorKind::rate_limited, "it is rate-limiting requests"};
  const Error why = describe_transport_error(cause, transfer.context, target);
  ++failure_epoch_;
  sources_.mark_failed(transfer.source, why);
  use_next_source(transfer, why);
}

/// The name of the endpoint that is asked instead; empty if the others were asked or are
/// unreachable.
std::string Failover::alternative_to(std::size_t source) const {
  for (std::size_t i = 0; i < sources_.size(); ++i)
    if (i != source && sources_.is_available(i) &&
        !shared_.hosts.is_unreachable(sources_[i].url.origin))
      return endpoint(i).name;
  return {};
}

}  // namespace model_prep
