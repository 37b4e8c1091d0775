// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/fetcher.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/commands/hub_settings.h"
#include "model_prep/commands/outcome_log.h"
#include "model_prep/commands/payload_sink.h"
#include "model_prep/io/file_lock.h"
#include "model_prep/io/leftovers.h"
#include "model_prep/io/posix.h"

namespace model_prep {
namespace {

// The loop cannot write faster than this many threads hash, on any machine.
constexpr std::size_t kMaxHashThreads = 8;

}  // namespace

/// One run of the event loop: a scheduler, and what is open for its items.
class Fetcher::Loop {
 public:
  Loop(Fetcher& fetcher, std::vector<WorkItem> items)
      : fetcher_(fetcher),
        session_(fetcher.session_),
        scheduler_(fetcher.settings_, std::move(items), fetcher.hosts_) {}

  /// Returns the indices of those that were crowded out.
  std::vector<std::size_t> query(const OnReply& on_reply) {
    on_reply_ = &on_reply;
    run();
    return std::move(crowded_out_);
  }

  void fetch(const FetchPlan& plan, const OnOutcome& on_outcome) {
    plan_ = &plan;
    on_outcome_ = &on_outcome;
    run();

    // Sweep again: a process may have been killed since the first sweep.
    if (!fetcher_.session_.signals.read())
      for (const RepoId& repo : prepared_) sweep(repo);
  }

 private:
  struct OpenFile {
    std::optional<FileLock> lock;
    std::optional<Staging> staging;
    std::optional<HashJobId> hash;
    std::optional<CopyJobId> copy;
  };

  const FetchJob& job_of(ItemId item) const { return plan_->jobs[item]; }

  void stop(const Error& why) { scheduler_.stop(why, Clock::now()); }

  /// Other repositories may lie elsewhere, or belong to somebody else; but a full disk is full for
  /// all.
  void fail(ItemId item, Error error) {
    if (error.kind == ErrorKind::disk_full) return stop(error);
    error.of_one_item = true;
    scheduler_.on_failed(item, error, Clock::now());
  }

  void sweep(const RepoId& repo) const {
    sweep_staging(session_.cache.repository(repo), fetcher_.self_);
  }

  void interrupt(int signal) {
    // What has arrived is written, so that it need not be fetched again.
    for (const auto& [id, sink] : sinks_) static_cast<void>(sink->on_pause());

    fetcher_.session_.observer.finished();
    const bool is_download = plan_ != nullptr;
    const char* hint = is_download ? "what was downloaded is kept; the next run resumes" : "";
    stop(stopped_by(signal, hint));
  }

  void run() {
    bool interrupted = false;
    while (true) {
      const auto signal = fetcher_.session_.signals.read();
      if (signal && !interrupted) interrupt(*signal);
      interrupted = signal.has_value();

      // Carry out all actions before polling: one of them may cancel a transfer, which must not
      // write another byte.
      const TimePoint now = Clock::now();
      for (auto actions = scheduler_.next(now); !actions.empty(); actions = scheduler_.next(now))
        for (const Action& action : actions)
          std::visit([&](const auto& one) { execute(one); }, action);
      if (scheduler_.finished()) break;

      const bool busy = copy_some();
      if (now >= session_.observer.due()) show(now);

      const TimePoint wake = busy ? now : std::min(scheduler_.wake_at(), session_.observer.due());
      for (const TransferEnd& end : fetcher_.transport_.poll(wake)) {
        scheduler_.on_end(end, Clock::now(), fetcher_.jitter());
        sinks_.erase(end.id);  // a redirected transfer starts with a new one
      }
      report_hashes();
      report_copies();
    }
    fetcher_.hosts_ = scheduler_.hosts();
    fetcher_.requests_ += scheduler_.requests();
    fetcher_.retries_ += scheduler_.retries();
  }

  void show(TimePoint now) {
    std::vector<ActiveFile> files = scheduler_.active_files();
    for (ActiveFile& file : files) {
      // Without staging, what is hashed is a blob that exists.
      const auto open = files_.find(file.index);
      if (open != files_.end() && open->second.hash && !open->second.staging)
        file.done = fetcher_.hasher_.progress(*open->second.hash);
    }
    session_.observer.show(files, fetcher_.retries_ + scheduler_.retries(), now);
  }

  /// Copies a piece of each file that was taken over, and returns whether there is more. The loop
  /// goes on in between, for signals and for the other files.
  bool copy_some() {
    bool more = false;
    for (auto& [item, file] : files_) {
      if (!file.staging || !file.staging->copying()) continue;
      const auto copied = file.staging->copy_some();
      if (!copied)
        fail(item, copied.error());
      else if (*copied != StagingOwner::us)
        scheduler_.on_lost(item, *copied, Clock::now());
      else if (file.staging->copying())
        more = true;
      else
        on_staged(item);
    }
    return more;
  }

  void report_hashes() {
    for (const HashEvent& event : fetcher_.hasher_.take_all()) {
      const auto file = std::ranges::find_if(
          files_, [&](const auto& open) { return open.second.hash == event.job; });
      if (file == files_.end()) continue;  // it was cancelled meanwhile
      file->second.hash.reset();
      scheduler_.on_hash(file->first, event, Clock::now());
    }
  }

  void report_copies() {
    for (CopyEvent& event : fetcher_.copier_.take_all()) {
      const auto open = std::ranges::find_if(
          files_, [&](const auto& one) { return one.second.copy == event.job; });
      if (open == files_.end()) continue;  // it was lost meanwhile
      const ItemId item = open->first;
      if (!event.error) {
        scheduler_.on_copied(item, event.range, Clock::now());
        continue;
      }

      end_copy(open->second);
      if (event.error->kind == ErrorKind::disk_full)
        fail(item, std::move(*event.error));
      else
        scheduler_.on_not_copied(item, *event.error, Clock::now());
    }
  }

  void end_copy(OpenFile& file) const {
    if (file.copy) fetcher_.copier_.close(*file.copy);
    file.copy.reset();
  }

  void execute(const CheckExisting& action) {
    const FetchJob& job = job_of(action.item);
    const auto report = [&](const HashResult& result) {
      scheduler_.on_hash(action.item, result, Clock::now());
    };
    const auto& [commit, file] =
        action.copy == 0 ? std::pair(job.commit, job.file) : job.copies[action.copy - 1];
    const auto [path, found] = session_.cache.content(job.repo, commit, file);
    if (!found || !found->is_file || found->size != job.file.size) return report({});

    auto fd = open_for_reading(path);
    if (!fd && !lstat_path(path)) return report({});  // it was removed this instant
    // One that we may not read is fetched again. What else fails says nothing about the file.
    if (!fd && fd.error().kind != ErrorKind::permission) return stop(fd.error());
    if (!fd) return report({.error = fd.error()});

    session_.log.debug(object_of(job) +
                       ": in the cache, but without a record of its verification; hashing it");
    // Synced too: another program may have written it a moment ago.
    hash(action.item, std::move(*fd), AfterHash::sync);
    fetcher_.hasher_.advance(*files_[action.item].hash, job.file.size);
  }

  void execute(const TryLock& action) {
    const FetchJob& job = job_of(action.item);
    const Repository& repository = session_.cache.repository(job.repo);
    if (prepared_.insert(job.repo).second) {
      if (Status made = session_.cache.create_repo_dirs(job.repo); !made) {
        prepared_.erase(job.repo);
        return fail(action.item, made.error());
      }
      sweep(job.repo);
    }

    auto lock =
        FileLock::try_acquire(*repository.lock_directory, repository.layout.lock(job.file.blob));
    if (!lock) return fail(action.item, lock.error());
    if (!*lock) return on_busy(action.item, read_resume(repository, job.file.blob));

    files_[action.item].lock = std::move(*lock);
    const bool exists = session_.cache.content(job.repo, job.commit, job.file).there.has_value();
    scheduler_.on_lock(action.item,
                       exists ? LockResult::acquired_blob_exists : LockResult::acquired,
                       Clock::now());
  }

  void on_busy(ItemId item, const ResumeContent& other) {
    scheduler_.on_busy(item, other.owner(), other.text, Clock::now());
  }

  void execute(const OpenStaging& action) {
    // An earlier action of this round may have lost it.
    if (!scheduler_.awaits_staging(action.item)) return;
    const FetchJob& job = job_of(action.item);
    OpenFile& file = files_[action.item];
    if (file.hash) fetcher_.hasher_.cancel(*file.hash);
    file.hash.reset();
    end_copy(file);
    file.staging.reset();

    const Repository& repository = session_.cache.repository(job.repo);
    auto opened = Staging::open(repository, job.file.blob, job.file.size, fetcher_.self_,
                                {action.fresh, action.take_over});
    if (!opened) return fail(action.item, opened.error());
    if (const auto* owned = std::get_if<Staging::OwnedByOther>(&*opened))
      return on_busy(action.item, *owned);

    file.staging.emplace(std::move(std::get<Staging>(*opened)));
    if (!file.staging->copying()) return on_staged(action.item);
    session_.log.warning(
        object_of(job) +
        ": the process downloading it stopped responding; resuming from a copy of its partial file");
  }

  void on_staged(ItemId item) {
    const FetchJob& job = job_of(item);
    const Staging& staging = *files_[item].staging;
    auto reader = staging.reader();
    if (!reader) return fail(item, reader.error());
    hash(item, std::move(*reader), AfterHash::sync_growing);

    if (staging.has_made_room())
      session_.log.warning(
          object_of(job) +
          ": the disk has no room for a copy of the partial file that another process left, so it was removed");
    const RangeSet& have = staging.have();
    if (!have.empty())
      session_.log.info(fmt::format("{}: resuming at {} of {}", object_of(job),
                                    format_bytes(have.total()), format_bytes(job.file.size)));
    scheduler_.on_staged(item, have, Clock::now());
  }

  void hash(ItemId item, UniqueFd fd, AfterHash after) {
    const RemoteFile& file = job_of(item).file;
    files_[item].hash = fetcher_.hasher_.open(std::move(fd), file.size, file.blob.kind(), after);
  }

  void execute(const CopyNearby& action) {
    const auto open = files_.find(action.item);
    if (open == files_.end() || !open->second.staging) return;  // lost in this round
    OpenFile& file = open->second;
    if (!file.copy) {
      auto target = file.staging->reader();
      if (!target) return fail(action.item, target.error());
      const FetchJob& job = job_of(action.item);
      const std::string wanted = session_.cache.repository(job.repo).layout.blob(job.file.blob);
      file.copy =
          fetcher_.copier_.open(job.nearby[action.file], job.file.size, std::move(*target), wanted);
    }
    fetcher_.copier_.copy(*file.copy, action.range, action.may_clone);
  }

  void execute(const StartTransfer& action) {
    // An earlier action of this round may have ended the run.
    if (!scheduler_.running(action.id)) return;

    const HubEndpoint& endpoint = fetcher_.endpoints[action.endpoint];
    Request request{.url = with_login(action.url, endpoint.hub.endpoint()),
                    .range = action.range,
                    .token = action.with_token ? &*endpoint.token : nullptr};
    std::unique_ptr<BodySink>& sink = sinks_[action.id];
    if (on_reply_ != nullptr) {
      OpenReply& open = replies_[action.item];
      open.reply.source = action.source;
      open.reply.url = action.url;
      sink = std::make_unique<QuerySink>(open, held_);
    } else {
      request.kind = RequestKind::payload;
      request.expected = scheduler_.range_of(action.id).size();
      OpenFile& file = files_.at(action.item);
      HashInput hash;
      if (file.hash && file.staging->is_ours_alone()) hash = {&fetcher_.hasher_, *file.hash};
      sink = make_payload_sink(scheduler_, *file.staging, action.id, hash);
    }
    fetcher_.transport_.start(action.id, request, *sink);
  }

  void execute(const CancelTransfer& action) {
    fetcher_.transport_.cancel(action.id);
    sinks_.erase(action.id);
  }

  void execute(const HashTo& action) {
    if (const auto& hash = files_[action.item].hash)
      fetcher_.hasher_.advance(*hash, action.watermark);
  }

  void execute(const SaveResume& action) {
    auto& staging = files_[action.item].staging;
    const RangeSet* have = scheduler_.have(action.item);
    if (!staging || have == nullptr) return;

    const auto saved = staging->save(*have);
    if (!saved) return fail(action.item, saved.error());
    if (*saved != StagingOwner::us) scheduler_.on_lost(action.item, *saved, Clock::now());
  }

  void execute(const Publish& action) {
    const auto owner = files_.at(action.item).staging->publish();
    if (!owner) return fail(action.item, owner.error());
    if (*owner != StagingOwner::us) return scheduler_.on_lost(action.item, *owner, Clock::now());
    scheduler_.on_published(action.item, Clock::now());
  }

  void execute(const Close& action) {
    OpenFile& file = files_[action.item];
    if (file.hash) fetcher_.hasher_.cancel(*file.hash);
    end_copy(file);
    if (action.drop_staging && file.staging)
      if (Status dropped = file.staging->drop(); !dropped)
        session_.log.warning(dropped.error().message);
    files_.erase(action.item);
  }

  void execute(const Finish& action) {
    const FileOutcome& outcome = action.outcome;
    if (on_reply_ != nullptr) return finish_query(action.item, outcome.error);
    const bool ready =
        outcome.status == FileStatus::fetched || outcome.status == FileStatus::reused;
    session_.observer.file_done(action.item, ready ? FileEnd::ready : FileEnd::given_up,
                                std::max(0, outcome.attempts - 1));
    outcome_log_.write(job_of(action.item), outcome);
    (*on_outcome_)(action.item, outcome);
  }

  void finish_query(ItemId item, const std::optional<Error>& error) {
    const auto ended = replies_.extract(item);  // nothing of a query that was never started
    OpenReply open = ended ? std::move(ended.mapped()) : OpenReply{};
    held_ -= open.reply.body.size();
    if (open.crowded_out && !error) return crowded_out_.push_back(item);

    open.reply.error = error;
    (*on_reply_)(item, open.reply);
  }

  void execute(const Notice& action) { session_.log.write(action.level, action.text); }

  Fetcher& fetcher_;
  Session& session_;
  Scheduler scheduler_;
  OutcomeLog outcome_log_{session_};
  const FetchPlan* plan_{nullptr};        // of a fetch
  const OnOutcome* on_outcome_{nullptr};  // likewise
  const OnReply* on_reply_{nullptr};      // of a query
  std::map<ItemId, OpenReply> replies_;
  std::size_t held_{0};  // bytes of their bodies
  std::vector<std::size_t> crowded_out_;
  std::map<ItemId, OpenFile> files_;
  std::map<TransferId, std::unique_ptr<BodySink>> sinks_;
  std::set<RepoId> prepared_;  // repositories that have their directories
};

Fetcher::Fetcher(Session& session)
    : endpoints(endpoints_with_tokens(session)),
      session_(session),
      transport_(transport_settings(session)),
      hasher_([this] { transport_.wake(); }, std::min(processors(), kMaxHashThreads)),
      copier_([this] { transport_.wake(); }),
      settings_(scheduler_settings(session, endpoints)),
      self_(WriterIdentity::make()),
      random_(random_bits()) {}

void Fetcher::query(const std::vector<Query>& queries, const OnReply& on_reply) {
  const auto item_of = [](const Query& query) {
    return WorkItem{.context = query.context, .sources = query.sources};
  };
  std::vector<WorkItem> items;
  for (const Query& query : queries) items.push_back(item_of(query));

  for (const std::size_t crowded_out : Loop(*this, std::move(items)).query(on_reply))
    Loop(*this, {item_of(queries[crowded_out])}).query([&](std::size_t, const Reply& reply) {
      on_reply(crowded_out, reply);
    });
}

void Fetcher::fetch(const FetchPlan& plan, const OnOutcome& on_outcome) {
  std::vector<WorkItem> items;
  for (const FetchJob& job : plan.jobs) {
    const auto address = [&](const Hub& hub) {
      return hub.resolve(job.repo, job.commit, job.file.path);
    };
    items.push_back({.context = {.object = object_of(job), .repo = job.repo.text()},
                     .sources = sources_at(endpoints, address),
                     .blob = job.file.blob_spec(),
                     .check_existing = job.check_existing,
                     .copies = job.copies.size(),
                     .models = job.models,
                     .nearby = job.nearby});
  }

  Loop(*this, std::move(items)).fetch(plan, on_outcome);
  session_.observer.finished();
}

bool Fetcher::has_logged(const Error& error) {
  return error.kind == ErrorKind::interrupted || error.kind == ErrorKind::deadline;
}

}  // namespace model_prep
