// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/failover.h"

#include <fmt/format.h>

namespace model_prep {
namespace {

constexpr int kMaxSpentSignatures = 2;

}  // namespace

Failover::Failover(std::vector<Source> sources, HostLimits::Bucket bucket, SchedulerState& shared)
    : shared_(shared),
      mirrors_(std::move(sources)),
      bucket_(bucket),
      budget_(shared.settings.retry.retries) {}

TimePoint Failover::closed_until(const std::string& origin) const {
  const auto in_flight =
      std::count_if(shared_.transfers.begin(), shared_.transfers.end(),
                    [&](const auto& running) { return running.second.url.origin == origin; });
  return shared_.hosts.closed_until(origin, bucket_, in_flight, shared_.now);
}

MirrorSelector::Choice Failover::choose(std::optional<std::size_t> only) const {
  const auto choice = mirrors_.choose(
      shared_.hosts, only, [this](const std::string& origin) { return closed_until(origin); });
  if (shared_.now >= not_before_) return choice;
  return {std::nullopt, std::max(not_before_, choice.at)};
}

void Failover::on_bytes(const Transfer& transfer, std::int64_t gained) {
  window_waited_ = false;
  // Bytes of a transfer that started before a refusal prove nothing about the signatures since.
  if (gained > 0 && budget_.moved(gained) && in_current_epoch(transfer)) spent_signatures_ = 0;
}

std::optional<Error> Failover::on_failure(const Transfer& transfer, const Error& error,
                                          const ResponseHead& head) {
  return disposition(error.kind) == Disposition::retry
             ? on_transient_failure(transfer, error, head)
             : on_permanent_failure(transfer, error, head);
}

std::optional<Error> Failover::on_transient_failure(const Transfer& transfer, const Error& error,
                                                    const ResponseHead& head) {
  const bool counts = in_current_epoch(transfer);
  bool round_over = false;
  if (counts) {
    ++failure_epoch_;
    ++shared_.retries;
    round_over = mirrors_.mark_failed(transfer.source, error);
    if (round_over) budget_.failed();
  }

  // The host is blocked for all items, also if this one is given up.
  const Duration pause = backoff(shared_.settings.retry, budget_.in_a_row(), shared_.jitter);
  const Duration wait = std::max<Duration>(pause, server_wait(head));
  if (error.kind == ErrorKind::rate_limited || error.kind == ErrorKind::server)
    shared_.hosts.block_until(transfer.url.origin, shared_.now + wait);

  if (counts && !round_over) return try_next_mirror(transfer, error);

  // What this host demands holds for this host: the item may continue at another.
  const bool alone = mirrors_.remaining() == 1;
  if (counts) return wait_for_next_round(transfer, error, alone ? wait : pause);
  if (alone) wait_until(shared_.now + wait);
  return std::nullopt;
}

/// This endpoint does not have the item, or gives nothing that could be it.
std::optional<Error> Failover::on_permanent_failure(const Transfer& transfer, const Error& error,
                                                    const ResponseHead& head) {
  const bool unknown_address =
      (head.status == 404 || head.status == 405) && head.error_code.empty();
  const bool round_over = mirrors_.mark_unavailable(transfer.source, error, unknown_address);
  if (mirrors_.remaining() == 0) return mirrors_.error(shared_.settings.endpoints, error);

  if (!round_over) return try_next_mirror(transfer, error);

  ++shared_.retries;
  budget_.failed();
  return wait_for_next_round(transfer, error,
                             backoff(shared_.settings.retry, budget_.in_a_row(), shared_.jitter));
}

/// The item goes on at another endpoint, now: there is nothing to give up.
std::optional<Error> Failover::try_next_mirror(const Transfer& transfer, const Error& error) {
  single_stream_ = false;
  spent_signatures_ = 0;
  window_waited_ = false;
  if (mirrors_.has_fallback(transfer.source)) return std::nullopt;  // the same endpoint

  ++fail_overs_;
  const std::string& origin = transfer.url.origin;
  const bool news = !shared_.hosts.is_unreachable(origin) &&
                    shared_.hosts.should_log(origin, error.kind, shared_.now);
  const bool transient = disposition(error.kind) == Disposition::retry;
  const std::string next = alternative_to(transfer.source);
  shared_.notice(
      !news       ? NoticeLevel::debug
      : transient ? NoticeLevel::warning
                  : NoticeLevel::info,
      fmt::format("{}; {} is asked for it", error.message, next.empty() ? "the next" : next));
  return std::nullopt;
}

std::optional<Error> Failover::wait_for_next_round(const Transfer& transfer, const Error& error,
                                                   Duration wait) {
  if (budget_.spent()) {
    --shared_.retries;  // the last failure is not retried
    return mirrors_.error(shared_.settings.endpoints, error);
  }

  wait_until(shared_.now + wait);
  if (mirrors_.remaining() > 1) {  // what one of them did does not count against the next
    spent_signatures_ = 0;
    window_waited_ = false;
  }
  const bool news = shared_.hosts.should_log(transfer.url.origin, error.kind, shared_.now);
  shared_.notice(news ? NoticeLevel::warning : NoticeLevel::debug,
                 fmt::format("{} (failure {} of {}, next try in {:.1f} s)", error.message,
                             budget_.in_a_row(), shared_.settings.retry.retries, in_seconds(wait)));
  return std::nullopt;
}

std::optional<Error> Failover::on_wrong_bytes(const Error& wrong,
                                              std::optional<std::size_t> culprit) {
  const bool elsewhere = culprit && mirrors_.remaining() > 1;
  const auto max_restarts = culprit ? 1 : static_cast<int>(mirrors_.size());

  // The only endpoint gets a second chance.
  if (culprit && (elsewhere || restarts_ > 0))
    static_cast<void>(mirrors_.mark_unavailable(*culprit, wrong, false));
  if (!elsewhere && restarts_ >= max_restarts)
    return culprit ? mirrors_.error(shared_.settings.endpoints, wrong) : wrong;

  ++restarts_;
  if (elsewhere) single_stream_ = false;
  const std::string next = elsewhere ? alternative_to(*culprit) : std::string();
  shared_.notice(NoticeLevel::warning,
                 next.empty()
                     ? fmt::format("{}; it is fetched once more from the start", wrong.message)
                     : fmt::format("{}, from {}; it is fetched from the start from {}",
                                   wrong.message, endpoint(*culprit).name, next));
  return std::nullopt;
}

bool Failover::on_lost() {
  ++failure_epoch_;
  budget_.failed();
  if (budget_.spent()) return false;
  ++shared_.retries;
  return true;
}

bool Failover::on_signature_spent(const Transfer& transfer) {
  // Segments that were signed together are refused together: that counts once.
  if (!in_current_epoch(transfer)) return true;
  ++failure_epoch_;
  if (++spent_signatures_ > kMaxSpentSignatures) return false;

  shared_.notice(NoticeLevel::debug,
                 fmt::format("{}: the signed address was refused, asking the hub again",
                             transfer.context.object));
  return true;
}

void Failover::on_no_response(const Transfer& transfer, const TransferEnd& end) {
  const bool unreachable =
      !end.reached || (end.error->kind == ErrorKind::timeout && end.head.status == 0);
  if (!unreachable || disposition(end.error->kind) != Disposition::retry) return;

  const bool first = shared_.hosts.mark_unreachable(transfer.url.origin);
  const std::string next = alternative_to(transfer.source);
  if (first && !next.empty())
    shared_.notice(NoticeLevel::warning,
                   fmt::format("{} {} ({}): from here on {} is asked first", transfer.url.origin,
                               brief(end.error->kind), end.error->message, next));
}

/// A host that calls its window used up in every response, whether or not the window has ended,
/// does not mean it: it is obeyed once.
TimePoint Failover::redirect_closed_until(const std::string& origin) const {
  return window_waited_ ? shared_.hosts.blocked_until(origin, shared_.now) : closed_until(origin);
}

bool Failover::may_follow(const Transfer& transfer, const Url& target) const {
  if (redirect_closed_until(target.origin) != TimePoint::min()) return false;
  // An unreachable host is tried again only if there is no other endpoint.
  return !shared_.hosts.is_unreachable(target.origin) || !mirrors_.has_alternative(transfer.source);
}

void Failover::avoid_redirect(const Transfer& transfer, const Url& target) {
  if (!mirrors_.has_alternative(transfer.source)) {
    wait_until(redirect_closed_until(target.origin));
    window_waited_ = true;
    return;
  }
  if (!in_current_epoch(transfer)) return;

  const bool unreachable = shared_.hosts.is_unreachable(target.origin);
  const Error why = describe_transport_error(
      unreachable ? Error{ErrorKind::network, "it was silent before", {}}
                  : Error{ErrorKind::rate_limited, "it wants to be left alone", {}},
      transfer.context, target);
  ++failure_epoch_;
  static_cast<void>(mirrors_.mark_failed(transfer.source, why));
  try_next_mirror(transfer, why);
}

/// The name of the endpoint that is asked instead; empty if the others were asked or are
/// unreachable.
std::string Failover::alternative_to(std::size_t source) const {
  const Source* next = mirrors_.alternative(source, shared_.hosts);
  return next == nullptr ? std::string() : shared_.settings.endpoints[next->endpoint].name;
}

}  // namespace model_prep
