// SPDX-License-Identifier: Apache-2.0
#include "model_prep/decisions/host_book.h"

#include <algorithm>

namespace model_prep {
namespace {

constexpr auto kOldNews = std::chrono::seconds(3);

}  // namespace

void HostBook::embargo(const std::string& origin, Why why, TimePoint until) {
  TimePoint& end = embargoes_.try_emplace({origin, why}, until).first->second;
  end = std::max(end, until);
}

TimePoint HostBook::embargoed_until(const std::string& origin, TimePoint now) const {
  return std::max(embargoed_until(origin, Why::refused, now), embargoed_until(origin, Why::used_up, now));
}

TimePoint HostBook::embargoed_until(const std::string& origin, Why why, TimePoint now) const {
  const auto found = embargoes_.find({origin, why});
  return found == embargoes_.end() || found->second <= now ? TimePoint::min() : found->second;
}

bool HostBook::is_news(const std::string& origin, ErrorKind kind, TimePoint now) {
  const auto [told, is_first] = told_.try_emplace({origin, kind}, now);
  if (!is_first && now < told->second + kOldNews) return false;
  told->second = now;
  return true;
}

}  // namespace model_prep
