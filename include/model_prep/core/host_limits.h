// SPDX-License-Identifier: Apache-2.0
// What the run knows about each host (an origin): when it may be asked again, whether it can be
// reached or is down, and which of its failures were logged.
//
// A host that says "not now" means every request, whichever file it is for. A host that announces
// how many requests are left in its rate-limit window (`RateLimit: …;r=…;t=…`,
// docs/developing/hub-protocol.md, section 4.3) gets that many until the window ends, including
// those in flight. The Hub counts its API and its files in separate buckets. An unreachable host is
// asked after all others.
//
// A host is down from its first failure, which is no answer at all or a 5xx, until its next answer,
// whatever that says. All requests wait for it together: one back-off for the host, and one request
// when it ends, the probe. A failed probe is a step. Failures of requests that were sent before the
// last step belong to it.
//
// The patience is with all endpoints together, and with all payload hosts together: it runs from
// the first failure after an answer of any of them, and stands still while a probe is due and
// nobody sends it. A payload host that only redirects does not count: it may lead to the one that
// is down. A host whose probe fails when the patience is over is given up.
//
// Pure; time is an argument.
#pragma once

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "model_prep/base/clock.h"
#include "model_prep/base/error.h"
#include "model_prep/base/response.h"
#include "model_prep/core/retry.h"

namespace model_prep {

struct Patience {
  std::chrono::seconds limit{0};  ///< 0: failures of a host count as failures of the file
  int max_steps{std::numeric_limits<int>::max()};
};

class HostLimits {
 public:
  /// The Hub counts the two separately. A small file counts as a file even if it is read as a
  /// query.
  enum class Bucket : std::uint8_t { queries, files };

  struct Outage {
    Error cause{};      ///< of the last step
    TimePoint since{};  ///< the patience began, without the time in which nobody asked
    TimePoint last{};   ///< its last step
    TimePoint end{};    ///< of the patience
    TimePoint until{};  ///< nothing is sent before; `max`: it is given up
    int steps{0};

    bool given_up() const { return until == TimePoint::max(); }
  };

  /// It gave no answer, or a 5xx.
  struct Failure {
    Error cause;
    bool of_hub;        ///< of an endpoint, and not of a payload host
    TimePoint sent;     ///< the request
    Duration demanded;  ///< how long the host wants to be left alone
    RetryPolicy backoff;
    double jitter;
  };
  /// Returns the outage if this is a new step; null if the failure belongs to the last one.
  const Outage* on_failure(const std::string& origin, const Failure& failure,
                           const Patience& patience, TimePoint now);

  /// It answered with any other status. What was sent before its last failure proves nothing: the
  /// answer may be as old.
  void on_answer(const std::string& origin, bool of_hub, bool redirects, TimePoint sent,
                 TimePoint now) {
    const auto down = outages_.find(origin);
    if (down != outages_.end() && sent <= down->second.last) return;
    if (down != outages_.end()) outages_.erase(down);

    answered_[origin] = now;
    if (of_hub || !redirects) silences_.erase(of_hub);
  }

  /// Null: it is not known to be down.
  const Outage* outage(const std::string& origin) const {
    const auto found = outages_.find(origin);
    return found == outages_.end() ? nullptr : &found->second;
  }

  /// When it last answered; `min` if it never did.
  TimePoint answered(const std::string& origin) const {
    const auto found = answered_.find(origin);
    return found == answered_.end() ? TimePoint::min() : found->second;
  }

  bool any_given_up() const {
    return std::ranges::any_of(outages_, [](const auto& it) { return it.second.given_up(); });
  }

  /// Each host that was given up gets one more probe.
  void probe_given_up() {
    for (auto& [origin, outage] : outages_)
      if (outage.given_up()) outage.until = outage.last;
  }

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

  /// Whether a window is used up, and nobody has said so.
  bool any_window_unannounced(TimePoint now) const {
    return std::ranges::any_of(windows_, [&](const auto& it) {
      return !it.second.announced && !it.second.has_room(0, now);
    });
  }

  /// Notes that somebody has said so. Returns false if that was not necessary: it is not used up,
  /// or a refusal was logged.
  bool mark_window_announced(const std::string& origin, Bucket bucket, TimePoint now);

  /// Whether it is open, and would be if no request were in flight.
  bool has_room(const std::string& origin, Bucket bucket, TimePoint now) const {
    return closed_until(origin, bucket, 0, now) <= now;
  }

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
    RequestNumber counted{0};  ///< the last request whose response says so
    bool used_up{false};       ///< `r` was 0
    bool announced{false};
    TimePoint until{TimePoint::min()};

    bool has_room(std::int64_t in_flight, TimePoint now) const {
      return now >= until || (!used_up && sent + in_flight < last);
    }
  };
  struct Silence {
    TimePoint since;  ///< see `Outage::since`
    TimePoint due;    ///< the next request, at the latest
  };
  std::map<std::string, TimePoint> blocks_;
  std::map<std::string, Outage> outages_;
  std::map<std::string, TimePoint> answered_;
  std::map<bool, Silence> silences_;  // of the endpoints: true; of the payload hosts: false
  std::map<std::pair<std::string, Bucket>, Window> windows_;
  std::map<std::pair<std::string, ErrorKind>, TimePoint> logged_;
  std::set<std::string> unreachable_;
  std::set<std::string> ever_unreachable_;
};

/// Which of the Hub's windows a request counts in (docs/developing/hub-protocol.md, section 4.3).
HostLimits::Bucket bucket_of(const Url& url);

/// Of an origin as people write it: without `https://`.
std::string host_of(const std::string& origin);

/// `cannot reach huggingface.co (Could not resolve host)`, `huggingface.co is unavailable (status
/// 503)`.
std::string describe_outage(const std::string& origin, const Error& cause);

/// What to check.
std::string hint_of_outage(const Error& cause);

}  // namespace model_prep
