// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/retry.h"

#include <algorithm>
#include <cmath>

#include "model_prep/base/parse_int.h"

namespace model_prep {
namespace {

constexpr std::chrono::seconds kMaxWait{3600};
constexpr std::int64_t kMaxRemaining = 1'000'000'000;  // as good as no limit

/// The number after `;<name>=`.
std::optional<std::int64_t> parameter(std::string_view header, std::string_view name) {
  for (std::size_t at = 0; (at = header.find(name, at)) != std::string_view::npos; ++at) {
    const std::string_view before = header.substr(0, at);
    const std::size_t last = before.find_last_not_of(' ');
    if (last == std::string_view::npos || before[last] != ';') continue;
    std::string_view digits = header.substr(at + name.size());
    return take_int(digits);
  }
  return std::nullopt;
}

}  // namespace

std::chrono::milliseconds backoff(const RetryPolicy& policy, int failures, double jitter) {
  const double doubled =
      static_cast<double>(policy.base.count()) * std::pow(2.0, std::clamp(failures, 1, 64) - 1);
  const double bound = std::min(doubled, static_cast<double>(policy.cap.count()));
  return std::chrono::milliseconds(static_cast<std::int64_t>(bound * std::clamp(jitter, 0.0, 1.0)));
}

ErrorKind kind_of_status(int status) {
  using enum ErrorKind;
  switch (status) {
    case 401:
    case 403: return unauthorized;
    case 404:
    case 410: return not_found;
    case 408: return timeout;
    case 425: return server;
    case 429: return rate_limited;
    case 501: return protocol;  // what was asked for is not implemented, and will not be
    default: return status >= 500 && status <= 599 ? server : protocol;
  }
}

std::optional<RateLimit> parse_rate_limit(std::string_view header) {
  const auto remaining = parameter(header, "r=");
  const auto reset = parameter(header, "t=");
  if (!remaining || !reset) return std::nullopt;
  return RateLimit{std::min(*remaining, kMaxRemaining),
                   std::chrono::seconds(std::min<std::int64_t>(*reset, kMaxWait.count()))};
}

std::chrono::seconds server_wait(const ResponseHead& head) {
  std::chrono::seconds wait = std::max(std::chrono::seconds{0}, head.retry_after);
  if (const auto limit = parse_rate_limit(head.rate_limit); limit && limit->remaining == 0)
    wait = std::max(wait, limit->reset + std::chrono::seconds{1});
  return std::min(wait, kMaxWait);
}

bool FailureBudget::moved(Bytes bytes) {
  since_ += bytes;
  if (since_ < kProgress) return false;
  since_ = 0;
  in_a_row_ = 0;
  return true;
}

}  // namespace model_prep
