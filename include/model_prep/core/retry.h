// SPDX-License-Identifier: Apache-2.0
// Whether to retry, and when: pure functions of their arguments, the random number included.
#pragma once

#include "model_prep/base/error.h"
#include "model_prep/base/response.h"

namespace model_prep {

struct RetryPolicy {
  int max_failures{5};                    ///< give up at this many failures in a row
  std::chrono::milliseconds base{1'000};  ///< the first back-off's upper bound; it doubles
  std::chrono::milliseconds cap{60'000};  ///< no back-off is longer, unless the server demands it
};

/// Exponential back-off with full jitter: uniformly between 0 and min(cap, base × 2^(failures −
/// 1)). `failures` counts from 1, `jitter` is in [0, 1].
std::chrono::milliseconds backoff(const RetryPolicy& policy, int failures, double jitter);

/// What an HTTP status means without an error code of the Hub. Not to be called for 200 to 399.
ErrorKind kind_of_status(int status);

/// `RateLimit: "resolvers";r=0;t=55` (docs/developing/hub-protocol.md, section 4.3): requests left,
/// and seconds until the window ends. Neither is ever so large that adding to it overflows.
struct RateLimit {
  std::int64_t remaining{0};
  std::chrono::seconds reset{0};
};
std::optional<RateLimit> parse_rate_limit(std::string_view header);

/// How long the server demands to wait: `Retry-After`, or the end of a `RateLimit` window that is
/// used up (plus one second, as huggingface_hub does); 0 if it says nothing. At most an hour: a
/// header is no reason to hang.
std::chrono::seconds server_wait(const ResponseHead& head);

/// Counts failures without progress. A server that sends a byte at a time makes no progress; a 40
/// GB file over a bad line does, and may fail fifty times.
class FailureBudget {
 public:
  static constexpr Bytes kProgress = 256 * 1024;  ///< bytes newly on disk that reset the count

  explicit FailureBudget(int max_failures) : max_failures_(max_failures) {}

  /// True if these bytes completed a step of progress.
  bool moved(Bytes bytes);
  void failed() { ++in_a_row_, ++total_; }
  bool spent() const { return in_a_row_ >= max_failures_ && in_a_row_ > 0; }
  int in_a_row() const { return in_a_row_; }
  int total() const { return total_; }

 private:
  int max_failures_;
  int in_a_row_{0};
  int total_{0};
  Bytes since_{0};
};

}  // namespace model_prep
