// SPDX-License-Identifier: Apache-2.0
// What the run knows about each host (an origin): when it may be asked again, whether it can be
// reached, and which of its failures were logged.
//
// A host that says "not now" means every request, whichever file it is for. A host that announces
// how many requests are left in its rate-limit window (`RateLimit: …;r=…;t=…`,
// docs/developing/hub-protocol.md, section 4.3) gets that many until the window ends, including
// those in flight. The Hub counts its API and its files in separate buckets. An unreachable host is
// asked after all others. Pure; time is an argument.
#pragma once

#include <algorithm>
#include <map>
#include <set>

#include "model_prep/base/clock.h"
#include "model_prep/base/error.h"
#include "model_prep/core/retry.h"

namespace model_prep {

class HostLimits {
 public:
  enum class Bucket : std::uint8_t { queries, files };

  /// It responded with a status of kind `rate_limited` or `server`.
  void block_until(const std::string& origin, TimePoint until) {
    TimePoint& end = blocks_[origin];
    end = std::max(end, until);
  }

  /// A request goes out. Its number comes back with the response's rate limit.
  using RequestNumber = std::int64_t;
  RequestNumber on_request(const std::string& origin, Bucket bucket) {
    return ++windows_[{origin, bucket}].sent;
  }
  void on_rate_limit(const std::string& origin, Bucket bucket, RequestNumber number,
                     const RateLimit& limit, TimePoint now);

  /// The end of a block; `TimePoint::min()` if there is none.
  TimePoint blocked_until(const std::string& origin, TimePoint now) const;

  /// Like `blocked_until`, but also closed while the window has no request left. Which requests in
  /// flight the last `r` already counts is unknown, so all of them are subtracted.
  TimePoint closed_until(const std::string& origin, Bucket bucket, std::int64_t in_flight,
                         TimePoint now) const;

  /// It refuses connections, or timed out without a word. True the first time in this run.
  bool mark_unreachable(const std::string& origin) {
    unreachable_.insert(origin);
    return ever_unreachable_.insert(origin).second;
  }
  void mark_reachable(const std::string& origin) { unreachable_.erase(origin); }
  bool is_unreachable(const std::string& origin) const { return unreachable_.contains(origin); }

  /// Whether a failure of this kind is worth a line. A dead network hits every file: one line every
  /// few seconds speaks for all of them.
  bool should_log(const std::string& origin, ErrorKind kind, TimePoint now);

 private:
  struct Window {
    RequestNumber sent{0};

    /// The last request that this window has room for: the number of the one that got `r`, plus
    /// `r`.
    RequestNumber last{0};
    bool used_up{false};  ///< `r` was 0
    TimePoint until{TimePoint::min()};
  };
  std::map<std::string, TimePoint> blocks_;
  std::map<std::pair<std::string, Bucket>, Window> windows_;
  std::map<std::pair<std::string, ErrorKind>, TimePoint> logged_;
  std::set<std::string> unreachable_;
  std::set<std::string> ever_unreachable_;
};

}  // namespace model_prep
