// SPDX-License-Identifier: Apache-2.0
// What is known of each host (an origin): when it may be asked again, and which of its faults were
// told.
//
// A host that says «not now» says it to all requests at once, whichever file they are for. One that
// says how many requests are left of its window (`RateLimit: …;r=…;t=…`,
// docs/developing/hub-protocol.md, section 4.3) is asked that often and no oftener until the window
// ends, those under way included; the Hub counts its API and its files apart. One that cannot be
// reached at all is asked after all others. Pure; time is an argument.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "model_prep/base/clock.h"
#include "model_prep/base/error.h"
#include "model_prep/core/retry.h"

namespace model_prep {

class HostLimits {
 public:
  enum class Counted : std::uint8_t { queries, files };

  /// It refused: 429 or 5xx.
  void embargo(const std::string& origin, TimePoint until);
  /// It is asked. The ticket goes with the request and comes back with its answer.
  using Ticket = std::int64_t;
  Ticket asked(const std::string& origin, Counted what);
  /// It answered that request, and said how many more it would answer.
  void heard(const std::string& origin, Counted what, Ticket ticket, const RateLimit& limit,
             TimePoint now);

  /// When it may be asked again, else `TimePoint::min()`: after a refusal, or also after a window
  /// of which nothing is left. The host may have answered the requests that are under way in
  /// another order than they were sent, so that many may be less than it seems.
  TimePoint refuses_until(const std::string& origin, TimePoint now) const;
  TimePoint closed_until(const std::string& origin, Counted what, std::int64_t under_way,
                         TimePoint now) const;
  /// It cannot be reached, or does not say a word: whoever can asks another host first. Until it
  /// answers. Whether that is the first time in this run.
  bool silent(const std::string& origin);
  void answered(const std::string& origin) { silent_.erase(origin); }
  bool is_silent(const std::string& origin) const { return silent_.contains(origin); }
  /// Whether a fault of this kind is news. A dead network hits every file: one of them tells for
  /// all, every few seconds.
  bool is_news(const std::string& origin, ErrorKind kind, TimePoint now);

 private:
  struct Window {
    Ticket asked{0};
    Ticket last{0};  ///< that it answers in this window: one that is not counted yet when `r` was
                     ///< said is after it
    bool used_up{false};  ///< in its own words
    TimePoint until{TimePoint::min()};
  };
  std::map<std::string, TimePoint> embargoes_;
  std::map<std::pair<std::string, Counted>, Window> windows_;
  std::map<std::pair<std::string, ErrorKind>, TimePoint> told_;
  std::set<std::string> silent_;
  std::set<std::string> were_silent_;
};

}  // namespace model_prep
