// SPDX-License-Identifier: Apache-2.0
// The scheduler's other half: what the end of a transfer leads to. Which endpoint is asked stands
// in scheduler_sources.cpp.
#include <algorithm>

#include <fmt/format.h>

#include "model_prep/core/scheduler.h"

namespace model_prep {
namespace {

constexpr int kMostSpentSignatures = 2;

}  // namespace

void Scheduler::on_end(const TransferEnd& end, TimePoint now, double jitter) {
  wake_ = TimePoint::min();
  const auto found = transfers_.find(end.id);
  if (found == transfers_.end()) return;  // cancelled meanwhile
  Transfer transfer = std::move(found->second);
  transfers_.erase(found);
  const ItemId id = transfer.item;
  if (auto limit = parse_rate_limit(end.head.rate_limit)) {
    if (limit->remaining == 0)
      limit->reset = std::max(limit->reset, server_wait(end.head) - std::chrono::seconds(1));
    hosts_.heard(transfer.url.origin, counted(id), transfer.ticket, *limit, now);
  }
  if (end.head.status != 0) hosts_.answered(transfer.url.origin);
  if (end.error) {
    if (disposition(end.error->kind) == Disposition::abort_run) return stop(*end.error, now);
    note_silence(transfer, end);
    return failure(id, transfer,
                   describe_transport_error(*end.error, transfer.asked.asked, transfer.url),
                   end.head, now, jitter);
  }
  const ResponseVerdict answer = items_[id].work.query
                                     ? check_api_response(end.head, transfer.asked.asked)
                                     : check_payload_response(end.head, transfer.asked);
  switch (answer.kind) {
    case VerdictKind::body: return on_body(id, transfer, now, jitter);
    case VerdictKind::redirect: return hop(end.id, std::move(transfer), end.head, now, jitter);
    case VerdictKind::signature_spent:
      return on_spent_signature(id, transfer, answer.error, now, jitter);
    case VerdictKind::range_ignored:
      if (spares(id, transfer))
        return failure(id, transfer,
                       {ErrorKind::network,
                        fmt::format("{}: {} gives no ranges", transfer.asked.asked.object,
                                    transfer.url.origin),
                        {}},
                       {}, now, jitter);
      items_[id].whole = true;
      cancel_transfers(id);
      actions_.push_back(Notice{NoticeLevel::info,
                                fmt::format("{}: the server gives no ranges, so it is fetched in "
                                            "one piece",
                                            transfer.asked.asked.object)});
      items_[id].segments.reset();
      actions_.push_back(OpenStaging{id, true, false});
      return;
    case VerdictKind::restart:
      if (has_bytes_of_others(id, transfer))
        return refused(id, transfer, answer.error, end.head, now, jitter);
      return restart(id, now, answer.error, transfer.source);
    case VerdictKind::failed: return failure(id, transfer, answer.error, end.head, now, jitter);
  }
}

void Scheduler::on_body(ItemId id, const Transfer& transfer, TimePoint now, double jitter) {
  Item& item = items_[id];
  if (item.work.query) return finish(id, FileStatus::fetched, std::nullopt, now);
  if (transfer.received < transfer.range.size())
    return failure(id, transfer,
                   describe_transport_error({ErrorKind::network, "the body ended early", {}},
                                            transfer.asked.asked, transfer.url),
                   {}, now, jitter);
  if (item.segments->complete()) return all_on_disk(id);
  item.unsaved = false;
  item.save_again = now + kSaveEvery;
  actions_.push_back(SaveResume{id});
}

void Scheduler::hop(TransferId id, Transfer transfer, const ResponseHead& head, TimePoint now,
                    double jitter) {
  const auto target = follow(head, transfer.url, transfer.hops, transfer.asked.asked);
  Item& item = items_[transfer.item];
  if (!target) return refused(transfer.item, transfer, target.error(), {}, now, jitter);
  // A host that calls its window used up at every answer, the window's end or not, does not mean
  // it: it is heard once.
  const TimePoint until = item.window_waited ? hosts_.refuses_until(target->origin, now)
                                             : closed_until(transfer.item, target->origin, now);
  const bool silent = hosts_.is_silent(target->origin);
  if ((silent || until != TimePoint::min()) && item.sources.another(transfer.source)) {
    const Error why = silent ? Error{ErrorKind::network, "it was silent before", {}}
                             : Error{ErrorKind::rate_limited, "it wants to be left alone", {}};
    return detour(transfer, describe_transport_error(why, transfer.asked.asked, *target), now);
  }
  if (until != TimePoint::min()) {
    item.window_waited = true;
    give_back(
        transfer);  // the signature may not live that long: ask again when the host may be asked
    item.not_before = std::max(item.not_before, until);
    return;
  }
  transfer.url = *target;
  ++transfer.hops;
  const Endpoint& endpoint = endpoint_of(transfer);
  transfer.asked.asked.of_hub = target->origin == endpoint.origin;
  transfer.asked.asked.with_token = endpoint.token == TokenUse::sent && transfer.asked.asked.of_hub;
  send(id, std::move(transfer));
}

void Scheduler::on_spent_signature(ItemId id, const Transfer& transfer, const Error& error,
                                   TimePoint now, double jitter) {
  Item& item = items_[id];
  if (transfer.generation != item.generation) return give_back(transfer);
  ++item.generation;
  if (++item.spent_signatures > kMostSpentSignatures)
    return refused(id, transfer, error, {}, now, jitter);
  give_back(transfer);
  actions_.push_back(Notice{NoticeLevel::debug,
                            fmt::format("{}: the signed address was refused, asking the hub again",
                                        transfer.asked.asked.object)});
}

void Scheduler::failure(ItemId id, const Transfer& transfer, const Error& error,
                        const ResponseHead& head, TimePoint now, double jitter) {
  Item& item = items_[id];
  if (disposition(error.kind) != Disposition::retry)
    return refused(id, transfer, error, head, now, jitter);
  if (item.segments && item.segments->complete())
    return all_on_disk(id);  // the fault came behind the last byte
  give_back(transfer);
  const bool of_server = error.kind == ErrorKind::rate_limited || error.kind == ErrorKind::server;
  const bool counted =
      transfer.generation == item.generation;  // else it is part of a failure that was counted
  bool round_over = false;
  if (counted) {
    ++item.generation;
    ++retries_;
    round_over = item.sources.failed(transfer.source, error);
    if (round_over) item.budget.failed();
  }
  const Duration pause = backoff(settings_.retry, item.budget.in_a_row(), jitter);
  const Duration wait = std::max<Duration>(pause, server_wait(head));
  if (of_server)
    hosts_.embargo(transfer.url.origin, now + wait);  // for the others, if this item is given up
  if (counted && !round_over) return pass_on(id, transfer, error, now);
  // What this host asked for holds this host; the item may go on at another.
  const bool alone = item.sources.left() == 1;
  if (counted) return wait_for_round(id, transfer.url.origin, error, alone ? wait : pause, now);
  if (alone) item.not_before = std::max(item.not_before, now + wait);
}

void Scheduler::give_back(const Transfer& transfer) {
  Item& item = items_[transfer.item];
  item.query_taken = false;
  if (!item.segments) return;
  item.segments->give_back(transfer.range);
  if (!item.whole) return;
  item.segments.reset();  // without ranges there is no going on from the middle
  actions_.push_back(OpenStaging{transfer.item, true, false});
}

}  // namespace model_prep
