// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/failover.h"

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr int kMaxSpentSignatures = 2;
constexpr int kMaxIgnoredRanges = 1;
// Between the items that wait for a host: those that have probed it less often go first, so that a
// file that its host never gives cannot keep the others from finding out that it is up.
constexpr std::chrono::milliseconds kHeadStart{50};

std::string in_words(Duration duration) {
  const auto seconds = std::chrono::round<std::chrono::seconds>(duration).count();
  return seconds < 120 ? fmt::format("{} s", seconds) : fmt::format("{} min", (seconds + 30) / 60);
}

std::string describe_status(const ResponseHead& head) {
  const std::string reason = truncated(head.error_message, 300);
  return fmt::format("status {}{}{}", head.status, reason.empty() ? "" : ": ", reason);
}

std::string when_again(Duration wait) {
  return wait < std::chrono::milliseconds(50) ? "at once"
                                              : fmt::format("in {:.1f} s", in_seconds(wait));
}

/// `trying again in 2.0 s, for up to 5 min`
std::string describe_next_step(const HostLimits::Outage& outage,
                               const SchedulerSettings& settings) {
  const TimePoint deadline = settings.deadline.value_or(TimePoint::max());
  if (outage.until >= deadline) return "the deadline comes before the next attempt";

  // A host may demand to be left alone for longer than the patience lasts.
  const TimePoint end = std::min(std::max(outage.until, outage.end), deadline);
  const auto left = std::chrono::ceil<std::chrono::seconds>(end - outage.last);
  std::string text = fmt::format("trying again {}, for up to {}",
                                 when_again(outage.until - outage.last), in_words(left));
  if (settings.patience.max_steps < std::numeric_limits<int>::max())
    text += fmt::format(" or {} attempts", settings.patience.max_steps);
  return text;
}

/// `cannot reach huggingface.co (Could not resolve host): trying again in 2.0 s, for up to 5 min`,
/// and at the first step what to check.
std::string describe_step(const std::string& origin, const HostLimits::Outage& outage,
                          const SchedulerSettings& settings) {
  const std::string text =
      describe_outage(origin, outage.cause) + ": " + describe_next_step(outage, settings);
  return outage.steps > 1 ? text : text + "; " + hint_of_outage(outage.cause);
}

}  // namespace

TimePoint Failover::closed_until(const std::string& origin, bool window) const {
  const HostLimits& hosts = shared_.hosts;
  const HostLimits::Outage* outage = hosts.outage(origin);
  std::int64_t in_flight = 0;
  for (const auto& [id, transfer] : shared_.transfers) {
    const bool is_there = transfer.url.origin == origin;
    if (is_there) ++in_flight;
    const bool is_probe = outage && transfer.sent > outage->last;
    if (is_probe && (is_there || transfer.awaited == origin)) return TimePoint::max();
  }

  const TimePoint open = window ? hosts.closed_until(origin, bucket_, in_flight, shared_.now)
                                : hosts.blocked_until(origin, shared_.now);
  if (!outage) return open;
  if (outage->given_up()) return TimePoint::max();
  const TimePoint opens = outage->until + probes_ * kHeadStart;
  return opens <= shared_.now ? open : std::max(open, opens);
}

std::string Failover::lost_host_of(std::size_t source) const {
  for (const std::string& origin : {led_to(source), sources_[source].url.origin})
    if (const auto* outage = shared_.hosts.outage(origin); outage && outage->given_up())
      return origin;
  return {};
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

      TimePoint until = std::max(not_before_, closed_until(origin));
      if (const std::string payload_host = led_to(i); shared_.hosts.outage(payload_host))
        until = std::max(until, closed_until(payload_host, false));
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
  const Duration demanded = server_wait(head);
  const bool of_host = record_outage(transfer, demanded, counts && !round_over);
  if (counts) {
    ++failure_epoch_;
    if (!of_host) failed_itself_ = true, ++shared_.retries;
  }

  // If only hosts were down, they decide when the next round begins.
  const bool round_failed = round_over && failed_itself_;
  if (round_failed) budget_.failed();
  if (round_over) failed_itself_ = false;

  // The host is blocked for all items, also if this one is given up.
  const Duration pause = backoff(shared_.settings.retry, budget_.in_a_row(), shared_.jitter);
  const Duration wait = std::max<Duration>(pause, demanded);
  if (error.kind == ErrorKind::rate_limited || error.kind == ErrorKind::server)
    shared_.hosts.block_until(transfer.url.origin, shared_.now + (of_host ? demanded : wait));

  // What this host demands holds for this host: the item may continue at another.
  const bool alone = sources_.remaining() == 1;
  if (round_failed) return next_round_or_give_up(transfer, error, alone ? wait : pause);

  if (counts && !round_over)
    use_next_source(transfer, error, of_host);
  else if (alone && !of_host)
    wait_until(shared_.now + wait);
  return std::nullopt;
}

std::string Failover::awaited_host() const {
  std::string awaited;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (!sources_.is_available(i)) continue;

    const std::string payload_host = led_to(i);
    const std::string& host =
        shared_.hosts.outage(payload_host) ? payload_host : sources_[i].url.origin;
    if (!shared_.hosts.outage(host)) return {};
    if (awaited.empty()) awaited = host;
  }
  return awaited;
}

bool Failover::announce_window() {
  std::optional<std::size_t> first;
  bool is_news = false;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const std::string& origin = sources_[i].url.origin;
    if (!sources_.is_available(i)) continue;
    if (shared_.hosts.has_room(origin, bucket_, shared_.now)) return false;

    is_news = shared_.hosts.mark_window_announced(origin, bucket_, shared_.now) || is_news;
    if (!first) first = i;
  }
  if (!is_news) return false;

  const bool may_have_token = endpoint(*first).token == TokenUse::none;
  shared_.notice(
      LogLevel::warning,
      fmt::format("the rate limit of {} is used up: continuing in {}{}",
                  host_of(sources_[*first].url.origin),
                  in_words(choose(std::nullopt).at - shared_.now),
                  may_have_token ? "; with a token, in HF_TOKEN, it may allow more" : ""));
  return true;
}

/// Whether the failure is the host's. `has_next`: another endpoint is asked at once, so that there
/// is nothing to wait for.
bool Failover::record_outage(const Transfer& transfer, Duration demanded, bool has_next) {
  const Patience& patience = shared_.settings.patience;
  if (!transfer.no_answer || patience.limit == patience.limit.zero()) return false;

  HostLimits& hosts = shared_.hosts;
  const std::string& origin = transfer.url.origin;
  const TimePoint first = failing_since_.try_emplace(origin, shared_.now).first->second;
  if (!hosts.outage(origin) && hosts.answered(origin) > first) return false;

  if (origin != sources_[transfer.source].url.origin) led_to_[transfer.source] = origin;
  const auto* outage = hosts.on_failure(origin,
                                        {.cause = *transfer.no_answer,
                                         .of_hub = transfer.context.of_hub,
                                         .sent = transfer.sent,
                                         .demanded = demanded,
                                         .backoff = shared_.settings.retry,
                                         .jitter = shared_.jitter},
                                        patience, shared_.now);
  if (outage == nullptr) return true;

  ++probes_;
  if (outage->given_up()) return true;
  ++shared_.retries;
  if (!has_next)
    shared_.notice(LogLevel::warning, describe_step(origin, *outage, shared_.settings));
  return true;
}

std::optional<Error> Failover::leave_lost_hosts(const RequestContext& context) {
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const std::string host = sources_.is_available(i) ? lost_host_of(i) : std::string();
    if (host.empty()) continue;

    const HostLimits::Outage& outage = *shared_.hosts.outage(host);
    Error cause = outage.cause;
    cause.message +=
        fmt::format("; gave up after {} attempt{} in {}", outage.steps,
                    outage.steps == 1 ? "" : "s", in_words(outage.last - outage.since));
    const Transfer lost{.item = 0,
                        .source = i,
                        .context = context,
                        .range = {},
                        .requested = {},
                        .url = {host, host, sources_[i].url.https}};
    auto error = record_permanent_failure(lost, describe_transport_error(cause, context, lost.url),
                                          ResponseHead{});
    if (error) return error;
  }
  return std::nullopt;
}

std::optional<Error> Failover::record_permanent_failure(const Transfer& transfer,
                                                        const Error& error,
                                                        const ResponseHead& head) {
  const bool unknown_address =
      head.error_code.empty() &&
      (head.status == 400 || head.status == 404 || head.status == 405 || head.status == 501);
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
void Failover::use_next_source(const Transfer& transfer, const Error& error, bool is_down) {
  single_stream_ = false;
  window_waited_ = false;
  // Outages are not counted as failures: nothing that bounds the requests may begin again with one.
  if (!is_down) ignored_ranges_.clear();
  if (sources_.has_fallback(transfer.source)) return;  // the same endpoint

  if (!is_down) ++fail_overs_;
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
  if (sources_.remaining() > 1) window_waited_ = false;  // the next one may mean it
  const bool news = shared_.hosts.should_log(transfer.url.origin, error.kind, shared_.now);
  shared_.notice(
      news ? LogLevel::warning : LogLevel::debug,
      fmt::format("{} (failure {} of {}; retrying {})", error.message, budget_.in_a_row(),
                  shared_.settings.retry.max_failures, when_again(wait)));
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

bool Failover::record_ignored_range(const Transfer& transfer) {
  // One of many servers behind an address may do that: the next one is asked.
  if (!in_current_epoch(transfer)) return true;
  int& ignored = ignored_ranges_[transfer.source];
  if (ignored >= kMaxIgnoredRanges) return false;
  ++ignored;
  ++failure_epoch_;
  return true;
}

bool Failover::record_spent_signature(const Transfer& transfer) {
  // Segments that were signed together are refused together: that counts once.
  if (!in_current_epoch(transfer)) return true;
  ++failure_epoch_;
  return ++spent_signatures_[transfer.source] <= kMaxSpentSignatures;
}

void Failover::record_response(Transfer& transfer, const TransferEnd& end) {
  const int status = end.head.status;
  if (status >= 500)
    transfer.no_answer = Error{ErrorKind::server, describe_status(end.head)};
  else if (status == 0)
    transfer.no_answer = end.error;
  else if (!end.head.redirect) {  // which may lead to an address of the same host that fails
    failing_since_.erase(transfer.url.origin);
    failing_since_.erase(sources_[transfer.source].url.origin);  // it led here
    if (status < 300) record_payload_host(transfer);
  }

  const bool unreachable =
      end.error && (!end.reached || (end.error->kind == ErrorKind::timeout && status == 0));
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
  const HostLimits::Outage* outage = shared_.hosts.outage(target.origin);
  const bool is_down = outage != nullptr;
  if (is_down) led_to_[transfer.source] = target.origin;  // `choose` waits for it
  if (!sources_.has_alternative(transfer.source)) {
    // If only requests in flight have taken what the window has left, `choose` asks again when they
    // have ended.
    const bool is_home = target.origin == sources_[transfer.source].url.origin;
    if (is_down || (is_home && shared_.hosts.has_room(target.origin, bucket_, shared_.now))) return;

    wait_until(redirect_closed_until(target.origin));
    window_waited_ = true;
    return;
  }
  if (!in_current_epoch(transfer)) return;

  const Error cause = is_down ? outage->cause
                      : shared_.hosts.is_unreachable(target.origin)
                          ? Error{ErrorKind::network, "it did not respond earlier in this run"}
                          : Error{ErrorKind::rate_limited, "it is rate-limiting requests"};
  const Error why = describe_transport_error(cause, transfer.context, target);
  ++failure_epoch_;
  sources_.mark_failed(transfer.source, why);
  use_next_source(transfer, why, is_down);
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
