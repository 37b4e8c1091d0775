// SPDX-License-Identifier: Apache-2.0
#include "core/random_faults.h"

#include <algorithm>

#include "core/builders.h"

namespace model_prep::testing {
namespace {

using std::chrono::seconds;

std::string hub_name(std::int64_t number) {
  return number == 0 ? "https://hub.example" : "https://hub" + std::to_string(number) + ".example";
}

bool transient(int status) {
  return status == 408 || status == 425 || status == 429 || status >= 500;
}

}  // namespace

RandomFaults::RandomFaults(unsigned seed, Hubs hubs)
    : random_(seed),
      hubs_(hubs),
      fault_rate_(static_cast<double>(seed % 8) / 10),
      settings_(make_settings()),
      items_(make_items()),
      scheduler_(settings_, items_) {
  for (std::size_t i = 0; i < items_.size(); ++i) {
    Disk disk;
    disk.locked_until = now_ + (chance(0.2) ? milliseconds(0, 15'000) : milliseconds(0, 0));
    disk.blob_exists = chance(0.1);
    const std::int64_t size = items_[i].blob ? items_[i].blob->size : 0;
    if (chance(0.2) && size > 0) disk.record.add({0, pick(1, size)});
    if (chance(0.1) && size > 0) disk.record.add({pick(0, size - 1), size});
    disk.bytes = disk.record;
    disks_.push_back(disk);
  }
  if (chance(0.15)) stop_at_ = now_ + milliseconds(0, 60'000);
}

std::vector<WorkItem> RandomFaults::make_items() {
  std::vector<WorkItem> items;
  const bool queries = !settings_.offline && chance(0.1);
  for (std::int64_t count = pick(1, 25); count > 0; --count) {
    WorkItem item{.context = {.object = "org/name file", .repo = "org/name"}, .sources = {}};
    for (std::size_t i = 0; i < settings_.endpoints.size(); ++i)
      item.sources.push_back({i, url(settings_.endpoints[i].origin + "/resolve")});
    const std::int64_t size =
        queries ? 0 : std::min(pick(0, 60'000'000), pick(0, 1'000'000) * pick(0, 1'000));
    const Digest digest = chance(0.5) ? sha256('a') : git_sha1('a');
    const bool locked = chance(0.2);
    if (!queries) item.blob = BlobSpec{digest, size, {}, locked};
    item.check_existing = chance(0.1);
    for (std::size_t model = 0; model < 3; ++model)
      if (chance(0.5)) item.models.push_back(model);
    if (!queries && chance(0.3))
      item.nearby.resize(static_cast<std::size_t>(pick(1, 3)), {"/usb", "/usb/blobs/file"});
    items.push_back(item);
  }
  return items;
}

SchedulerSettings RandomFaults::make_settings() {
  SchedulerSettings made;
  made.connections = static_cast<int>(pick(1, 8));
  made.retry.max_failures = static_cast<int>(pick(0, 6));
  const bool several = hubs_ == Hubs::last_is_good || chance(0.5);
  for (std::int64_t i = 0, count = several ? pick(2, 3) : 1; i < count; ++i) {
    constexpr TokenUse kUses[] = {TokenUse::none, TokenUse::sent, TokenUse::withheld};
    made.endpoints.push_back({hub_name(i), hub_name(i), kUses[pick(0, 2)]});
    if (i + 1 < count && fault_rate_ > 0 && chance(0.2)) dead_.insert(static_cast<std::size_t>(i));
  }
  if (chance(0.5)) made.patience.limit = seconds(pick(1, 300));
  if (chance(0.1)) made.patience.max_steps = static_cast<int>(pick(0, 6));
  made.offline = hubs_ == Hubs::any && fault_rate_ > 0 && chance(0.1);
  if (chance(0.1)) made.deadline = now_ + milliseconds(0, 120'000);
  return made;
}

std::string RandomFaults::run() {
  drive();
  for (const Disk& disk : disks_)
    if (disk.finished != 1) broken("an item has not exactly one outcome");
  if (!running_.empty()) broken("a transfer is left running");
  return fault_;
}

void RandomFaults::drive() {
  int idle = 0;
  for (std::int64_t rounds = 0; fault_.empty(); ++rounds) {
    if (rounds > 200'000) return broken("it does not end");
    bool acted = false;
    for (auto actions = scheduler_.next(now_); !actions.empty(); actions = scheduler_.next(now_)) {
      for (const Action& action : actions)
        std::visit([&](const auto& one) { execute(one); }, action);
      acted = true;
    }
    if (scheduler_.finished()) return;
    const TimePoint before = now_;
    TimePoint until = scheduler_.wake_at();
    if (!events_.empty()) until = std::min(until, events_.begin()->first);
    if (stop_at_ && !stopped_) until = std::min(until, *stop_at_);
    if (until == TimePoint::max()) return broken("it waits for nothing");
    now_ = std::max(now_, until);
    const bool due = !events_.empty() && events_.begin()->first <= now_;
    while (!events_.empty() && events_.begin()->first <= now_) {
      const Event event = std::move(events_.extract(events_.begin()).mapped());
      deliver(event);
    }
    if (stop_at_ && !stopped_ && now_ >= *stop_at_) {
      scheduler_.stop({ErrorKind::interrupted, "stopped", {}}, now_);
      stopped_ = true;
    }
    idle = !acted && !due && now_ == before ? idle + 1 : 0;
    if (idle > 2) return broken("it wakes without work");
  }
}

void RandomFaults::deliver(const Event& event) {
  ++events;
  if (event.what == Event::What::hash) {
    if (tickets_[event.item] != event.ticket || !disks_[event.item].open)
      return;  // cancelled meanwhile
    disks_[event.item].hashed = event.answer;
    return scheduler_.on_hash(event.item, event.answer, now_);
  }
  if (event.what == Event::What::copy) return deliver_copy(event);
  const bool known = running_.contains(event.transfer);
  if (event.what == Event::What::end) {
    if (known || chance(0.5))
      on_end(event.end);  // the end of a cancelled transfer may be under way already
    return;
  }
  if (!known || !scheduler_.running(event.transfer)) return;
  Disk& disk = disks_[running_.at(event.transfer).item];
  const ByteRange allowed = scheduler_.range_of(event.transfer);
  if (event.range.begin < allowed.begin || event.range.end > allowed.end)
    broken("bytes beyond a transfer's range");
  const auto missing = scheduler_.missing(event.transfer, event.range);
  if (!missing) return;
  if (disk.bytes.gap(missing->begin, missing->end) != missing) broken("a byte is written twice");
  disk.bytes.add(*missing);
  disk.tainted = disk.tainted || !is_good(running_.at(event.transfer).endpoint);
  disk.windows = 0;
  scheduler_.on_bytes(event.transfer, *missing);
  if (missing->end < event.range.end) {
    Event rest = event;
    rest.range.begin = missing->end;
    deliver(rest);
  }
}

void RandomFaults::deliver_copy(const Event& event) {
  Disk& disk = disks_[event.item];
  if (disk.copies != event.ticket || !disk.open) return;  // another staging by now
  disk.copying = false;
  if (event.end.error) return scheduler_.on_not_copied(event.item, *event.end.error, now_);
  disk.bytes.add(event.range);
  disk.tainted = true;
  scheduler_.on_copied(event.item, event.range, now_);
}

void RandomFaults::on_end(const TransferEnd& end) {
  const auto found = running_.find(end.id);
  const double jitter = std::uniform_real_distribution<double>(0, 1)(random_);
  if (found != running_.end() && scheduler_.running(end.id)) {
    const Transfer& transfer = found->second;
    const auto limit = parse_rate_limit(end.head.rate_limit);
    const bool busy = !end.error && (end.head.status == 429 || end.head.status == 503);
    if (busy || (limit && limit->remaining == 0)) {
      Embargo& embargo =
          embargoes_.try_emplace(transfer.url.origin, Embargo{now_, now_, now_}).first->second;
      embargo.until = std::max(embargo.until, now_ + server_wait(end.head));
      if (busy)
        embargo.refused_until = std::max(embargo.refused_until, now_ + server_wait(end.head));
    }
    Disk& disk = disks_[transfer.item];
    if (!end.error && end.head.redirect && ++disk.windows >= 2) heard_.insert(end.id);
    const bool complete =
        items_[transfer.item].blob && disk.bytes.prefix() == items_[transfer.item].blob->size;
    // What a host that is down is waited for, the steps of its back-off say.
    const bool of_host =
        settings_.patience.limit > seconds(0) && (end.head.status == 0 || end.head.status >= 500);
    if (!of_host && (end.error || transient(end.head.status)) && !complete)
      disk.not_before = std::max(disk.not_before, now_ + backoff(settings_.retry, 1, jitter));
    running_.erase(found);
  }
  scheduler_.on_end(end, now_, jitter);
}

HashResult RandomFaults::hash_answer(ItemId item, double right) {
  if (hubs_ == Hubs::any && chance(0.001))
    return {.sha256 = {}, .git_sha1 = {}, .error = Error{ErrorKind::io, "cannot read", {}}};
  const bool must_be_right = hubs_ == Hubs::last_is_good && !disks_[item].tainted;
  const char digit = must_be_right || chance(right) ? 'a' : 'b';
  HashResult answer{.sha256 = sha256(digit), .git_sha1 = {}, .error = {}};
  if (items_[item].blob->digest.kind() == DigestKind::git_sha1) answer.git_sha1 = git_sha1(digit);
  return answer;
}

void RandomFaults::execute(const CheckExisting& action) {
  disks_[action.item].open = true;
  later(milliseconds(0, 2'000), {.what = Event::What::hash,
                                 .item = action.item,
                                 .answer = hash_answer(action.item, 0.5),
                                 .ticket = ++tickets_[action.item]});
}

void RandomFaults::execute(const TryLock& action) {
  Disk& disk = disks_[action.item];
  disk.open = true;
  if (now_ < disk.locked_until) return scheduler_.on_busy(action.item, "host:1", {}, now_);
  scheduler_.on_lock(action.item,
                     disk.blob_exists ? LockResult::acquired_blob_exists : LockResult::acquired,
                     now_);
}

void RandomFaults::execute(const OpenStaging& action) {
  if (!scheduler_.awaits_staging(action.item)) return;
  Disk& disk = disks_[action.item];
  if (disk.finished > 0 && !stopped_ && fault_.empty()) broken("a finished item is opened");
  if (!action.take_over && chance(fault_rate_ / 10))
    return scheduler_.on_busy(action.item, "host:1", chance(0.1) ? "another beat" : "beat", now_);
  for (const auto& [id, transfer] : running_)
    if (transfer.item == action.item) broken("a transfer outlives its staging");
  if (action.fresh) disk.record = {};
  disk.bytes = disk.record;
  disk.tainted = !disk.bytes.empty();
  disk.hashed.reset();
  disk.hash_at = 0;
  disk.hash_ended = false;
  disk.open = true;
  ++tickets_[action.item];
  ++disk.copies;
  disk.copying = false;
  scheduler_.on_staged(action.item, disk.bytes, now_);
}

void RandomFaults::execute(const CopyNearby& action) {
  Disk& disk = disks_[action.item];
  if (!disk.open || scheduler_.have(action.item) == nullptr) return;  // lost in this round
  if (disk.copying) broken("two pieces of a file are copied at once");
  if (disk.bytes.gap(action.range.begin, action.range.end) != action.range)
    broken("a byte is copied twice");
  if (action.may_clone != disk.bytes.empty()) broken("a clone would replace what is staged");
  if (action.file >= items_[action.item].nearby.size()) broken("a nearby file that is none");

  const std::int64_t size = items_[action.item].blob->size;
  const bool clones = action.may_clone && chance(0.3);
  Event event{.what = Event::What::copy,
              .range = clones ? ByteRange{0, size} : action.range,
              .item = action.item,
              .ticket = ++disk.copies};
  if (chance(fault_rate_ / 4)) event.end.error = Error{ErrorKind::io, "cannot be read"};
  disk.copying = true;
  later(milliseconds(0, 1'000), std::move(event));
}

void RandomFaults::execute(const StartTransfer& action) {
  if (!scheduler_.running(action.id)) return;
  if (settings_.offline) broken("a request although the run is offline");
  if (disks_[action.item].copying) broken("a file is copied and requested at once");
  if (stopped_) broken("a transfer starts after the stop");
  const auto embargo = embargoes_.find(action.url.origin);
  if (embargo != embargoes_.end() && embargo->second.since < now_ && now_ < embargo->second.until)
    if (action.url.text.ends_with("/resolve") || !heard_.contains(action.id) ||
        now_ < embargo->second.refused_until)
      broken("a transfer starts under an embargo");
  if (embargo != embargoes_.end() && embargo->second.until <= now_) embargoes_.erase(embargo);
  const Endpoint& endpoint = settings_.endpoints[action.endpoint];
  const bool of_hub = action.url.origin == endpoint.origin;
  const bool alone = settings_.endpoints.size() == 1;
  if (alone && action.url.text.ends_with("/resolve") && now_ < disks_[action.item].not_before)
    broken("a transfer starts before its file may be tried again");
  if (action.with_token != (endpoint.token == TokenUse::sent && of_hub)) broken("the token strays");
  running_[action.id] = {action.item, action.url, action.endpoint};
  if (running_.size() > static_cast<std::size_t>(settings_.connections))
    broken("too many connections");
  of_hub ? answer_of_hub(action) : answer_of_payload_host(action);
}

void RandomFaults::execute(const CancelTransfer& action) { running_.erase(action.id); }

void RandomFaults::execute(const HashTo& action) {
  Disk& disk = disks_[action.item];
  if (!disk.open) return;
  if (action.watermark > disk.bytes.prefix()) broken("the hash is ahead of the disk");
  if (action.watermark < disk.hash_at) broken("the hash goes back");
  disk.hash_at = action.watermark;
  const HashResult answer = hash_answer(action.item, 1 - fault_rate_ / 4);
  const bool ends = action.watermark == items_[action.item].blob->size || answer.error;
  if (disk.hash_ended || !ends) return;
  disk.hash_ended = true;
  later(milliseconds(0, 500), {.what = Event::What::hash,
                               .item = action.item,
                               .answer = answer,
                               .ticket = ++tickets_[action.item]});
}

void RandomFaults::execute(const SaveResume& action) {
  if (hubs_ == Hubs::any && chance(fault_rate_ / 200)) {
    disks_[action.item].record = {};
    return scheduler_.on_lost(action.item, chance(0.5) ? StagingOwner::nobody : StagingOwner::other,
                              now_);
  }
  if (const RangeSet* have = scheduler_.have(action.item)) disks_[action.item].record = *have;
}

void RandomFaults::execute(const Publish& action) {
  Disk& disk = disks_[action.item];
  const BlobSpec& blob = *items_[action.item].blob;
  if (disk.bytes.prefix() != blob.size) broken("published while bytes are missing");
  const bool equal =
      disk.hashed && disk.hashed->sha256 == sha256('a') &&
      (blob.digest.kind() == DigestKind::sha256 || disk.hashed->git_sha1 == blob.digest);
  if (!equal) broken("published with a wrong digest");
  const bool lost = hubs_ == Hubs::any && chance(fault_rate_ / 10);
  if (!lost) return scheduler_.on_published(action.item, now_);
  disk.record = {};
  scheduler_.on_lost(action.item, StagingOwner::nobody, now_);
}

void RandomFaults::execute(const Close& action) {
  disks_[action.item].open = false;
  disks_[action.item].copying = false;
}

void RandomFaults::execute(const Finish& action) {
  const FileOutcome& outcome = action.outcome;
  ++disks_[action.item].finished;
  fetched += outcome.status == FileStatus::fetched ? 1 : 0;
  copied += outcome.source == "/usb" ? 1 : 0;
  reused += outcome.status == FileStatus::reused ? 1 : 0;
  failed += outcome.status == FileStatus::failed ? 1 : 0;
  cancelled += outcome.status == FileStatus::cancelled ? 1 : 0;
  const bool good = outcome.status == FileStatus::fetched || outcome.status == FileStatus::reused;
  if (good == outcome.error.has_value()) broken("an outcome and its error disagree");
  if (good && items_[action.item].blob && outcome.sha256 != sha256('a'))
    broken("a good file without its sha256");
  const std::int64_t slates = 1 + outcome.bytes_fetched / FailureBudget::kProgress;
  const auto hubs = static_cast<std::int64_t>(settings_.endpoints.size());
  if (outcome.attempts > 1 + (std::max(1, settings_.retry.max_failures) * slates + 1) * hubs)
    broken("too many attempts");
}

void RandomFaults::execute(const Notice& action) {
  if (action.text.empty() || action.text.find('\n') != std::string::npos)
    broken("a notice that is no line");
}

}  // namespace model_prep::testing
