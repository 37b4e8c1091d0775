// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/rate_limiter.h"

#include <algorithm>

#include "model_prep/base/parse_int.h"

namespace model_prep {
namespace {

constexpr std::int64_t kMaxRate = std::int64_t{1} << 50;

/// The power of 1024 that K, M or G stands for.
std::optional<int> power_of(std::string_view suffix) {
  if (suffix.empty()) return 0;

  const auto found = std::string_view("KMGkmg").find(suffix.front());
  if (suffix.size() > 1 || found == std::string_view::npos) return std::nullopt;
  return static_cast<int>(found % 3) + 1;
}

}  // namespace

std::optional<std::int64_t> parse_rate(std::string_view text) {
  const auto number = take_int(text);
  const auto power = power_of(text);
  if (!number || !power || *number > kMaxRate >> (10 * *power)) return std::nullopt;

  const std::int64_t rate = *number << (10 * *power);
  return rate < kMinRateLimit ? std::nullopt : std::optional(rate);
}

bool RateLimiter::try_acquire(TransferId id, Bytes bytes, TimePoint now) {
  if (now < paid_off_) {
    waiting_.push_back(id);
    return false;
  }

  // One read is far below 8 GB, so the product does not overflow.
  constexpr std::int64_t kSecond = std::chrono::nanoseconds(std::chrono::seconds(1)).count();
  const std::chrono::nanoseconds charge(bytes * kSecond / rate_ + 1);
  const bool is_first = paid_off_ == TimePoint::min();
  paid_off_ = (is_first ? now : std::max(paid_off_, now - kCredit)) + charge;
  return true;
}

std::optional<TransferId> RateLimiter::next_ready(TimePoint now) {
  if (due() > now) return std::nullopt;

  const TransferId id = waiting_.front();
  waiting_.pop_front();
  return id;
}

}  // namespace model_prep
