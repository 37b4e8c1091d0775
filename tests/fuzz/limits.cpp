// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "fuzz/targets.h"
#include "model_prep/core/host_limits.h"

namespace model_prep::fuzz {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string kHost = "https://hub.example";

struct Run {
  HostLimits hosts{};
  Patience patience{};
  TimePoint now{hours(1)};
  TimePoint sent{hours(1)};

  void on_head(char what, const ResponseHead& head) {
    const auto limit = parse_rate_limit(head.rate_limit);
    const auto bucket = what == 'q' ? HostLimits::Bucket::queries : HostLimits::Bucket::files;
    const auto request = hosts.on_request(kHost, bucket);
    if (limit) hosts.on_rate_limit(kHost, bucket, request, *limit, now);

    if (what == 'b') hosts.block_until(kHost, now + server_wait(head));
    if (what == 'a') hosts.on_answer(kHost, true, false, sent, now);
    if (what == 'f') on_failure(head);
  }

  void on_failure(const ResponseHead& head) {
    const auto* outage = hosts.on_failure(kHost,
                                          {.cause = {ErrorKind::server, "status 503"},
                                           .of_hub = head.status % 2 == 0,
                                           .sent = sent,
                                           .demanded = server_wait(head),
                                           .backoff = {},
                                           .jitter = head.status / 1000.0},
                                          patience, now);
    if (outage == nullptr) return;

    require(outage->last == now && outage->since <= now && outage->steps > 0,
            "a step is taken now");
    require(outage->given_up() || outage->steps < patience.max_steps,
            "no more attempts than allowed");
    require(outage->given_up() || now < outage->end, "no attempt after the patience");
    require(outage->given_up() || (outage->until >= now && outage->until - now <= hours(1)),
            "the next attempt is not before the past, and within the hour");
  }

  void check() const {
    for (const auto bucket : {HostLimits::Bucket::queries, HostLimits::Bucket::files})
      for (const std::int64_t in_flight : {0, 64}) {
        const TimePoint until = hosts.closed_until(kHost, bucket, in_flight, now);
        require(until == TimePoint::min() || (until > now && until <= now + hours(1) + seconds(1)),
                "a host is closed until a time in the next hour");
      }
  }
};

}  // namespace

void limits(std::string_view input) {
  Lines lines(input);
  Run run;
  run.patience.limit =
      seconds(std::max<std::int64_t>(0, number(lines.next()).value_or(300) % 1'000'000));
  run.patience.max_steps = static_cast<int>(number(lines.next()).value_or(1000) % 1001);

  // `q`, `b`, `a` or `f` and a RateLimit header; or `t` and milliseconds; or `s`: a request is
  // sent.
  while (!lines.rest().empty()) {
    const std::string line = lines.next();
    if (line.empty()) continue;
    const std::string text = line.substr(1);
    if (line[0] == 't')
      run.now += milliseconds(std::max<std::int64_t>(0, number(text).value_or(0) % 10'000'000));
    if (line[0] == 's') run.sent = run.now;

    ResponseHead head;
    head.status = static_cast<int>(line.size() % 1000);
    head.rate_limit = text;
    head.retry_after = seconds(number(text).value_or(0));
    run.on_head(line[0], head);
    run.check();
  }
}

}  // namespace model_prep::fuzz
