// SPDX-License-Identifier: Apache-2.0
// The scheduler's third part: which endpoint is asked, and when the next one is.
#include <algorithm>

#include <fmt/format.h>

#include "model_prep/core/scheduler.h"

namespace model_prep {

/// The first source whose host answers; one that is silent only where all others have been asked in
/// this round. A host that wants to be left alone is left alone as long as there is another.
Scheduler::Turn Scheduler::turn_of(ItemId id, TimePoint now) const {
  const Item& item = items_[id];
  const auto origin = [&](std::size_t source) -> const std::string& {
    return item.sources[source].url.origin;
  };
  TimePoint earliest = TimePoint::max();
  for (const bool silent : {false, true})
    for (std::size_t source = 0; source < item.sources.size(); ++source) {
      if (!item.sources.open(source) || hosts_.is_silent(origin(source)) != silent) continue;
      if (item.sole && source != *item.sole && item.sources.open(*item.sole)) continue;
      const TimePoint until = closed_until(id, origin(source), now);
      if (until == TimePoint::min()) return {source, now};
      earliest = std::min(earliest, until);
    }
  return {std::nullopt, earliest};
}

/// A host that could not be reached, or that did not say a word before the time-out.
void Scheduler::note_silence(const Transfer& transfer, const TransferEnd& end) {
  const bool silent =
      !end.reached || (end.error->kind == ErrorKind::timeout && end.head.status == 0);
  if (!silent || disposition(end.error->kind) != Disposition::retry) return;
  const bool news = hosts_.silent(transfer.url.origin);
  const std::string next = next_endpoint(transfer.item, transfer.source);
  if (news && !next.empty())
    actions_.push_back(
        Notice{NoticeLevel::warning,
               fmt::format("{} {} ({}): from here on {} is asked first", transfer.url.origin,
                           brief(end.error->kind), end.error->message, next)});
}

/// Who is asked instead; empty if all others are silent too, or have been asked.
std::string Scheduler::next_endpoint(ItemId id, std::size_t without) const {
  const MirrorSelector& sources = items_[id].sources;
  for (std::size_t source = 0; source < sources.size(); ++source)
    if (source != without && sources.open(source) && !hosts_.is_silent(sources[source].url.origin))
      return settings_.endpoints[sources[source].endpoint].name;
  return {};
}

/// The item goes on at another endpoint, now.
void Scheduler::pass_on(ItemId id, const Transfer& transfer, const Error& error, TimePoint now) {
  Item& item = items_[id];
  item.whole = false;
  item.spent_signatures = 0;
  item.window_waited = false;
  const std::size_t next = transfer.source + 1;
  if (next < item.sources.size() && item.sources[next].substitute && item.sources.open(next))
    return;  // the same endpoint
  ++item.passed_on;
  const bool news = !hosts_.is_silent(transfer.url.origin) &&
                    hosts_.is_news(transfer.url.origin, error.kind, now);
  const bool may_pass = disposition(error.kind) == Disposition::retry;
  const std::string name = next_endpoint(id, transfer.source);
  actions_.push_back(Notice{
      !news      ? NoticeLevel::debug
      : may_pass ? NoticeLevel::warning
                 : NoticeLevel::info,
      fmt::format("{}; {} is asked for it", error.message, name.empty() ? "the next" : name)});
}

/// A redirect leads to a host that was silent or wants to be left alone, and there is another
/// endpoint to ask.
void Scheduler::detour(const Transfer& transfer, const Error& why, TimePoint now) {
  Item& item = items_[transfer.item];
  give_back(transfer);
  if (transfer.generation != item.generation) return;
  ++item.generation;
  static_cast<void>(item.sources.failed(transfer.source, why));
  pass_on(transfer.item, transfer, why, now);
}

/// This endpoint does not have it, or gives nothing that could be it.
void Scheduler::refused(ItemId id, const Transfer& transfer, const Error& error,
                        const ResponseHead& head, TimePoint now, double jitter) {
  Item& item = items_[id];
  const bool unknown_address =
      (head.status == 404 || head.status == 405) && head.error_code.empty();
  const bool round_over = item.sources.refused(transfer.source, error, unknown_address);
  if (item.sources.left() == 0)
    return fail(id, item.sources.error(settings_.endpoints, error), now);
  cancel_transfers_at(id, transfer.source);
  give_back(transfer);
  if (!round_over) return pass_on(id, transfer, error, now);
  ++retries_;
  item.budget.failed();
  wait_for_round(id, transfer.url.origin, error,
                 backoff(settings_.retry, item.budget.in_a_row(), jitter), now);
}

/// Each endpoint that is left has failed: the first is asked again, later.
void Scheduler::wait_for_round(ItemId id, const std::string& origin, const Error& error,
                               Duration wait, TimePoint now) {
  Item& item = items_[id];
  if (item.budget.spent()) {
    --retries_;  // the last failure is not tried again
    return fail(id, item.sources.error(settings_.endpoints, error), now);
  }
  item.not_before = std::max(item.not_before, now + wait);
  if (item.sources.left() > 1) {  // what one of them did is nothing to the next
    item.spent_signatures = 0;
    item.window_waited = false;
  }
  const bool news = hosts_.is_news(origin, error.kind, now);
  actions_.push_back(
      Notice{news ? NoticeLevel::warning : NoticeLevel::debug,
             fmt::format("{} (failure {} of {}, next try in {:.1f} s)", error.message,
                         item.budget.in_a_row(), settings_.retry.retries,
                         std::chrono::duration<double>(wait).count())});
}

/// Bytes of other endpoints are on disk, and there is another to go on with.
bool Scheduler::has_bytes_of_others(ItemId id, const Transfer& transfer) const {
  const Item& item = items_[id];
  return item.sources.left() > 1 &&
         std::any_of(item.came_from.begin(), item.came_from.end(),
                     [&](std::size_t source) { return source != transfer.source; });
}

/// This endpoint gives the file in one piece only, for which those bytes would have to go: the
/// others are asked first.
bool Scheduler::spares(ItemId id, const Transfer& transfer) const {
  constexpr int kRounds = 2;
  return has_bytes_of_others(id, transfer) &&
         items_[id].budget.in_a_row() < std::min(kRounds, settings_.retry.retries);
}

/// The bytes are wrong, or `from` says that they will be.
void Scheduler::restart(ItemId id, TimePoint now, const Error& wrong,
                        std::optional<std::size_t> from) {
  Item& item = items_[id];
  if (!from && item.came_from.size() == 1 && *item.came_from.begin() != kEarlier)
    from = *item.came_from.begin();
  const bool elsewhere = from && item.sources.left() > 1;
  if (from && (elsewhere || item.restarts > 0))
    static_cast<void>(item.sources.refused(*from, wrong, false));
  if (!elsewhere && item.restarts >= (from ? 1 : item.sources.size()))
    return fail(id, from ? item.sources.error(settings_.endpoints, wrong) : wrong, now);
  ++item.restarts;
  if (elsewhere) item.whole = false;
  item.best = 0;
  const std::string next = elsewhere ? next_endpoint(id, *from) : std::string();
  actions_.push_back(Notice{
      NoticeLevel::warning,
      next.empty() ? fmt::format("{}; it is fetched once more from the start", wrong.message)
                   : fmt::format("{}, from {}; it is fetched from the start from {}", wrong.message,
                                 settings_.endpoints[item.sources[*from].endpoint].name, next)});
  begin_at_zero(id);
}

void Scheduler::begin_at_zero(ItemId id) {
  Item& item = items_[id];
  cancel_transfers(id);
  item.state = State::moving;
  item.segments.reset();
  item.came_from.clear();
  item.sole.reset();
  actions_.push_back(OpenStaging{id, true, false});
}

void Scheduler::cancel_transfers_at(ItemId id, std::size_t source) {
  for (auto it = transfers_.begin(); it != transfers_.end();) {
    if (it->second.item != id || it->second.source != source) {
      ++it;
      continue;
    }
    actions_.push_back(CancelTransfer{it->first});
    const Transfer transfer = std::move(it->second);
    it = transfers_.erase(it);
    give_back(transfer);
  }
}

}  // namespace model_prep
