// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/download.h"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/commands/cleanup.h"
#include "model_prep/commands/dependencies.h"
#include "model_prep/commands/disk_need.h"
#include "model_prep/commands/export.h"
#include "model_prep/commands/fetcher.h"
#include "model_prep/commands/file_checks.h"
#include "model_prep/commands/imports.h"
#include "model_prep/commands/model_signatures.h"
#include "model_prep/commands/policies.h"
#include "model_prep/commands/repository_locks.h"
#include "model_prep/commands/resolve.h"
#include "model_prep/core/model_run.h"
#include "model_prep/report/model_report.h"

namespace model_prep {
namespace {

class Download {
 public:
  Download(Session& session, std::vector<ModelSpec> specs)
      : session_(session), fetcher_(session), imports_(session), locks_(session) {
    for (ModelSpec& spec : specs)
      models_.push_back({.spec = std::move(spec), .begun = session.begun});
  }

  RunReport run() {
    if (Status done = download_models(); !done) {
      error_ = done.error();
      session_.log_error(*error_);
    }
    find_dependencies();
    return make_report();
  }

 private:
  /// An error concerns the whole run. Those of a single model are in `models_`.
  Status download_models() {
    if (Status loaded = load_signers(session_, models_); !loaded) return loaded;
    resolve_from_cache();
    if (!session_.options.dry_run)
      if (Status writable = probe_writing(); !writable) return writable;
    resolve_from_hub();
    hold_to_policies(models_, session_, session_.options.offline ? nullptr : &fetcher_);
    for (auto& [model, error] : lock_conflicts(models_to_fetch(models_)))
      models_[model].error = error;
    check_signatures(models_, session_, fetcher_, imports_);

    for (const ModelRun& model : models_)
      if (model.error && disposition(*model.error) != Disposition::abort_run)
        session_.log_error(*model.error);
    if (is_aborted()) return ok();

    if (session_.options.offline) fail_incomplete_models();
    if (session_.options.dry_run) {
      print_dry_run();
      return ok();
    }

    Status done = ok();
    do {
      done = fetch_and_publish();
      look_again();
    } while (done && !is_aborted() && inspect_lost_models());
    locks_.release();
    return done;
  }

  void resolve_from_cache() {
    const auto writing =
        session_.options.dry_run ? Cache::Writing::forbidden : Cache::Writing::allowed;
    const Network network = session_.options.offline ? Network::forbidden : Network::allowed;
    for (ModelRun& model : models_) {
      session_.cache.adopt_existing(model.spec.repo, writing);
      auto local = resolve_locally(model.spec, session_.cache, network);
      if (!local) continue;
      if (!local->snapshot)
        if (auto imported = imports_.resolve(model.spec)) local = std::move(imported);

      if (local->snapshot)
        inspect(model, std::move(*local->snapshot), local->record);
      else
        model.error = imports_.explain(local->snapshot.error());
    }
  }

  void inspect(ModelRun& model, ResolvedSnapshot snapshot,
               const std::optional<SnapshotRecord>& record) {
    session_.update_variant(model.spec, snapshot);
    settle_ref(model, snapshot);
    if (session_.options.dry_run)
      session_.warn(check_files(snapshot, session_.cache, Look::first_bytes).warnings);
    add_known_facts(snapshot, record, session_.cache);
    model.view = session_.cache.inspect(snapshot, record);
    note_recorded_signature(snapshot, record);
    model.snapshot = std::move(snapshot);
  }

  /// Says so if `main` is another revision's. Until the model is published, another model may take
  /// it.
  void settle_ref(ModelRun& model, ResolvedSnapshot& snapshot) {
    session_.cache.settle_ref(snapshot);
    const std::string ref = std::exchange(model.spec.ref, snapshot.spec.ref);
    if (ref == model.spec.ref) return;

    session_.log.info(fmt::format(
        "{}: refs/{} still points to another commit; to load this one, services must ask for revision {}",
        model.spec.key, ref, model.spec.ref));
  }

  /// Before anything is fetched: a cache that cannot be written should not cost gigabytes of
  /// traffic.
  Status probe_writing() {
    for (ModelRun& model : models_) {
      if (!must_write(model)) continue;
      const RepoId& repo = model.spec.repo;
      Status probed = session_.cache.probe_writing(repo);
      if (probed) probed = check_refs(session_.cache.repository(repo), model.spec);
      if (!probed && !probed.error().of_one_item) return probed;
      if (!probed) model.error = probed.error();
    }
    return ok();
  }

  /// Whether a blob, link or ref is missing or not known yet. A missing record is no reason to
  /// write: it only saves hashing, and a complete cache on a read-only volume must succeed.
  bool must_write(const ModelRun& model) const {
    if ((session_.options.offline && !imports_) || model.error) return false;
    if (!model.snapshot || !model.view.refs_correct || !model.view.tree_correct) return true;

    return !model.view.has_every_file();
  }

  void resolve_from_hub() {
    std::vector<ModelSpec> specs;
    std::vector<ModelRun*> unresolved;
    for (ModelRun& model : models_) {
      if (model.snapshot || model.error) continue;
      specs.push_back(model.spec);
      unresolved.push_back(&model);
    }
    if (specs.empty()) return;

    session_.log.debug(fmt::format("looking up {} at {}", format_count(specs.size(), "model"),
                                   session_.options.endpoints.front().name()));
    auto results = resolve_remotely(specs, session_.cache, fetcher_);
    for (std::size_t i = 0; i < unresolved.size(); ++i) {
      ModelRun& model = *unresolved[i];
      auto& [snapshot, record, endpoint, renamed] = results[i];
      if (!renamed.empty()) session_.log.warning(renamed);
      if (!snapshot) {
        model.error = snapshot.error();
        continue;
      }

      record = session_.cache.record(snapshot->spec.repo, snapshot->commit);
      inspect(model, std::move(*snapshot), record);
      if (fetcher_.endpoints.size() < 2) endpoint.clear();
      session_.log.info(fmt::format(
          "{}: {} is {}{}, {}", model.spec.key, model.spec.revision.text(),
          model.snapshot->commit.hex().substr(0, 12), endpoint.empty() ? "" : " at " + endpoint,
          format_count(model.snapshot->files.size(), "file")));
    }
  }

  /// Fails each model of which a file is missing here and in the folders of --from.
  void fail_incomplete_models() {
    if (imports_) {
      FetchPlan plan = make_plan(models_to_fetch(models_));
      imports_.look_up(plan);
    }
    for (ModelRun& model : models_) {
      if (!model.snapshot || model.error) continue;

      const auto& files = model.snapshot->files;
      for (std::size_t i = 0; i < files.size() && !model.error; ++i)
        if (model.view.files[i].state == BlobState::missing && !imports_.have(files[i]))
          model.error = offline_missing(model.spec.repo.text() + " " + files[i].path.text());
      if (model.error) session_.log_error(*model.error);
    }
  }

  void print_dry_run() {
    FetchPlan plan = make_plan(models_to_fetch(models_));
    imports_.look_up(plan);
    const auto space = disk_space(session_.options.cache_dir);
    session_.print_result(dry_run_text(
        models_, session_.options.cache_dir, space ? std::optional(space->bytes) : std::nullopt,
        session_.columns, [&](FetchPlan& of_models) { imports_.add_to(of_models); }));
    if (Status fits = check_space(plan, models_, session_.cache); !fits)
      session_.log.warning(fits.error().message);
  }

  Status fetch_and_publish() {
    lock_repositories();
    if (session_.options.offline) fail_incomplete_models();
    FetchPlan plan = make_plan(models_to_fetch(models_));
    imports_.look_up(plan);
    if (Status space = check_space(plan, models_, session_.cache); !space) return space;
    fetch(plan);
    return ok();
  }

  /// Also those of complete models, which must stay so while others arrive. If all are complete,
  /// nothing takes long enough.
  void lock_repositories() {
    const auto due = models_to_fetch(models_);
    if (std::ranges::all_of(due, [](const auto& model) { return model.view->satisfied(); })) return;

    const auto stopped = [&] { return session_.signals.read().has_value(); };
    for (const PlannedModel& model : due) {
      const RepoId& repo = model.snapshot->spec.repo;
      if (locks_.share(repo, stopped)) inspect_again(repo);
    }
  }

  /// What was there before a cleanup may be gone, also of a model that was complete.
  void inspect_again(const RepoId& repo) {
    for (ModelRun& model : models_)
      if (model.snapshot && !model.error && !model.published && model.spec.repo == repo)
        inspect_again(model);
  }

  void inspect_again(ModelRun& model) {
    model.view = session_.cache.inspect(
        *model.snapshot, session_.cache.record(model.spec.repo, model.snapshot->commit));
  }

  void fetch(const FetchPlan& plan) {
    for (const FetchJob& job : plan.jobs)
      for (const std::size_t model : job.models) models_[model].pending.insert(job.file.blob);

    for (const std::string& line : plan_lines(plan, session_.options.cache_dir))
      session_.log.info(line);

    // Models without a pending file are complete now.
    publish_complete_models();
    session_.observer.planned(make_progress_plan(models_, plan), Clock::now());
    fetcher_.fetch(plan, [&](std::size_t job, const FileOutcome& outcome) {
      on_outcome(plan.jobs[job], outcome);
    });
  }

  void on_outcome(const FetchJob& job, const FileOutcome& outcome) {
    for (const std::size_t index : job.models) {
      ModelRun& model = models_[index];

      // The bytes crossed the network once, so only the first model counts them.
      FileOutcome counted = outcome;
      if (index != job.models.front()) counted.bytes_fetched = 0;
      add_outcome(model, job, std::move(counted));

      // A failure explains more than the cancellation of other files that followed from it.
      const bool explains = !model.error || outcome.status == FileStatus::failed;
      if (outcome.error && explains) model.error = outcome.error;
    }

    publish_complete_models();
  }

  void publish_complete_models() {
    for (ModelRun& model : models_)
      if (model.snapshot && !model.error && !model.published && !model.files_vanished &&
          model.pending.empty())
        publish(model);
  }

  void publish(ModelRun& model) {
    const bool has_changed = !model.outcomes.empty() || !model.view.satisfied();
    FileChecks checks =
        check_files(*model.snapshot, session_.cache, has_changed ? Look::headers : Look::policy);
    if (!checks.error) checks.error = check_signed(model, session_.log);
    if (checks.error) {
      model.error = std::move(checks.error);
      return session_.log_error(*model.error);
    }
    model.published = true;
    model.took = Clock::now() - model.begun;
    keep_facts(model, has_changed, session_);

    if (has_changed) {
      settle_ref(model, *model.snapshot);
      const auto publication =
          session_.cache.publish(*model.snapshot, verified_blobs(model), if_changed(model));
      if (!publication) {
        model.error = publication.error();
        model.error->of_one_item = model.error->kind != ErrorKind::disk_full;
        return session_.log_error(*model.error);
      }
      model.files_vanished = publication->files_vanished;
      model.published = !model.files_vanished;
      if (model.files_vanished) return;

      for (const std::string& warning : publication->warnings)
        session_.log.warning(model.spec.key + ": " + warning);
      for (const std::string& moved : publication->moved_refs)
        session_.log.info(model.spec.key + ": " + moved);
      session_.log.info(model.spec.key + ": ready at " + session_.snapshot_folder(model.snapshot));
    }

    session_.warn(checks.warnings);
    session_.link_legacy_dirs(model.spec.repo);
  }

  /// What was complete at the beginning, or in the middle of a long run, may have been removed or
  /// changed since: not everybody respects our locks.
  void look_again() {
    if (fetcher_.requests() == 0 && !imports_) return;
    for (ModelRun& model : models_)
      if (model.published &&
          !session_.cache.is_as_verified(*model.snapshot, verified_blobs(model), if_changed(model)))
        model.published = false, model.files_vanished = true;
  }

  static IfChanged if_changed(const ModelRun& model) {
    return accepts_changes(model) ? IfChanged::ignore : IfChanged::report;
  }

  /// Whether another process removed or changed files of a model, which then has to be fetched or
  /// hashed again.
  bool inspect_lost_models() {
    bool any = false;
    for (ModelRun& model : models_) {
      if (!model.files_vanished) continue;

      model.files_vanished = false;
      if (model.times_vanished++ == kMaxLosses) {
        model.error = keeps_changing(model);
        session_.log_error(*model.error);
        continue;
      }

      session_.log.warning(fmt::format(
          "{}: some of its files were removed or changed during the run; getting them again",
          model.spec.key));
      inspect_again(model);
      any = true;
    }

    return any;
  }

  /// What else the models need. The files that say so are here, or if not, a dry run requests them.
  void find_dependencies() {
    const bool dry_run = session_.options.dry_run;
    std::vector<const ResolvedSnapshot*> snapshots;
    std::vector<ModelRun*> known;
    for (ModelRun& model : models_) {
      if (!model.snapshot || model.error || (!model.published && !dry_run)) continue;
      snapshots.push_back(&*model.snapshot);
      known.push_back(&model);
    }

    const bool may_request = dry_run && !session_.options.offline && !error_;
    auto found = read_dependencies(snapshots, session_.cache, may_request ? &fetcher_ : nullptr,
                                   session_.options.dependencies);
    for (std::size_t i = 0; i < known.size(); ++i) {
      if (found[i]) {
        known[i]->dependencies = std::move(*found[i]);
        continue;
      }
      known[i]->error = found[i].error();
      if (!is_aborted()) session_.log_error(found[i].error());
    }
  }

  /// Whether an error of a model ended the whole run. It was logged where it happened.
  bool is_aborted() {
    for (const ModelRun& model : models_)
      if (model.error && disposition(*model.error) == Disposition::abort_run && !error_)
        error_ = model.error;
    return error_.has_value();
  }

  RunReport make_report() {
    RunReport report = session_.begin_report();
    report.requests = fetcher_.requests();
    report.retries = fetcher_.retries();
    report.signal = session_.signals.read();
    report.error = error_;

    const bool dry_run = session_.options.dry_run;
    for (ModelRun& model : models_) {
      if (!model.error && !model.published && !dry_run) model.error = error_;
      report.models.push_back(
          make_model_report(model, session_.snapshot_folder(model.snapshot), dry_run));
    }
    return report;
  }

  Session& session_;
  Fetcher fetcher_;
  std::vector<ModelRun> models_;
  Imports imports_;
  RepositoryLocks locks_;
  std::optional<Error> error_;
};

}  // namespace

RunReport download(Session& session, std::vector<ModelSpec> specs) {
  const auto run = std::make_shared<Download>(session, std::move(specs));
  RunReport report = run->run();
  if (report.error) session.keep(run);
  return report;
}

int run_download(Session& session) {
  auto specs = session.select();
  if (!specs) return session.fail_run(specs.error());
  session.log_warnings(*specs);
  if (Status may = check_export(session, *specs); !may) return session.fail_run(may.error());
  RunReport report = download(session, std::move(*specs));
  settle_dependencies(session, report, [&](std::vector<ModelSpec> needed) {
    return download(session, std::move(needed));
  });
  if (session.options.to && report.success()) export_downloaded(session, report);
  report.duration_s = in_seconds(Clock::now() - session.begun);

  // After a failure every old revision may still be needed.
  if (!session.options.cleanup || !report.success()) return session.finish(std::move(report));

  if (session.options.dry_run) {
    session.log.info(
        "--cleanup cannot be previewed before the download: run model-prep cleanup --dry-run after it");
    return session.finish(std::move(report));
  }

  if (Status pruned = prune_cache(session, report); !pruned) session.log_error(pruned.error());
  report.duration_s = in_seconds(Clock::now() - session.begun);
  return session.finish(std::move(report));
}

}  // namespace model_prep
