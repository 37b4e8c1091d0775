// SPDX-License-Identifier: Apache-2.0
// The responses of the hub and of the payload host, faults included.
#include "core/builders.h"
#include "core/random_faults.h"

namespace model_prep::testing {
namespace {

std::string content_range(ByteRange range, std::int64_t total) {
  return "bytes " + std::to_string(range.begin) + "-" + std::to_string(range.end - 1) + "/" +
         std::to_string(total);
}

}  // namespace

void RandomFaults::end_later(TransferId id, Duration delay, ResponseHead with,
                             std::optional<Error> error) {
  later(delay, {.what = Event::What::end,
                .transfer = id,
                .end = {.id = id, .head = with, .refused = false, .error = error}});
}

ResponseHead RandomFaults::temporary_refusal(const std::string&) {
  constexpr int kStatuses[] = {408, 425, 429, 429, 500, 502, 503, 503, 504};
  ResponseHead answer = head(kStatuses[pick(0, 8)]);
  if (chance(0.3)) answer.retry_after = std::chrono::seconds(pick(0, 40));
  if (chance(0.3)) answer.rate_limit = "\"resolvers\";r=0;t=" + std::to_string(pick(0, 60));
  return answer;
}

void RandomFaults::unreached(TransferId id, Duration delay) {
  const Error refused{ErrorKind::network, "connection refused", {}};
  later(delay,
        {.what = Event::What::end,
         .transfer = id,
         .end = {.id = id, .head = {}, .refused = false, .reached = false, .error = refused}});
}

void RandomFaults::answer_of_hub(const StartTransfer& action) {
  const Duration latency = milliseconds(1, 300);
  const Error network{ErrorKind::network, "connection reset", {}};
  const bool several = settings_.endpoints.size() > 1;
  if (dead_.contains(action.endpoint)) return unreached(action.id, latency);
  if (fails(action, fault_rate_ / 3))
    return end_later(action.id, latency, temporary_refusal(action.url.origin));
  if (fails(action, fault_rate_ / 10)) return end_later(action.id, latency, {}, network);
  if (fails(action, fault_rate_ / 10)) return unreached(action.id, latency);
  if (fails(action, fault_rate_ / (several ? 10 : 200)))
    return end_later(action.id, latency, head(404));
  if (hubs_ == Hubs::any && chance(fault_rate_ / 500))
    return end_later(action.id, latency, {}, Error{ErrorKind::disk_full, "no space left", {}});
  if (fails(action, fault_rate_ / 100))
    return end_later(action.id, latency, redirect("http://cdn.example/x"));
  if (fails(action, fault_rate_ / 5))
    return end_later(action.id, latency, redirect(action.url.origin + "/other"));
  if (several && fails(action, fault_rate_ / 5)) {  // to another endpoint, which has its own token
    const auto& other = settings_.endpoints[(action.endpoint + 1) % settings_.endpoints.size()];
    return end_later(action.id, latency, redirect(other.origin + "/of-another"));
  }
  if (!items_[action.item].blob || chance(0.2)) return send_body(action, !is_good(action.endpoint));
  ResponseHead answer = redirect("https://cdn" + std::to_string(action.endpoint) + ".example/x");
  if (fails(action, fault_rate_ / 50))
    answer.rate_limit = "\"resolvers\";r=0;t=" + std::to_string(pick(0, 60));
  end_later(action.id, latency, answer);
}

void RandomFaults::answer_of_payload_host(const StartTransfer& action) {
  const Duration latency = milliseconds(1, 300);
  if (fails(action, fault_rate_ / 10)) return end_later(action.id, latency, head(403));
  if (fails(action, fault_rate_ / 5))
    return end_later(action.id, latency, temporary_refusal(action.url.origin));
  if (fails(action, fault_rate_ / 20)) return unreached(action.id, latency);
  if (fails(action, fault_rate_ / 100)) return end_later(action.id, latency, head(416));
  if (fails(action, fault_rate_ / 100)) {
    ResponseHead encoded = head(action.range ? 206 : 200);
    encoded.content_encoding = "gzip";
    return end_later(action.id, latency, encoded);
  }
  if (action.range && fails(action, fault_rate_ / 30))
    return end_later(action.id, latency, head(200));  // refused by the sink
  if (action.range && fails(action, fault_rate_ / 50)) {
    ResponseHead other = head(206);
    other.content_range = content_range(*action.range, items_[action.item].blob->size + 1);
    return end_later(action.id, latency, other);
  }
  send_body(action, !is_good(action.endpoint));
}

/// Sends the bytes in a few pieces, then the end, which may be late or overtake the last piece.
void RandomFaults::send_body(const StartTransfer& action, bool may_break) {
  ResponseHead with = head(action.range ? 206 : 200);
  const ByteRange range = scheduler_.range_of(action.id);
  if (action.range)
    with.content_range = content_range(*action.range, items_[action.item].blob->size);
  if (!items_[action.item].blob) return end_later(action.id, milliseconds(1, 500), with);
  Duration at = milliseconds(1, 300);
  for (std::int64_t begin = range.begin; begin < range.end;) {
    if (may_break && chance(fault_rate_ / 4)) {
      const bool silent = chance(0.3);  // the connection was closed as if it were complete
      return end_later(
          action.id, at, with,
          silent ? std::nullopt : std::optional(Error{ErrorKind::network, "connection reset", {}}));
    }
    const std::int64_t end = chance(0.5) ? range.end : pick(begin + 1, range.end);
    later(at, {.what = Event::What::bytes, .transfer = action.id, .range = {begin, end}});
    begin = end;
    at += milliseconds(0, 900);
  }
  if (may_break && chance(fault_rate_ / 20)) {
    const ErrorKind kind = chance(0.5) ? ErrorKind::network : ErrorKind::protocol;
    return end_later(action.id, at + milliseconds(0, 400), with, Error{kind, "after the end", {}});
  }
  end_later(action.id, at + milliseconds(0, 400), with);
}

}  // namespace model_prep::testing
