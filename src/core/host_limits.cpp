// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/host_limits.h"

#include <fmt/format.h>

namespace model_prep {
namespace {

constexpr auto kLogEvery = std::chrono::seconds(3);
// `t` is in whole seconds; huggingface_hub adds one too.
constexpr auto kAfterWindow = std::chrono::seconds(1);
// How late a probe may be that somebody waits to send: items let others go first (failover.cpp).
constexpr auto kProbeDelay = std::chrono::seconds(1);

}  // namespace

const HostLimits::Outage* HostLimits::on_failure(const std::string& origin, const Failure& failure,
                                                 const Patience& patience, TimePoint now) {
  const auto [at, is_first] = outages_.try_emplace(origin);
  Outage& outage = at->second;
  if (!is_first && failure.sent <= outage.last) return nullptr;

  Silence& silence = silences_.try_emplace(failure.of_hub, Silence{now, now}).first->second;
  silence.since += std::max(Duration::zero(), failure.sent - silence.due);
  silence.due = std::max(silence.due, now);

  outage.cause = failure.cause;
  outage.since = silence.since;
  outage.last = now;
  outage.end = silence.since + patience.limit;

  if (++outage.steps >= patience.max_steps || now >= outage.end) {
    outage.until = TimePoint::max();
  } else {
    // The last probe is sent when the patience ends, unless the host itself wants to be left alone
    // for longer.
    const Duration pause = backoff(failure.backoff, outage.steps, failure.jitter);
    outage.until = now + std::max(failure.demanded, std::min(pause, outage.end - now));
    silence.due = std::max(silence.due, outage.until + kProbeDelay);
  }
  return &outage;
}

void HostLimits::on_rate_limit(const std::string& origin, Bucket bucket, RequestNumber number,
                               const RateLimit& limit, TimePoint now) {
  Window& window = windows_[{origin, bucket}];
  const TimePoint until = now + limit.reset + kAfterWindow;

  // A window that was used up stays so until it ends, whatever older responses say that arrive
  // late.
  if (window.used_up && now < window.until) {
    if (limit.remaining == 0) window.until = std::max(window.until, until);
    return;
  }

  // Each counts from its own request: its `r` does not include the requests that were sent after
  // it. They arrive in any order, and one that was long on its way knows nothing of a host that has
  // given more meanwhile.
  if (number < window.counted && limit.remaining > 0) return;

  window.last = number + limit.remaining;
  window.counted = number;
  window.used_up = limit.remaining == 0;
  window.announced = false;
  window.until = until;
}

bool HostLimits::mark_window_announced(const std::string& origin, Bucket bucket, TimePoint now) {
  const auto found = windows_.find({origin, bucket});
  if (found == windows_.end() || found->second.has_room(0, now)) return false;

  const bool is_news = !std::exchange(found->second.announced, true);
  return is_news && blocked_until(origin, now) <= now;
}

TimePoint HostLimits::blocked_until(const std::string& origin, TimePoint now) const {
  const auto found = blocks_.find(origin);
  return found == blocks_.end() || found->second <= now ? TimePoint::min() : found->second;
}

TimePoint HostLimits::closed_until(const std::string& origin, Bucket bucket, std::int64_t in_flight,
                                   TimePoint now) const {
  const TimePoint blocked = blocked_until(origin, now);
  const auto found = windows_.find({origin, bucket});
  if (found == windows_.end()) return blocked;

  const Window& window = found->second;
  return window.has_room(in_flight, now) ? blocked : std::max(blocked, window.until);
}

bool HostLimits::should_log(const std::string& origin, ErrorKind kind, TimePoint now) {
  const auto [logged, is_first] = logged_.try_emplace({origin, kind}, now);
  if (!is_first && now < logged->second + kLogEvery) return false;
  logged->second = now;
  return true;
}

HostLimits::Bucket bucket_of(const Url& url) {
  return url.text.find("/resolve/") != std::string::npos ? HostLimits::Bucket::files
                                                         : HostLimits::Bucket::queries;
}

std::string host_of(const std::string& origin) {
  return origin.substr(origin.starts_with("https://") ? 8 : 0);
}

std::string describe_outage(const std::string& origin, const Error& cause) {
  const std::string host = host_of(origin);
  return fmt::format(
      "{} ({})",
      cause.kind == ErrorKind::server ? host + " is unavailable" : "cannot reach " + host,
      cause.message);
}

std::string hint_of_outage(const Error& cause) {
  if (!cause.hint.empty()) return cause.hint;
  return cause.kind == ErrorKind::server ? "it may be starting, or overloaded"
                                         : "check the network, the proxy variables and HF_ENDPOINT";
}

}  // namespace model_prep
