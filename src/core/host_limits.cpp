// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/host_limits.h"

#include <algorithm>

namespace model_prep {
namespace {

constexpr auto kOldNews = std::chrono::seconds(3);
constexpr auto kAfterWindow =
    std::chrono::seconds(1);  // `t` is in whole seconds, as huggingface_hub reckons too

}  // namespace

void HostLimits::embargo(const std::string& origin, TimePoint until) {
  TimePoint& end = embargoes_.try_emplace(origin, until).first->second;
  end = std::max(end, until);
}

HostLimits::Ticket HostLimits::asked(const std::string& origin, Counted what) {
  return ++windows_[{origin, what}].asked;
}

/// Answers come in any order, so each counts from its own request: those that were sent after it
/// are not in its `r`.
void HostLimits::heard(const std::string& origin, Counted what, Ticket ticket,
                       const RateLimit& limit, TimePoint now) {
  Window& window = windows_[{origin, what}];
  const TimePoint until = now + limit.reset + kAfterWindow;
  if (window.used_up && now < window.until) {
    // What it called used up stays so to the window's end, whatever older answers say that come in
    // late.
    if (limit.remaining == 0) window.until = std::max(window.until, until);
    return;
  }
  window.last = ticket + limit.remaining;
  window.used_up = limit.remaining == 0;
  window.until = until;
}

TimePoint HostLimits::refuses_until(const std::string& origin, TimePoint now) const {
  const auto found = embargoes_.find(origin);
  return found == embargoes_.end() || found->second <= now ? TimePoint::min() : found->second;
}

TimePoint HostLimits::closed_until(const std::string& origin, Counted what, std::int64_t under_way,
                                   TimePoint now) const {
  const auto found = windows_.find({origin, what});
  const bool open =
      found == windows_.end() || now >= found->second.until ||
      (!found->second.used_up && found->second.asked + under_way < found->second.last);
  return std::max(refuses_until(origin, now), open ? TimePoint::min() : found->second.until);
}

bool HostLimits::silent(const std::string& origin) {
  silent_.insert(origin);
  return were_silent_.insert(origin).second;
}

bool HostLimits::is_news(const std::string& origin, ErrorKind kind, TimePoint now) {
  const auto [told, is_first] = told_.try_emplace({origin, kind}, now);
  if (!is_first && now < told->second + kOldNews) return false;
  told->second = now;
  return true;
}

}  // namespace model_prep
