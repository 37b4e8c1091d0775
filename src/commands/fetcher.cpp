// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/fetcher.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/io/leftovers.h"

namespace model_prep {
namespace {

constexpr std::size_t kLargestReply = 16 * 1024 * 1024;
constexpr std::size_t kBlock = 128 * 1024;       // written at once, while there is more to come
constexpr std::int64_t kWorthALine = 1'000'000;  // smaller files are told at debug level

bool is_web_page(const std::string& path) {
  return path.ends_with(".html") || path.ends_with(".htm");
}

Error interrupted(int signal) {
  return {ErrorKind::interrupted, fmt::format("stopped by {}", signal == 2 ? "SIGINT" : "SIGTERM"),
          "what was fetched is kept: the next run goes on from there"};
}

}  // namespace

/// A body in memory. Used again for each hop of a redirected query.
class Fetcher::QuerySink : public BodySink {
 public:
  explicit QuerySink(Reply& reply) : reply_(reply) {}
  Body on_head(const ResponseHead& head) override {
    reply_.head = head;
    reply_.body.clear();
    return head.status == 200 ? Body::wanted : Body::ignored;
  }
  std::optional<Error> on_data(std::span<const char> bytes) override {
    if (reply_.body.size() + bytes.size() > kLargestReply)
      return Error{ErrorKind::protocol, "the answer is larger than 16 MiB", {}};
    reply_.body.append(bytes.data(), bytes.size());
    return std::nullopt;
  }

 private:
  Reply& reply_;
};

/// A range of a staging file.
class Fetcher::PayloadSink : public BodySink {
 public:
  PayloadSink(Scheduler& scheduler, Staging& staging, TransferId transfer)
      : scheduler_(scheduler),
        staging_(staging),
        transfer_(transfer),
        range_(scheduler.range_of(transfer)) {
    held_.reserve(std::min(kBlock, static_cast<std::size_t>(range_.size())));
  }

  Body on_head(const ResponseHead& head) override {
    if (check_payload_response(head, scheduler_.payload_request(transfer_)).kind ==
        VerdictKind::body)
      return Body::wanted;
    return head.status == 200 || head.status == 206 ? Body::refused : Body::ignored;
  }

  std::optional<Error> on_data(std::span<const char> bytes) override {
    if (static_cast<std::int64_t>(held_.size() + bytes.size()) > range_.size())
      return Error{ErrorKind::protocol, "the body is longer than announced", {}};
    while (!bytes.empty()) {
      const auto begun = static_cast<std::size_t>(range_.begin) % kBlock;
      const auto piece = bytes.first(std::min(bytes.size(), kBlock - begun - held_.size()));
      held_.insert(held_.end(), piece.begin(), piece.end());
      bytes = bytes.subspan(piece.size());
      if (begun + held_.size() < kBlock) break;
      if (auto error = on_pause()) return error;
    }
    return std::nullopt;
  }

  std::optional<Error> on_pause() override {
    if (held_.empty() || !scheduler_.running(transfer_)) return std::nullopt;
    const auto size = static_cast<std::int64_t>(held_.size());
    if (Status written = staging_.write(held_, range_.begin); !written) return written.error();
    held_.clear();
    scheduler_.on_bytes(transfer_, {range_.begin, range_.begin + size});
    range_.begin += size;
    return std::nullopt;
  }

 private:
  Scheduler& scheduler_;
  Staging& staging_;
  TransferId transfer_;
  ByteRange range_;         // what is still to be written
  std::vector<char> held_;  // its beginning
};

struct Fetcher::OpenFile {
  std::optional<FileLock> lock;
  std::optional<Staging> staging;
  std::optional<HashJobId> ticket;
};

/// One drive of the loop: the scheduler and what is open for its items.
struct Fetcher::Run {
  Scheduler scheduler;
  const FetchPlan* plan{nullptr};        // of a fetch
  std::vector<Reply>* replies{nullptr};  // of a query
  const OnOutcome* on_outcome{nullptr};
  std::map<ItemId, OpenFile> files;
  std::map<HashJobId, ItemId> tickets;
  std::map<TransferId, std::unique_ptr<BodySink>> sinks;
  std::set<ItemId> copying{};    // the bytes of a silent writer
  std::set<RepoId> made{};       // repositories that are sure to have their folders
  std::set<std::size_t> told{};  // models of which a failed file was told

  const FetchJob& job(ItemId item) const { return plan->jobs[item]; }
};

Fetcher::Fetcher(Parts parts, SchedulerSettings settings)
    : parts_(parts),
      settings_(std::move(settings)),
      self_(WriterIdentity::make()),
      random_(std::random_device{}()) {}

Fetcher::~Fetcher() = default;

std::vector<Reply> Fetcher::query(const std::vector<Query>& queries) {
  std::vector<WorkItem> items;
  for (const Query& query : queries) {
    items.push_back({.context = query.asked, .sources = query.sources});
  }
  std::vector<Reply> replies(queries.size());
  Run run{.scheduler = Scheduler(settings_, std::move(items), hosts_),
          .replies = &replies,
          .files = {},
          .tickets = {},
          .sinks = {}};
  drive(run);
  return replies;
}

void Fetcher::fetch(const FetchPlan& plan, const OnOutcome& on_outcome) {
  std::vector<WorkItem> items;
  for (const FetchJob& job : plan.jobs) {
    const std::string& path = job.file.path.text();
    items.push_back(
        {.context = {.object = job.repo.text() + " " + path, .repo = job.repo.text()},
         .sources = sources_at(
             parts_.endpoints,
             [&](const Hub& hub) { return hub.resolve(job.repo, job.commit, job.file.path); }),
         .blob = job.file.blob_spec(),
         .html = is_web_page(path),
         .check_existing = job.check_existing,
         .models = job.models});
  }
  Run run{.scheduler = Scheduler(settings_, std::move(items), hosts_),
          .plan = &plan,
          .on_outcome = &on_outcome,
          .files = {},
          .tickets = {},
          .sinks = {}};
  drive(run);
  // Again: those that were killed beside this run left theirs meanwhile.
  if (!signal_)
    for (const RepoId& repo : run.made) sweep(repo);
  parts_.observer.finished();
}

void Fetcher::sweep(const RepoId& repo) const {
  sweep_staging(
      {parts_.cache.folder(repo), parts_.cache.lock_folder(), parts_.cache.layout(repo), repo},
      self_);
}

std::optional<int> Fetcher::signal() {
  if (signal_) return signal_;
  signal_ = parts_.signals.read();
  if (!signal_) return signal_;
  parts_.observer.finished();  // a second signal ends the process wherever it is
  parts_.signals.exit_immediately_on_next_signal();
  return signal_;
}

void Fetcher::drive(Run& run) {
  Scheduler& scheduler = run.scheduler;
  if (signal()) scheduler.stop(interrupted(*signal_), Clock::now());
  while (true) {
    const TimePoint now = Clock::now();
    // Until there is no more: an action that stops the run or loses a staging leads to cancels, and
    // a transfer that is cancelled must not move again.
    for (auto actions = scheduler.next(now); !actions.empty(); actions = scheduler.next(now))
      for (const Action& action : actions)
        std::visit([&](const auto& one) { execute(run, one); }, action);
    if (scheduler.finished()) break;
    const bool busy = copy_some(run);
    if (now >= parts_.observer.due()) show(run, now);
    const TimePoint wake = busy ? now : std::min(scheduler.wake_at(), parts_.observer.due());
    for (const TransferEnd& end : parts_.transport.poll(wake)) {
      scheduler.on_end(end, Clock::now(), jitter());
      if (run.plan != nullptr)
        run.sinks.erase(end.id);  // a redirected transfer starts with a new sink
    }
    answer_hashes(run);
    if (signal_ || !signal()) continue;
    for (const auto& [id, sink] : run.sinks)
      static_cast<void>(sink->on_pause());  // so that nothing comes again
    scheduler.stop(interrupted(*signal_), Clock::now());
  }
  hosts_ = scheduler.hosts();
  requests_ += scheduler.requests();
  retries_ += scheduler.retries();
}

void Fetcher::show(const Run& run, TimePoint now) {
  std::vector<ActiveFile> files = run.scheduler.active_files();
  for (ActiveFile& file : files) {
    const auto open = run.files.find(file.file);
    const bool staged = run.scheduler.have(file.file) != nullptr;
    if (!staged && open != run.files.end() && open->second.ticket)
      file.done =
          parts_.hasher.progress(*open->second.ticket);  // of a blob that nobody vouches for
  }
  parts_.observer.show(files, retries_ + run.scheduler.retries(), now);
}

void Fetcher::execute(Run& run, const CheckExisting& action) {
  const FetchJob& job = run.job(action.item);
  const auto [path, found] = parts_.cache.content(job.repo, job.commit, job.file);
  if (!found || !found->is_file || found->size != job.file.size)
    return run.scheduler.on_hash(action.item, {}, Clock::now());
  auto fd = open_for_reading(path);
  if (!fd && !lstat_path(path))
    return run.scheduler.on_hash(action.item, {}, Clock::now());  // removed this instant
  if (!fd)
    return run.scheduler.on_hash(action.item, {.sha256 = {}, .git_sha1 = {}, .error = fd.error()},
                                 Clock::now());
  parts_.log.debug(fmt::format("{} {}: there is a blob that no record vouches for; hashing it",
                               job.repo.text(), job.file.path.text()));
  hash(run, action.item, std::move(*fd), AfterHash::nothing);
  parts_.hasher.advance(*run.files[action.item].ticket, job.file.size);
}

void Fetcher::execute(Run& run, const TryLock& action) {
  const FetchJob& job = run.job(action.item);
  const CacheLayout& layout = parts_.cache.layout(job.repo);
  if (run.made.insert(job.repo).second) {
    if (Status made = parts_.cache.create_repo_dirs(job.repo); !made)
      return run.scheduler.stop(made.error(), Clock::now());
    sweep(job.repo);
  }
  auto lock =
      FileLock::try_acquire(parts_.cache.lock_folder(), layout.lock(job.repo, job.file.blob));
  if (!lock) return run.scheduler.stop(lock.error(), Clock::now());
  if (!lock->has_value())
    return run.scheduler.on_lock(action.item, LockResult::held,
                                 staging_owner(layout, job.repo, job.file.blob), Clock::now());
  run.files[action.item].lock = std::move(*lock);
  const bool exists = parts_.cache.content(job.repo, job.commit, job.file).there.has_value();
  run.scheduler.on_lock(action.item,
                        exists ? LockResult::acquired_blob_exists : LockResult::acquired, {},
                        Clock::now());
}

bool Fetcher::lock_excludes(const Run& run, ItemId item) const {
  const FetchJob& job = run.job(item);
  const auto file = run.files.find(item);
  return file != run.files.end() && file->second.lock &&
         file->second.lock->excludes(parts_.cache.lock_folder(),
                                     parts_.cache.layout(job.repo).lock(job.repo, job.file.blob));
}

void Fetcher::execute(Run& run, const OpenStaging& action) {
  if (!run.scheduler.awaits_staging(action.item))
    return;  // an earlier action of this round lost it
  const FetchJob& job = run.job(action.item);
  OpenFile& file = run.files[action.item];
  if (file.ticket) parts_.hasher.cancel(*file.ticket);
  file.ticket.reset();
  file.staging.reset();
  run.copying.erase(action.item);
  auto opened = Staging::open({parts_.cache.folder(job.repo), parts_.cache.layout(job.repo),
                               job.repo, job.file.blob, job.file.size},
                              self_,
                              {action.fresh ? Staging::Begin::fresh : Staging::Begin::resume,
                               lock_excludes(run, action.item), action.take_over});
  if (!opened) return run.scheduler.stop(opened.error(), Clock::now());
  if (const auto* owned = std::get_if<Staging::OwnedByOther>(&*opened))
    return run.scheduler.on_owned(action.item, owned->owner, owned->sign, Clock::now());
  file.staging.emplace(std::move(std::get<Staging>(*opened)));
  if (!file.staging->copying()) return staged(run, action.item);
  parts_.log.warning(
      fmt::format("{} {}: its writer has gone silent; going on with a copy of what it left",
                  job.repo.text(), job.file.path.text()));
  run.copying.insert(action.item);
}

/// A piece of each copy that is under way. The loop goes on in between: signals, and the other
/// files.
bool Fetcher::copy_some(Run& run) {
  for (auto it = run.copying.begin(); it != run.copying.end();) {
    const ItemId item = *it++;
    const auto file = run.files.find(item);
    if (file == run.files.end() || !file->second.staging) {
      run.copying.erase(item);
      continue;
    }
    if (Status copied = file->second.staging->copy_some(); !copied) {
      run.scheduler.stop(copied.error(), Clock::now());
      return false;
    }
    if (file->second.staging->copying()) continue;
    run.copying.erase(item);
    staged(run, item);
  }
  return !run.copying.empty();
}

void Fetcher::staged(Run& run, ItemId item) {
  const FetchJob& job = run.job(item);
  const Staging& staging = *run.files[item].staging;
  auto reader = staging.reader();
  if (!reader) return run.scheduler.stop(reader.error(), Clock::now());
  hash(run, item, std::move(*reader), AfterHash::sync);
  const RangeSet& have = staging.have();
  if (!have.empty())
    parts_.log.info(fmt::format("{} {}: going on from {} of {}", job.repo.text(),
                                job.file.path.text(), format_bytes(have.total()),
                                format_bytes(job.file.size)));
  run.scheduler.on_staged(item, have, Clock::now());
}

void Fetcher::hash(Run& run, ItemId item, UniqueFd fd, AfterHash after) {
  const RemoteFile& file = run.job(item).file;
  const HashJobId ticket = parts_.hasher.open(std::move(fd), file.size, file.blob.kind(), after);
  run.files[item].ticket = ticket;
  run.tickets[ticket] = item;
}

void Fetcher::execute(Run& run, const StartTransfer& action) {
  if (!run.scheduler.running(action.id)) return;  // an earlier action of this round ended the run
  const bool query = run.replies != nullptr;
  std::unique_ptr<BodySink>& sink = run.sinks[action.id];
  if (query) (*run.replies)[action.item].source = action.source;
  if (query)
    sink = std::make_unique<QuerySink>((*run.replies)[action.item]);
  else
    sink =
        std::make_unique<PayloadSink>(run.scheduler, *run.files.at(action.item).staging, action.id);
  parts_.transport.start(
      action.id,
      {.url = action.url,
       .kind = query ? RequestKind::query : RequestKind::payload,
       .range = action.range,
       .token = action.with_token ? &*parts_.endpoints[action.endpoint].token : nullptr},
      *sink);
}

void Fetcher::execute(Run& run, const CancelTransfer& action) {
  parts_.transport.cancel(action.id);
  run.sinks.erase(action.id);
}

void Fetcher::execute(Run& run, const HashTo& action) {
  const auto file = run.files.find(action.item);
  if (file != run.files.end() && file->second.ticket)
    parts_.hasher.advance(*file->second.ticket, action.watermark);
}

void Fetcher::execute(Run& run, const SaveResume& action) {
  const auto file = run.files.find(action.item);
  const RangeSet* have = run.scheduler.have(action.item);
  if (file == run.files.end() || !file->second.staging || have == nullptr) return;
  const auto saved = file->second.staging->save(*have);
  if (!saved) return run.scheduler.stop(saved.error(), Clock::now());
  if (*saved != Staging::Held::yes)
    run.scheduler.on_lost(action.item, *saved == Staging::Held::pruned ? Loss::pruned : Loss::taken,
                          Clock::now());
}

void Fetcher::execute(Run& run, const Publish& action) {
  const auto published = run.files.at(action.item).staging->publish();
  if (!published) return run.scheduler.stop(published.error(), Clock::now());
  run.scheduler.on_published(
      action.item, *published ? PublishResult::done : PublishResult::staging_lost, Clock::now());
}

void Fetcher::execute(Run& run, const Close& action) {
  const auto file = run.files.find(action.item);
  if (file == run.files.end()) return;
  if (file->second.ticket) parts_.hasher.cancel(*file->second.ticket);
  if (action.drop_staging && file->second.staging)
    if (Status dropped = file->second.staging->drop(); !dropped)
      parts_.log.warning(dropped.error().message);
  run.files.erase(file);
}

void Fetcher::execute(Run& run, const Finish& action) {
  if (run.replies != nullptr) {
    (*run.replies)[action.item].error = action.outcome.error;
    return;
  }
  const bool ready =
      action.outcome.status == FileStatus::fetched || action.outcome.status == FileStatus::reused;
  parts_.observer.file_done(action.item, ready ? FileEnd::ready : FileEnd::given_up,
                            std::max(0, action.outcome.attempts - 1));
  say_finished(run, run.job(action.item), action.outcome);
  (*run.on_outcome)(action.item, action.outcome);
}

/// The first file of a model that fails is told; the others fail for the same reason more often
/// than not, and stand in the summary.
void Fetcher::say_failed(Run& run, const FetchJob& job, const Error& error) {
  bool first = false;
  for (const std::size_t model : job.models) first = run.told.insert(model).second || first;
  const LogLevel level = first ? LogLevel::error : LogLevel::debug;
  parts_.log.write(level, error.message);
  if (!error.hint.empty()) parts_.log.write(level, "hint: " + error.hint);
}

void Fetcher::say_finished(Run& run, const FetchJob& job, const FileOutcome& outcome) {
  const std::string object = job.repo.text() + " " + job.file.path.text();
  if (outcome.status == FileStatus::failed) return say_failed(run, job, *outcome.error);
  if (outcome.status == FileStatus::cancelled)
    return parts_.log.debug(object + ": " + outcome.error->message);
  const double seconds = std::chrono::duration<double>(outcome.took).count();
  const LogLevel level = job.file.size >= kWorthALine ? LogLevel::info : LogLevel::debug;
  const std::string verified = fmt::format(
      "{}: verified {} {}", object,
      job.file.blob.kind() == DigestKind::sha256 ? "sha256" : "git sha1", short_hex(job.file.blob));
  if (outcome.status == FileStatus::reused)
    return parts_.log.write(
        level, fmt::format("{}, {}, was there already", verified, format_bytes(job.file.size)));
  parts_.log.write(
      level, fmt::format("{}, {} in {:.1f} s", verified, format_bytes(job.file.size), seconds));
}

void Fetcher::execute(Run&, const Notice& action) {
  switch (action.level) {
    case NoticeLevel::debug: return parts_.log.debug(action.text);
    case NoticeLevel::info: return parts_.log.info(action.text);
    case NoticeLevel::warning: return parts_.log.warning(action.text);
    case NoticeLevel::error: return parts_.log.error(action.text);
  }
}

void Fetcher::answer_hashes(Run& run) {
  for (HashEvent& event : parts_.hasher.take_all()) {
    const auto ticket = run.tickets.find(event.ticket);
    if (ticket == run.tickets.end()) continue;
    const ItemId item = ticket->second;
    run.tickets.erase(ticket);
    const auto file = run.files.find(item);
    if (file == run.files.end() || file->second.ticket != event.ticket)
      continue;  // cancelled meanwhile
    file->second.ticket.reset();
    run.scheduler.on_hash(item, {event.sha256, event.git_sha1, std::move(event.error)},
                          Clock::now());
  }
}

}  // namespace model_prep
