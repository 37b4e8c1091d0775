// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/fetcher.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/commands/payload_sink.h"
#include "model_prep/io/leftovers.h"

namespace model_prep {
namespace {

constexpr std::size_t kMaxReply = 16 * 1024 * 1024;
constexpr std::int64_t kLargeFile = 1'000'000;  // smaller ones are logged at debug level

bool is_web_page(const std::string& path) {
  return path.ends_with(".html") || path.ends_with(".htm");
}

std::string object_of(const FetchJob& job) { return job.repo.text() + " " + job.file.path.text(); }

Error interrupted(int signal) {
  return {ErrorKind::interrupted, fmt::format("stopped by {}", signal == 2 ? "SIGINT" : "SIGTERM"),
          "what was fetched is kept: the next run goes on from there"};
}

}  // namespace

/// Keeps a response to a query in memory.
class Fetcher::QuerySink : public BodySink {
 public:
  explicit QuerySink(Reply& reply) : reply_(reply) {}

  Body on_head(const ResponseHead& head) override {
    reply_.head = head;
    reply_.body.clear();
    return head.status == 200 ? Body::wanted : Body::ignored;
  }

  std::optional<Error> on_data(std::span<const char> bytes) override {
    if (reply_.body.size() + bytes.size() > kMaxReply)
      return Error{ErrorKind::protocol, "the response is larger than 16 MiB", {}};
    reply_.body.append(bytes.data(), bytes.size());
    return std::nullopt;
  }

 private:
  Reply& reply_;
};

struct Fetcher::OpenFile {
  std::optional<FileLock> lock;
  std::optional<Staging> staging;
  std::optional<HashJobId> hash;
};

/// The scheduler of one `query` or `fetch`, and what is open for its items.
struct Fetcher::Run {
  Scheduler scheduler;
  const FetchPlan* plan{nullptr};        // of a fetch
  const OnOutcome* on_outcome{nullptr};  // likewise
  std::vector<Reply>* replies{nullptr};  // of a query
  std::map<ItemId, OpenFile> files{};
  std::map<TransferId, std::unique_ptr<BodySink>> sinks{};
  std::set<RepoId> prepared{};              // repositories that have their directories
  std::set<std::size_t> reported_models{};  // an error was logged for a file of theirs

  const FetchJob& job(ItemId item) const { return plan->jobs[item]; }

  OpenFile* open_file(ItemId item) {
    const auto found = files.find(item);
    return found == files.end() ? nullptr : &found->second;
  }

  void stop(const Error& why) { scheduler.stop(why, Clock::now()); }
};

Fetcher::Fetcher(Parts parts, SchedulerSettings settings)
    : parts_(parts),
      settings_(std::move(settings)),
      self_(WriterIdentity::make()),
      random_(std::random_device{}()) {}

Fetcher::~Fetcher() = default;

std::vector<Reply> Fetcher::query(const std::vector<Query>& queries) {
  std::vector<WorkItem> items;
  for (const Query& query : queries)
    items.push_back({.context = query.asked, .sources = query.sources});

  std::vector<Reply> replies(queries.size());
  Run run{.scheduler = Scheduler(settings_, std::move(items), hosts_), .replies = &replies};
  drive(run);
  return replies;
}

void Fetcher::fetch(const FetchPlan& plan, const OnOutcome& on_outcome) {
  std::vector<WorkItem> items;
  for (const FetchJob& job : plan.jobs) {
    const auto address = [&](const Hub& hub) {
      return hub.resolve(job.repo, job.commit, job.file.path);
    };
    items.push_back({.context = {.object = object_of(job), .repo = job.repo.text()},
                     .sources = sources_at(parts_.endpoints, address),
                     .blob = job.file.blob_spec(),
                     .html = is_web_page(job.file.path.text()),
                     .check_existing = job.check_existing,
                     .models = job.models});
  }

  Run run{.scheduler = Scheduler(settings_, std::move(items), hosts_),
          .plan = &plan,
          .on_outcome = &on_outcome};
  drive(run);

  // Once more: processes that were killed during this run have left their files meanwhile.
  if (!signal_)
    for (const RepoId& repo : run.prepared) sweep(repo);
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

  // A second signal ends the process wherever it is.
  parts_.observer.finished();
  parts_.signals.exit_immediately_on_next_signal();
  return signal_;
}

void Fetcher::drive(Run& run) {
  Scheduler& scheduler = run.scheduler;
  if (signal()) run.stop(interrupted(*signal_));

  while (true) {
    // Until there are no more: an action that stops the run or loses a staging file leads to
    // cancels, and a cancelled transfer must not write another byte.
    const TimePoint now = Clock::now();
    for (auto actions = scheduler.next(now); !actions.empty(); actions = scheduler.next(now))
      for (const Action& action : actions)
        std::visit([&](const auto& one) { execute(run, one); }, action);
    if (scheduler.finished()) break;

    const bool busy = copy_some(run);
    if (now >= parts_.observer.due()) show(run, now);

    const TimePoint wake = busy ? now : std::min(scheduler.wake_at(), parts_.observer.due());
    for (const TransferEnd& end : parts_.transport.poll(wake)) {
      scheduler.on_end(end, Clock::now(), jitter());
      run.sinks.erase(end.id);  // a redirected transfer starts with a new one
    }
    report_hashes(run);

    if (signal_ || !signal()) continue;
    // What has arrived is written, so that it need not be fetched again.
    for (const auto& [id, sink] : run.sinks) static_cast<void>(sink->on_pause());
    run.stop(interrupted(*signal_));
  }
  hosts_ = scheduler.hosts();
  requests_ += scheduler.requests();
  retries_ += scheduler.retries();
}

void Fetcher::show(Run& run, TimePoint now) {
  std::vector<ActiveFile> files = run.scheduler.active_files();
  for (ActiveFile& file : files) {
    // Without staging, what is hashed is a blob that exists.
    const OpenFile* open = run.open_file(file.file);
    if (open != nullptr && open->hash && !open->staging)
      file.done = parts_.hasher.progress(*open->hash);
  }
  parts_.observer.show(files, retries_ + run.scheduler.retries(), now);
}

void Fetcher::execute(Run& run, const CheckExisting& action) {
  const FetchJob& job = run.job(action.item);
  const auto report = [&](const HashResult& result) {
    run.scheduler.on_hash(action.item, result, Clock::now());
  };
  const auto [path, found] = parts_.cache.content(job.repo, job.commit, job.file);
  if (!found || !found->is_file || found->size != job.file.size) return report({});

  auto fd = open_for_reading(path);
  if (!fd && !lstat_path(path)) return report({});  // it was removed this instant
  if (!fd) return report({.error = fd.error()});

  parts_.log.debug(object_of(job) + ": a blob exists without a record; hashing it");
  hash(run, action.item, std::move(*fd), AfterHash::nothing);
  parts_.hasher.advance(*run.files[action.item].hash, job.file.size);
}

void Fetcher::execute(Run& run, const TryLock& action) {
  const FetchJob& job = run.job(action.item);
  const CacheLayout& layout = parts_.cache.layout(job.repo);
  if (run.prepared.insert(job.repo).second) {
    if (Status made = parts_.cache.create_repo_dirs(job.repo); !made) return run.stop(made.error());
    sweep(job.repo);
  }

  auto lock =
      FileLock::try_acquire(parts_.cache.lock_folder(), layout.lock(job.repo, job.file.blob));
  if (!lock) return run.stop(lock.error());
  if (!*lock)
    return run.scheduler.on_lock(action.item, LockResult::held,
                                 staging_owner(layout, job.repo, job.file.blob), Clock::now());

  run.files[action.item].lock = std::move(*lock);
  const bool exists = parts_.cache.content(job.repo, job.commit, job.file).there.has_value();
  run.scheduler.on_lock(action.item,
                        exists ? LockResult::acquired_blob_exists : LockResult::acquired, {},
                        Clock::now());
}

bool Fetcher::lock_excludes(const FetchJob& job, const OpenFile& file) const {
  return file.lock &&
         file.lock->excludes(parts_.cache.lock_folder(),
                             parts_.cache.layout(job.repo).lock(job.repo, job.file.blob));
}

void Fetcher::execute(Run& run, const OpenStaging& action) {
  // An earlier action of this round may have lost it.
  if (!run.scheduler.awaits_staging(action.item)) return;
  const FetchJob& job = run.job(action.item);
  OpenFile& file = run.files[action.item];
  if (file.hash) parts_.hasher.cancel(*file.hash);
  file.hash.reset();
  file.staging.reset();

  auto opened = Staging::open({parts_.cache.folder(job.repo), parts_.cache.layout(job.repo),
                               job.repo, job.file.blob, job.file.size},
                              self_,
                              {action.fresh ? Staging::Begin::fresh : Staging::Begin::resume,
                               lock_excludes(job, file), action.take_over});
  if (!opened) return run.stop(opened.error());
  if (const auto* owned = std::get_if<Staging::OwnedByOther>(&*opened))
    return run.scheduler.on_owned(action.item, owned->owner, owned->sign, Clock::now());

  file.staging.emplace(std::move(std::get<Staging>(*opened)));
  if (!file.staging->copying()) return on_staged(run, action.item);
  parts_.log.warning(object_of(job) +
                     ": its writer has gone silent; going on with a copy of what it left");
}

/// Copies a piece of each file that was taken over, and returns whether there is more. The loop
/// goes on in between, for signals and for the other files.
bool Fetcher::copy_some(Run& run) {
  bool more = false;
  for (auto& [item, file] : run.files) {
    if (!file.staging || !file.staging->copying()) continue;
    if (Status copied = file.staging->copy_some(); !copied) {
      run.stop(copied.error());
      return false;
    }
    if (file.staging->copying())
      more = true;
    else
      on_staged(run, item);
  }
  return more;
}

void Fetcher::on_staged(Run& run, ItemId item) {
  const FetchJob& job = run.job(item);
  const Staging& staging = *run.files[item].staging;
  auto reader = staging.reader();
  if (!reader) return run.stop(reader.error());
  hash(run, item, std::move(*reader), AfterHash::sync);

  const RangeSet& have = staging.have();
  if (!have.empty())
    parts_.log.info(fmt::format("{}: going on from {} of {}", object_of(job),
                                format_bytes(have.total()), format_bytes(job.file.size)));
  run.scheduler.on_staged(item, have, Clock::now());
}

void Fetcher::hash(Run& run, ItemId item, UniqueFd fd, AfterHash after) {
  const RemoteFile& file = run.job(item).file;
  run.files[item].hash = parts_.hasher.open(std::move(fd), file.size, file.blob.kind(), after);
}

void Fetcher::execute(Run& run, const StartTransfer& action) {
  // An earlier action of this round may have ended the run.
  if (!run.scheduler.running(action.id)) return;

  std::unique_ptr<BodySink>& sink = run.sinks[action.id];
  if (run.replies != nullptr) {
    Reply& reply = (*run.replies)[action.item];
    reply.source = action.source;
    sink = std::make_unique<QuerySink>(reply);
  } else {
    Staging& staging = *run.files.at(action.item).staging;
    sink = std::make_unique<PayloadSink>(run.scheduler, staging, action.id);
  }
  parts_.transport.start(
      action.id,
      {.url = action.url,
       .kind = run.replies != nullptr ? RequestKind::query : RequestKind::payload,
       .range = action.range,
       .token = action.with_token ? &*parts_.endpoints[action.endpoint].token : nullptr},
      *sink);
}

void Fetcher::execute(Run& run, const CancelTransfer& action) {
  parts_.transport.cancel(action.id);
  run.sinks.erase(action.id);
}

void Fetcher::execute(Run& run, const HashTo& action) {
  if (const OpenFile* file = run.open_file(action.item); file != nullptr && file->hash)
    parts_.hasher.advance(*file->hash, action.watermark);
}

void Fetcher::execute(Run& run, const SaveResume& action) {
  OpenFile* file = run.open_file(action.item);
  const RangeSet* have = run.scheduler.have(action.item);
  if (file == nullptr || !file->staging || have == nullptr) return;

  const auto saved = file->staging->save(*have);
  if (!saved) return run.stop(saved.error());
  if (*saved != Staging::Held::yes)
    run.scheduler.on_lost(action.item, *saved == Staging::Held::pruned ? Loss::pruned : Loss::taken,
                          Clock::now());
}

void Fetcher::execute(Run& run, const Publish& action) {
  const auto published = run.files.at(action.item).staging->publish();
  if (!published) return run.stop(published.error());
  run.scheduler.on_published(
      action.item, *published ? PublishResult::done : PublishResult::staging_lost, Clock::now());
}

void Fetcher::execute(Run& run, const Close& action) {
  OpenFile* file = run.open_file(action.item);
  if (file == nullptr) return;

  if (file->hash) parts_.hasher.cancel(*file->hash);
  if (action.drop_staging && file->staging)
    if (Status dropped = file->staging->drop(); !dropped)
      parts_.log.warning(dropped.error().message);
  run.files.erase(action.item);
}

void Fetcher::execute(Run& run, const Finish& action) {
  const FileOutcome& outcome = action.outcome;
  if (run.replies != nullptr) {
    (*run.replies)[action.item].error = outcome.error;
    return;
  }
  const bool ready = outcome.status == FileStatus::fetched || outcome.status == FileStatus::reused;
  parts_.observer.file_done(action.item, ready ? FileEnd::ready : FileEnd::given_up,
                            std::max(0, outcome.attempts - 1));
  log_outcome(run, run.job(action.item), outcome);
  (*run.on_outcome)(action.item, outcome);
}

void Fetcher::execute(Run&, const Notice& action) {
  switch (action.level) {
    case NoticeLevel::debug: return parts_.log.debug(action.text);
    case NoticeLevel::info: return parts_.log.info(action.text);
    case NoticeLevel::warning: return parts_.log.warning(action.text);
    case NoticeLevel::error: return parts_.log.error(action.text);
  }
}

void Fetcher::log_outcome(Run& run, const FetchJob& job, const FileOutcome& outcome) {
  const std::string object = object_of(job);
  if (outcome.status == FileStatus::failed) return log_failure(run, job, *outcome.error);
  if (outcome.status == FileStatus::cancelled)
    return parts_.log.debug(object + ": " + outcome.error->message);

  const double seconds = std::chrono::duration<double>(outcome.took).count();
  parts_.log.write(
      job.file.size >= kLargeFile ? LogLevel::info : LogLevel::debug,
      fmt::format("{}: verified {} {}, {} {}", object,
                  job.file.blob.kind() == DigestKind::sha256 ? "sha256" : "git sha1",
                  short_hex(job.file.blob), format_bytes(job.file.size),
                  outcome.status == FileStatus::reused ? "already in the cache"
                                                       : fmt::format("in {:.1f} s", seconds)));
}

/// The first failed file of a model is logged as an error. The others most often fail for the same
/// reason, and are in the summary.
void Fetcher::log_failure(Run& run, const FetchJob& job, const Error& error) {
  bool first = false;
  for (const std::size_t model : job.models)
    first = run.reported_models.insert(model).second || first;

  const LogLevel level = first ? LogLevel::error : LogLevel::debug;
  parts_.log.write(level, error.message);
  if (!error.hint.empty()) parts_.log.write(level, "hint: " + error.hint);
}

void Fetcher::report_hashes(Run& run) {
  for (HashEvent& event : parts_.hasher.take_all()) {
    const auto file = std::find_if(run.files.begin(), run.files.end(), [&](const auto& open) {
      return open.second.hash == event.ticket;
    });
    if (file == run.files.end()) continue;  // it was cancelled meanwhile
    file->second.hash.reset();
    run.scheduler.on_hash(file->first, {event.sha256, event.git_sha1, std::move(event.error)},
                          Clock::now());
  }
}

}  // namespace model_prep
