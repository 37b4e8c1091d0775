// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/fetcher.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/commands/payload_sink.h"
#include "model_prep/io/file_lock.h"
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
          "what was fetched is kept: the next run resumes there"};
}

/// Keeps a response to a query in memory.
class QuerySink : public BodySink {
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

}  // namespace

/// One run of the event loop: a scheduler, and what is open for its items.
class Fetcher::Loop {
 public:
  Loop(Fetcher& fetcher, std::vector<WorkItem> items)
      : fetcher_(fetcher),
        parts_(fetcher.parts_),
        scheduler_(fetcher.settings_, std::move(items), fetcher.hosts_) {}

  void query(std::vector<Reply>& replies) {
    replies_ = &replies;
    run();
  }

  void fetch(const FetchPlan& plan, const OnOutcome& on_outcome) {
    plan_ = &plan;
    on_outcome_ = &on_outcome;
    run();

    // Sweep again: a process may have been killed since the first sweep.
    if (!fetcher_.signal_)
      for (const RepoId& repo : prepared_) fetcher_.sweep(repo);
  }

 private:
  struct OpenFile {
    std::optional<FileLock> lock;
    std::optional<Staging> staging;
    std::optional<HashJobId> hash;
  };

  const FetchJob& job_of(ItemId item) const { return plan_->jobs[item]; }

  OpenFile* open_file(ItemId item) {
    const auto found = files_.find(item);
    return found == files_.end() ? nullptr : &found->second;
  }

  void stop(const Error& why) { scheduler_.stop(why, Clock::now()); }

  void run() {
    if (fetcher_.signal()) stop(interrupted(*fetcher_.signal_));

    while (true) {
      // Carry out all actions before polling: one of them may cancel a transfer, which must not
      // write another byte.
      const TimePoint now = Clock::now();
      for (auto actions = scheduler_.next(now); !actions.empty(); actions = scheduler_.next(now))
        for (const Action& action : actions)
          std::visit([&](const auto& one) { execute(one); }, action);
      if (scheduler_.finished()) break;

      const bool busy = copy_some();
      if (now >= parts_.observer.due()) show(now);

      const TimePoint wake = busy ? now : std::min(scheduler_.wake_at(), parts_.observer.due());
      for (const TransferEnd& end : parts_.transport.poll(wake)) {
        scheduler_.on_end(end, Clock::now(), fetcher_.jitter());
        sinks_.erase(end.id);  // a redirected transfer starts with a new one
      }
      report_hashes();

      if (fetcher_.signal_ || !fetcher_.signal()) continue;
      // What has arrived is written, so that it need not be fetched again.
      for (const auto& [id, sink] : sinks_) static_cast<void>(sink->on_pause());
      stop(interrupted(*fetcher_.signal_));
    }
    fetcher_.hosts_ = scheduler_.hosts();
    fetcher_.requests_ += scheduler_.requests();
    fetcher_.retries_ += scheduler_.retries();
  }

  void show(TimePoint now) {
    std::vector<ActiveFile> files = scheduler_.active_files();
    for (ActiveFile& file : files) {
      // Without staging, what is hashed is a blob that exists.
      const OpenFile* open = open_file(file.file);
      if (open != nullptr && open->hash && !open->staging)
        file.done = parts_.hasher.progress(*open->hash);
    }
    parts_.observer.show(files, fetcher_.retries_ + scheduler_.retries(), now);
  }

  /// Copies a piece of each file that was taken over, and returns whether there is more. The loop
  /// goes on in between, for signals and for the other files.
  bool copy_some() {
    bool more = false;
    for (auto& [item, file] : files_) {
      if (!file.staging || !file.staging->copying()) continue;
      if (Status copied = file.staging->copy_some(); !copied) {
        stop(copied.error());
        return false;
      }
      if (file.staging->copying())
        more = true;
      else
        on_staged(item);
    }
    return more;
  }

  void report_hashes() {
    for (HashEvent& event : parts_.hasher.take_all()) {
      const auto file = std::find_if(files_.begin(), files_.end(), [&](const auto& open) {
        return open.second.hash == event.ticket;
      });
      if (file == files_.end()) continue;  // it was cancelled meanwhile
      file->second.hash.reset();
      scheduler_.on_hash(file->first, {event.sha256, event.git_sha1, std::move(event.error)},
                         Clock::now());
    }
  }

  void execute(const CheckExisting& action) {
    const FetchJob& job = job_of(action.item);
    const auto report = [&](const HashResult& result) {
      scheduler_.on_hash(action.item, result, Clock::now());
    };
    const auto [path, found] = parts_.cache.content(job.repo, job.commit, job.file);
    if (!found || !found->is_file || found->size != job.file.size) return report({});

    auto fd = open_for_reading(path);
    if (!fd && !lstat_path(path)) return report({});  // it was removed this instant
    if (!fd) return report({.error = fd.error()});

    parts_.log.debug(object_of(job) + ": a blob exists without a record; hashing it");
    hash(action.item, std::move(*fd), AfterHash::nothing);
    parts_.hasher.advance(*files_[action.item].hash, job.file.size);
  }

  void execute(const TryLock& action) {
    const FetchJob& job = job_of(action.item);
    const Repository& repository = parts_.cache.repository(job.repo);
    if (prepared_.insert(job.repo).second) {
      if (Status made = parts_.cache.create_repo_dirs(job.repo); !made) return stop(made.error());
      fetcher_.sweep(job.repo);
    }

    auto lock =
        FileLock::try_acquire(repository.lock_directory(), repository.layout().lock(job.file.blob));
    if (!lock) return stop(lock.error());
    if (!*lock)
      return scheduler_.on_lock(action.item, LockResult::held,
                                staging_owner(repository, job.file.blob), Clock::now());

    files_[action.item].lock = std::move(*lock);
    const bool exists = parts_.cache.content(job.repo, job.commit, job.file).there.has_value();
    scheduler_.on_lock(action.item,
                       exists ? LockResult::acquired_blob_exists : LockResult::acquired, {},
                       Clock::now());
  }

  bool lock_excludes(const FetchJob& job, const OpenFile& file) const {
    const Repository& repository = parts_.cache.repository(job.repo);
    return file.lock && file.lock->excludes(repository.lock_directory(),
                                            repository.layout().lock(job.file.blob));
  }

  void execute(const OpenStaging& action) {
    // An earlier action of this round may have lost it.
    if (!scheduler_.awaits_staging(action.item)) return;
    const FetchJob& job = job_of(action.item);
    OpenFile& file = files_[action.item];
    if (file.hash) parts_.hasher.cancel(*file.hash);
    file.hash.reset();
    file.staging.reset();

    auto opened = Staging::open(parts_.cache.repository(job.repo), job.file.blob, job.file.size,
                                fetcher_.self_,
                                {action.fresh ? Staging::Begin::fresh : Staging::Begin::resume,
                                 [&] { return lock_excludes(job, file); }, action.take_over});
    if (!opened) return stop(opened.error());
    if (const auto* owned = std::get_if<Staging::OwnedByOther>(&*opened))
      return scheduler_.on_owned(action.item, owned->owner, owned->heartbeat, Clock::now());

    file.staging.emplace(std::move(std::get<Staging>(*opened)));
    if (!file.staging->copying()) return on_staged(action.item);
    parts_.log.warning(object_of(job) +
                       ": its writer stopped responding; continuing with a copy of its bytes");
  }

  void on_staged(ItemId item) {
    const FetchJob& job = job_of(item);
    const Staging& staging = *files_[item].staging;
    auto reader = staging.reader();
    if (!reader) return stop(reader.error());
    hash(item, std::move(*reader), AfterHash::sync);

    const RangeSet& have = staging.have();
    if (!have.empty())
      parts_.log.info(fmt::format("{}: resuming at {} of {}", object_of(job),
                                  format_bytes(have.total()), format_bytes(job.file.size)));
    scheduler_.on_staged(item, have, Clock::now());
  }

  void hash(ItemId item, UniqueFd fd, AfterHash after) {
    const RemoteFile& file = job_of(item).file;
    files_[item].hash = parts_.hasher.open(std::move(fd), file.size, file.blob.kind(), after);
  }

  void execute(const StartTransfer& action) {
    // An earlier action of this round may have ended the run.
    if (!scheduler_.running(action.id)) return;

    std::unique_ptr<BodySink>& sink = sinks_[action.id];
    if (replies_ != nullptr) {
      Reply& reply = (*replies_)[action.item];
      reply.source = action.source;
      sink = std::make_unique<QuerySink>(reply);
    } else {
      Staging& staging = *files_.at(action.item).staging;
      sink = std::make_unique<PayloadSink>(scheduler_, staging, action.id);
    }
    parts_.transport.start(
        action.id,
        {.url = action.url,
         .kind = replies_ != nullptr ? RequestKind::query : RequestKind::payload,
         .range = action.range,
         .token = action.with_token ? &*parts_.endpoints[action.endpoint].token : nullptr},
        *sink);
  }

  void execute(const CancelTransfer& action) {
    parts_.transport.cancel(action.id);
    sinks_.erase(action.id);
  }

  void execute(const HashTo& action) {
    if (const OpenFile* file = open_file(action.item); file != nullptr && file->hash)
      parts_.hasher.advance(*file->hash, action.watermark);
  }

  void execute(const SaveResume& action) {
    OpenFile* file = open_file(action.item);
    const RangeSet* have = scheduler_.have(action.item);
    if (file == nullptr || !file->staging || have == nullptr) return;

    const auto saved = file->staging->save(*have);
    if (!saved) return stop(saved.error());
    if (*saved != Staging::Held::yes)
      scheduler_.on_lost(action.item, *saved == Staging::Held::pruned ? Loss::pruned : Loss::taken,
                         Clock::now());
  }

  void execute(const Publish& action) {
    const auto published = files_.at(action.item).staging->publish();
    if (!published) return stop(published.error());
    scheduler_.on_published(
        action.item, *published ? PublishResult::done : PublishResult::staging_lost, Clock::now());
  }

  void execute(const Close& action) {
    OpenFile* file = open_file(action.item);
    if (file == nullptr) return;

    if (file->hash) parts_.hasher.cancel(*file->hash);
    if (action.drop_staging && file->staging)
      if (Status dropped = file->staging->drop(); !dropped)
        parts_.log.warning(dropped.error().message);
    files_.erase(action.item);
  }

  void execute(const Finish& action) {
    const FileOutcome& outcome = action.outcome;
    if (replies_ != nullptr) {
      (*replies_)[action.item].error = outcome.error;
      return;
    }
    const bool ready =
        outcome.status == FileStatus::fetched || outcome.status == FileStatus::reused;
    parts_.observer.file_done(action.item, ready ? FileEnd::ready : FileEnd::given_up,
                              std::max(0, outcome.attempts - 1));
    log_outcome(job_of(action.item), outcome);
    (*on_outcome_)(action.item, outcome);
  }

  void execute(const Notice& action) {
    switch (action.level) {
      case NoticeLevel::debug: return parts_.log.debug(action.text);
      case NoticeLevel::info: return parts_.log.info(action.text);
      case NoticeLevel::warning: return parts_.log.warning(action.text);
      case NoticeLevel::error: return parts_.log.error(action.text);
    }
  }

  void log_outcome(const FetchJob& job, const FileOutcome& outcome) {
    const std::string object = object_of(job);
    if (outcome.status == FileStatus::failed) return log_failure(job, *outcome.error);
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

  /// The first failed file of a model is logged as an error. The others most often fail for the
  /// same reason, and are in the summary.
  void log_failure(const FetchJob& job, const Error& error) {
    bool first = false;
    for (const std::size_t model : job.models)
      first = reported_models_.insert(model).second || first;

    const LogLevel level = first ? LogLevel::error : LogLevel::debug;
    parts_.log.write(level, error.message);
    if (!error.hint.empty()) parts_.log.write(level, "hint: " + error.hint);
  }

  Fetcher& fetcher_;
  const Parts& parts_;
  Scheduler scheduler_;
  const FetchPlan* plan_{nullptr};        // of a fetch
  const OnOutcome* on_outcome_{nullptr};  // likewise
  std::vector<Reply>* replies_{nullptr};  // of a query
  std::map<ItemId, OpenFile> files_;
  std::map<TransferId, std::unique_ptr<BodySink>> sinks_;
  std::set<RepoId> prepared_;              // repositories that have their directories
  std::set<std::size_t> reported_models_;  // an error was logged for a file of theirs
};

Fetcher::Fetcher(Parts parts, SchedulerSettings settings)
    : parts_(parts),
      settings_(std::move(settings)),
      self_(WriterIdentity::make()),
      random_(std::random_device{}()) {}

std::vector<Reply> Fetcher::query(const std::vector<Query>& queries) {
  std::vector<WorkItem> items;
  for (const Query& query : queries)
    items.push_back({.context = query.context, .sources = query.sources});

  std::vector<Reply> replies(queries.size());
  Loop(*this, std::move(items)).query(replies);
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

  Loop(*this, std::move(items)).fetch(plan, on_outcome);
  parts_.observer.finished();
}

void Fetcher::sweep(const RepoId& repo) const {
  sweep_staging(parts_.cache.repository(repo), self_);
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

}  // namespace model_prep
