// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/download.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/commands/cleanup.h"
#include "model_prep/commands/resolve.h"

namespace model_prep {
namespace {

constexpr int kMostLosses = 10;

}  // namespace

RunReport Download::run(std::vector<ModelSpec> specs) {
  if (Status done = work(std::move(specs)); !done) {
    error_ = done.error();
    session_.log_error(*error_);
  }
  return report();
}

Status Download::work(std::vector<ModelSpec> specs) {
  if (Status ready = prepare(std::move(specs)); !ready) return ready;
  const Network network = session_.options.offline ? Network::forbidden : Network::allowed;
  for (ModelRun& model : models_) {
    session_.cache.adopt_existing(model.spec.repo, session_.options.dry_run
                                                       ? Cache::Writing::forbidden
                                                       : Cache::Writing::allowed);
    auto local = resolve_locally(model.spec, session_.cache, network);
    if (!local) continue;
    if (local->snapshot)
      look(model, std::move(*local->snapshot), local->record);
    else
      model.error = local->snapshot.error();
  }
  if (!session_.options.dry_run)
    for (const ModelRun& model : models_)
      if (writing_needed(model))
        if (Status probed = session_.cache.probe_writing(model.spec.repo); !probed) return probed;
  resolve_from_hub();
  for (const ModelRun& model : models_)
    if (model.error && disposition(model.error->kind) != Disposition::abort_run)
      session_.log_error(*model.error);
  if (note_abort()) return ok();
  if (session_.options.offline) refuse_offline();
  if (session_.options.dry_run) {
    const auto space = disk_space(session_.options.cache_dir);
    session_.out << plan_table(models_, {.folder = session_.options.cache_dir,
                                         .free = space ? std::optional(space->bytes) : std::nullopt,
                                         .columns = session_.columns});
    if (Status fits = check_space(make_plan(models_to_fetch(models_))); !fits)
      session_.log.warning(fits.error().message);
    return ok();
  }
  Status done = ok();
  do {
    done = fetch_and_publish();
  } while (done && !note_abort() && look_again());
  held_.clear();
  return done;
}

/// Where that cannot be done, publishing sees to it. Where somebody cleans up at this moment, it is
/// tried again with each file that comes.
void Download::hold_repositories() {
  for (const ModelRun& model : models_) {
    const RepoId& repo = model.spec.repo;
    if (!model.snapshot || model.error || model.published || model.view.satisfied()) continue;
    if (session_.options.offline || held_.contains(repo)) continue;
    const CacheLayout& at = session_.cache.layout(repo);
    const Directory& folder = session_.cache.lock_folder();
    if (!folder.create_directories(at.lock_folder(repo))) continue;
    auto lock = FileLock::try_acquire(folder, at.repo_lock(repo), LockKind::shared);
    if (lock && *lock) held_.emplace(repo, std::move(**lock));
  }
}

Status Download::fetch_and_publish() {
  hold_repositories();
  const auto wanted = models_to_fetch(models_);
  const FetchPlan plan = make_plan(wanted);
  if (Status space = check_space(plan); !space) return space;
  fetch(plan);
  return ok();
}

/// Whether there are models of which somebody removed a part meanwhile; they are to be fetched once
/// more. A part that is removed again and again is no accident.
bool Download::look_again() {
  bool again = false;
  for (ModelRun& model : models_) {
    if (!model.lost) continue;
    model.lost = false;
    if (model.lost_times++ == kMostLosses) {
      model.error = Error{ErrorKind::io,
                          fmt::format("files of {} vanish from the cache while they are fetched",
                                      model.spec.repo.text()),
                          "some other process removes them: let it end first"};
      session_.log_error(*model.error);
      continue;
    }
    session_.log.warning(fmt::format(
        "{}: some of its files were removed meanwhile; fetching them again", model.spec.key));
    model.view = session_.cache.inspect(
        *model.snapshot, session_.cache.record(model.spec.repo, model.snapshot->commit));
    again = true;
  }
  if (again && session_.options.offline) refuse_offline();
  return again;
}

/// What ended the whole run in the loop, which has told it, is the run's error too.
bool Download::note_abort() {
  for (const ModelRun& model : models_)
    if (model.error && disposition(model.error->kind) == Disposition::abort_run && !error_)
      error_ = model.error;
  return error_.has_value();
}

Status Download::prepare(std::vector<ModelSpec> specs) {
  for (ModelSpec& spec : specs)
    models_.push_back({.spec = std::move(spec), .begun = session_.begun});
  connection_ = HubClient::make(session_);
  return ok();
}

void Download::look(ModelRun& model, ResolvedSnapshot snapshot,
                    const std::optional<SnapshotRecord>& record) {
  session_.update_variant(model.spec, snapshot);
  if (const auto warning = pickle_warning(snapshot)) session_.log.warning(*warning);
  model.view = session_.cache.inspect(snapshot, record);
  model.snapshot = std::move(snapshot);
}

/// A blob, link or ref is missing, or nobody knows yet. A record alone is no reason: it is a hint,
/// and a read-only volume with everything on it is a good one.
bool Download::writing_needed(const ModelRun& model) const {
  if (session_.options.offline || model.error) return false;
  if (!model.snapshot || !model.view.refs_correct || !model.view.tree_correct) return true;
  return std::any_of(model.view.files.begin(), model.view.files.end(), [](const FileView& file) {
    return file.state == BlobState::missing || !file.linked;
  });
}

void Download::resolve_from_hub() {
  std::vector<ModelSpec> specs;
  std::vector<ModelRun*> asked;
  for (ModelRun& model : models_) {
    if (model.snapshot || model.error) continue;
    specs.push_back(model.spec);
    asked.push_back(&model);
  }
  if (specs.empty()) return;
  session_.log.debug(fmt::format("asking {} about {} models", connection_->endpoints.front().name(),
                                 specs.size()));
  auto results =
      resolve_remotely(specs, session_.cache, connection_->endpoints, connection_->fetcher);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    ModelRun& model = *asked[i];
    auto& [snapshot, by] = results[i];
    if (!snapshot) {
      model.error = snapshot.error();
      continue;
    }
    const auto record = session_.cache.record(snapshot->spec.repo, snapshot->commit);
    look(model, std::move(*snapshot), record);
    const bool several = connection_->endpoints.size() > 1 && !by.empty();
    session_.log.info(fmt::format("{}: {} is {}{}, {} files", model.spec.key,
                                  model.spec.revision.text(),
                                  model.snapshot->commit.hex().substr(0, 12),
                                  several ? " at " + by : "", model.snapshot->files.size()));
  }
}

/// Without a network what is missing stays missing.
void Download::refuse_offline() {
  for (ModelRun& model : models_) {
    if (!model.snapshot || model.error) continue;
    for (std::size_t i = 0; i < model.view.files.size() && !model.error; ++i) {
      if (model.view.files[i].state != BlobState::missing) continue;
      model.error = Error{ErrorKind::offline_missing,
                          fmt::format("{} {} is not in the cache, and this run is offline",
                                      model.spec.repo.text(), model.snapshot->files[i].path.text()),
                          "run once without --offline and HF_HUB_OFFLINE"};
      session_.log_error(*model.error);
    }
  }
}

Status Download::check_space(const FetchPlan& plan) const {
  const auto space = disk_space(session_.options.cache_dir);
  if (!space) return ok();
  const std::int64_t needed = plan.bytes - plan.staged;
  if (needed > space->bytes)
    return Error{
        ErrorKind::disk_full,
        fmt::format("not enough space for the cache {}: {} needed, {} free",
                    session_.options.cache_dir, format_bytes(needed), format_bytes(space->bytes)),
        "free some space, choose another volume with --cache-dir, or fewer models"};
  std::int64_t inodes = 0;
  for (const FetchJob& job : plan.jobs)
    inodes += job.check_existing ? 0 : 2;  // the blob and its lock
  for (const ModelRun& model : models_)
    inodes += std::count_if(model.view.files.begin(), model.view.files.end(),
                            [](const FileView& f) { return !f.linked; });
  if (space->inodes && inodes > *space->inodes)
    return Error{ErrorKind::disk_full,
                 fmt::format("not enough inodes for the cache {}: about {} needed, {} free",
                             session_.options.cache_dir, inodes, *space->inodes),
                 "remove some files, or choose another volume with --cache-dir"};
  return ok();
}

void Download::fetch(const FetchPlan& plan) {
  for (const FetchJob& job : plan.jobs)
    for (const std::size_t model : job.models) models_[model].pending.insert(job.file.blob);
  if (plan.bytes > 0)
    session_.log.info(fmt::format(
        "fetching {} in {} files into {}{}", format_bytes(plan.bytes - plan.staged),
        plan.jobs.size(), session_.options.cache_dir,
        plan.staged > 0
            ? fmt::format("; {} are there from an earlier run", format_bytes(plan.staged))
            : ""));
  publish_ready();
  session_.observer.planned(progress_plan_of(models_, plan), Clock::now());
  connection_->fetcher.fetch(plan, [&](std::size_t job, const FileOutcome& outcome) {
    on_outcome(plan.jobs[job], outcome);
  });
}

void Download::on_outcome(const FetchJob& job, const FileOutcome& outcome) {
  for (const std::size_t index : job.models) {
    ModelRun& model = models_[index];
    const std::int64_t before =
        model.outcomes[job.file.blob].bytes_fetched;  // and were removed again
    FileOutcome& seen = model.outcomes.insert_or_assign(job.file.blob, outcome).first->second;
    if (index != job.models.front())
      seen.bytes_fetched = 0;  // they came once, and count for the first that wants them
    seen.bytes_fetched += before;
    model.pending.erase(job.file.blob);
    const bool better = !model.error || outcome.status == FileStatus::failed;  // than «not begun»
    if (outcome.error && better) model.error = outcome.error;
  }
  hold_repositories();
  publish_ready();
}

void Download::publish_ready() {
  for (ModelRun& model : models_)
    if (model.snapshot && !model.error && !model.published && !model.lost && model.pending.empty())
      publish(model);
}

void Download::publish(ModelRun& model) {
  model.published = true;
  model.took = Clock::now() - model.begun;
  const bool touched = !model.outcomes.empty() || !model.view.satisfied();
  if (touched) {
    const auto published = session_.cache.publish(*model.snapshot, verified_sha256(model));
    if (!published) {
      model.error = published.error();
      return session_.log_error(*model.error);
    }
    model.lost = published->lost;
    model.published = !model.lost;
    if (model.lost) return;
    for (const std::string& warning : published->warnings)
      session_.log.warning(fmt::format("{}: {}", model.spec.key, warning));
    session_.log.info(fmt::format("{}: ready at {}", model.spec.key, snapshot_folder(model)));
  }
  for (const std::string& warning : session_.cache.link_legacy_dirs(model.spec.repo))
    session_.log.warning(warning);
}

std::string Download::snapshot_folder(const ModelRun& model) const {
  if (!model.snapshot) return {};
  return session_.cache.layout(model.spec.repo).snapshot(model.spec.repo, model.snapshot->commit);
}

RunReport Download::report() {
  RunReport result = session_.begin_report();
  if (connection_) {
    result.requests = connection_->fetcher.requests();
    result.retries = connection_->fetcher.retries();
    result.signal = connection_->fetcher.signal();
  }
  result.error = error_;
  for (ModelRun& model : models_) {
    if (!model.error && !model.published && !session_.options.dry_run) model.error = error_;
    result.models.push_back(
        report_of(model, session_.options.dry_run ? Purpose::dry_run : Purpose::download,
                  snapshot_folder(model)));
  }
  return result;
}

int run_download(Session& session) {
  auto specs = session.select();
  if (!specs) return session.fail_run(specs.error());
  session.log_warnings(*specs);
  Download download(session);
  RunReport report = download.run(std::move(*specs));
  if (session.options.cleanup && report.success() && session.options.dry_run)
    session.log.info(
        "what --cleanup removes is known when the models are here: model-prep cleanup --dry-run");
  if (session.options.cleanup && report.success() && !session.options.dry_run) {
    const auto cleaned = prune_cache(session);
    if (!cleaned) session.log_error(cleaned.error());
    if (cleaned) add_to(report, *cleaned);
    report.duration_s = seconds(Clock::now() - session.begun);
  }
  return session.finish(report);
}

}  // namespace model_prep
