// SPDX-License-Identifier: Apache-2.0
#include "model_prep/program/app.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <map>
#include <set>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "model_prep/decisions/outcome.h"
#include "model_prep/program/announce.h"
#include "model_prep/program/fetcher.h"
#include "model_prep/program/manifest.h"
#include "model_prep/program/model_run.h"
#include "model_prep/program/resolve.h"
#include "model_prep/values/text.h"

namespace model_prep {
namespace {

constexpr std::size_t kLargestManifest = 64 * 1024 * 1024;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string utc_now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

Result<std::vector<ModelSpec>> wanted_models(const Options& options) {
  std::string text(built_in_manifest_text());
  if (options.manifest) {
    const auto content = read_file(*options.manifest, kLargestManifest);
    if (!content)
      return Error{ErrorKind::usage, fmt::format("cannot read the manifest {}", *options.manifest),
                   "check the path given with --manifest or MODEL_PREP_MANIFEST"};
    text = *content;
  }
  const auto manifest = parse_manifest(text, options.manifest.value_or("(built in)"));
  if (!manifest) return manifest.error();
  auto specs = select_models(*manifest, options.models, options.variant);
  if (!specs) return specs.error();
  if (Status refs = check_refs(*specs); !refs) return refs.error();
  return specs;
}

class Session {
 public:
  Session(const Options& options, const SignalFd& signals, std::ostream& out)
      : options_(options),
        out_(out),
        begun_(Clock::now()),
        log_(console_, options.log_level, options.log_format),
        observer_(make_progress(options.progress, console_, log_)),
        cache_(options.cache_dir, options.views),
        signals_(signals) {}

  int run() {
    if (Status done = work(); !done) {
      error_ = done.error();
      tell(*error_);
    }
    const RunReport result = report();
    for (const std::string& warning : announce(result, options_.audience, console_)) log_.warning(warning);
    write_summary(result);
    conclude(result);
    // A sync of gigabytes may be under way in the hash thread: whoever asked us to stop shall not wait for it.
    if (result.signal) std::_Exit(exit_code(result));
    return exit_code(result);
  }

 private:
  Status work();
  Status prepare();
  void look(ModelRun& model, ResolvedSnapshot snapshot, const std::optional<Record>& record);
  void resolve_from_hub();
  Status check_space(const FetchPlan& plan) const;
  void fetch(const FetchPlan& plan);
  bool note_abort();
  void refuse_offline();
  void on_outcome(const FetchJob& job, const FileOutcome& outcome);
  void publish_ready();
  void publish(ModelRun& model);
  void tell(const Error& error);
  RunReport report();
  void write_summary(const RunReport& result);
  void conclude(const RunReport& result);
  bool writing_needed(const ModelRun& model) const;
  std::string snapshot_folder(const ModelRun& model) const;

  const Options& options_;
  std::ostream& out_;
  TimePoint begun_;
  Console console_;
  Log log_;
  std::unique_ptr<Observer> observer_;
  Cache cache_;
  const SignalFd& signals_;
  std::optional<Hub> hub_;
  std::optional<Transport> transport_;
  std::optional<Hasher> hasher_;
  std::optional<Fetcher> fetcher_;
  std::vector<ModelRun> models_;
  std::optional<Error> error_;
};

Status Session::work() {
  if (Status ready = prepare(); !ready) return ready;
  const Network network = options_.offline ? Network::forbidden : Network::allowed;
  for (ModelRun& model : models_) {
    cache_.adopt(model.spec.repo, options_.dry_run ? Cache::Writing::forbidden : Cache::Writing::allowed);
    auto local = resolve_locally(model.spec, cache_, network);
    if (!local) continue;
    if (local->snapshot)
      look(model, std::move(*local->snapshot), local->record);
    else
      model.error = local->snapshot.error();
  }
  if (!options_.dry_run)
    for (const ModelRun& model : models_)
      if (writing_needed(model))
        if (Status probed = cache_.probe_writing(model.spec.repo); !probed) return probed;
  resolve_from_hub();
  for (const ModelRun& model : models_)
    if (model.error && disposition(model.error->kind) != Disposition::abort_run) tell(*model.error);
  if (note_abort()) return ok();
  if (options_.offline) refuse_offline();
  if (options_.dry_run) {
    out_ << plan_table(models_, options_.cache_dir);
    return ok();
  }
  const auto wanted = planned_of(models_);
  const FetchPlan plan = make_plan(wanted);
  if (Status space = check_space(plan); !space) return space;
  fetch(plan);
  note_abort();
  return ok();
}

/// What ended the whole run in the loop, which has told it, is the run's error too.
bool Session::note_abort() {
  for (const ModelRun& model : models_)
    if (model.error && disposition(model.error->kind) == Disposition::abort_run && !error_) error_ = model.error;
  return error_.has_value();
}

Status Session::prepare() {
  auto specs = wanted_models(options_);
  if (!specs) return specs.error();
  for (ModelSpec& spec : *specs) {
    if (spec.variant != spec.variant_requested)
      log_.warning(fmt::format("{} has no variant {}: taking {}", spec.key, spec.variant_requested, spec.variant));
    if (!spec.revision.commit())
      log_.warning(
          fmt::format("{} is not pinned: revision {} may change from run to run", spec.key, spec.revision.text()));
    models_.push_back({.spec = std::move(spec), .begun = begun_});
  }
  auto hub = Hub::parse(options_.endpoint);
  if (!hub) return hub.error();
  hub_ = std::move(*hub);
  if (options_.token && !hub_->endpoint().https)
    log_.warning(fmt::format("the token goes to {} unencrypted", hub_->endpoint().origin));
  transport_.emplace(TransportSettings{.user_agent = program_version() + "; " + transport_version(),
                                       .token = options_.token,
                                       .authorities = options_.authorities,
                                       .stall = std::chrono::seconds(options_.timeout),
                                       .connections = options_.jobs,
                                       .wake_fd = signals_.get()});
  hasher_.emplace([this] { transport_->wake(); });
  SchedulerSettings settings{.retry = {.retries = options_.retries},
                             .connections = options_.jobs,
                             .hub_origin = hub_->endpoint().origin,
                             .has_token = options_.token.has_value(),
                             .offline = options_.offline};
  if (options_.deadline) settings.deadline = begun_ + std::chrono::seconds(*options_.deadline);
  fetcher_.emplace(Fetcher::Parts{*transport_, *hasher_, signals_, log_, *observer_, cache_, *hub_}, settings);
  return ok();
}

void Session::look(ModelRun& model, ResolvedSnapshot snapshot, const std::optional<Record>& record) {
  model.view = cache_.look(snapshot, record);
  model.snapshot = std::move(snapshot);
}

/// A blob, link or ref is missing, or nobody knows yet. A record alone is no reason: it is a hint, and a read-only
/// volume with everything on it is a good one.
bool Session::writing_needed(const ModelRun& model) const {
  if (options_.offline || model.error) return false;
  if (!model.snapshot || !model.view.refs_right || !model.view.tree_right) return true;
  return std::any_of(model.view.files.begin(), model.view.files.end(),
                     [](const FileView& file) { return file.state == BlobState::missing || !file.linked; });
}

void Session::resolve_from_hub() {
  std::vector<ModelSpec> specs;
  std::vector<ModelRun*> asked;
  for (ModelRun& model : models_) {
    if (model.snapshot || model.error) continue;
    specs.push_back(model.spec);
    asked.push_back(&model);
  }
  if (specs.empty()) return;
  log_.debug(fmt::format("asking {} about {} models", hub_->endpoint().origin, specs.size()));
  auto results = resolve_remotely(specs, cache_, *hub_, *fetcher_);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    ModelRun& model = *asked[i];
    if (!results[i]) {
      model.error = results[i].error();
      continue;
    }
    const auto record = cache_.record(results[i]->spec.repo, results[i]->commit);
    look(model, std::move(*results[i]), record);
    log_.info(fmt::format("{}: {} is {}, {} files", model.spec.key, model.spec.revision.text(),
                          model.snapshot->commit.hex().substr(0, 12), model.snapshot->files.size()));
  }
}

/// Without a network what is missing stays missing.
void Session::refuse_offline() {
  for (ModelRun& model : models_) {
    if (!model.snapshot || model.error) continue;
    for (std::size_t i = 0; i < model.view.files.size() && !model.error; ++i) {
      if (model.view.files[i].state != BlobState::missing) continue;
      model.error = Error{ErrorKind::offline_missing,
                          fmt::format("{} {} is not in the cache, and this run is offline", model.spec.repo.text(),
                                      model.snapshot->files[i].path.text()),
                          "run once without --offline and HF_HUB_OFFLINE"};
      tell(*model.error);
    }
  }
}

Status Session::check_space(const FetchPlan& plan) const {
  const auto space = disk_space(options_.cache_dir);
  if (!space) return ok();
  const std::int64_t needed = plan.bytes - plan.staged;
  if (needed > space->bytes)
    return Error{ErrorKind::disk_full,
                 fmt::format("not enough space for the cache {}: {} needed, {} free", options_.cache_dir,
                             megabytes(needed), megabytes(space->bytes)),
                 "free some space, choose another volume with --cache-dir, or fewer models"};
  std::int64_t inodes = 0;
  for (const FetchJob& job : plan.jobs) inodes += job.check_existing ? 0 : 2;  // the blob and its lock
  for (const ModelRun& model : models_)
    inodes +=
        std::count_if(model.view.files.begin(), model.view.files.end(), [](const FileView& f) { return !f.linked; });
  if (space->inodes && inodes > *space->inodes)
    return Error{ErrorKind::disk_full,
                 fmt::format("not enough inodes for the cache {}: about {} needed, {} free", options_.cache_dir, inodes,
                             *space->inodes),
                 "remove some files, or choose another volume with --cache-dir"};
  return ok();
}

void Session::fetch(const FetchPlan& plan) {
  for (const FetchJob& job : plan.jobs)
    for (const std::size_t model : job.models) models_[model].pending.insert(job.file.blob);
  if (plan.bytes > 0)
    log_.info(fmt::format(
        "fetching {} in {} files into {}{}", megabytes(plan.bytes - plan.staged), plan.jobs.size(), options_.cache_dir,
        plan.staged > 0 ? fmt::format("; {} are there from an earlier run", megabytes(plan.staged)) : ""));
  publish_ready();
  fetcher_->fetch(plan, [&](std::size_t job, const FileOutcome& outcome) { on_outcome(plan.jobs[job], outcome); });
}

void Session::on_outcome(const FetchJob& job, const FileOutcome& outcome) {
  for (const std::size_t index : job.models) {
    ModelRun& model = models_[index];
    FileOutcome& seen = model.outcomes.insert_or_assign(job.file.blob, outcome).first->second;
    if (index != job.models.front()) seen.bytes_fetched = 0;  // they came once, and count for the first that wants them
    model.pending.erase(job.file.blob);
    const bool better = !model.error || outcome.status == FileStatus::failed;  // than «not begun»
    if (outcome.error && better) model.error = outcome.error;
  }
  publish_ready();
}

void Session::publish_ready() {
  for (ModelRun& model : models_)
    if (model.snapshot && !model.error && !model.published && model.pending.empty()) publish(model);
}

void Session::publish(ModelRun& model) {
  model.published = true;
  model.took = Clock::now() - model.begun;
  const bool touched = !model.outcomes.empty() || !model.view.satisfied();
  if (touched) {
    const auto warnings = cache_.publish(*model.snapshot, verified_sha256(model));
    if (!warnings) {
      model.error = warnings.error();
      return tell(*model.error);
    }
    for (const std::string& warning : *warnings) log_.warning(fmt::format("{}: {}", model.spec.key, warning));
    log_.info(fmt::format("{}: ready at {}", model.spec.key, snapshot_folder(model)));
  }
  for (const std::string& warning : cache_.link_views(model.spec.repo)) log_.warning(warning);
}

std::string Session::snapshot_folder(const ModelRun& model) const {
  if (!model.snapshot) return {};
  return cache_.layout(model.spec.repo).snapshot(model.spec.repo, model.snapshot->commit);
}

void Session::tell(const Error& error) {
  log_.error(error.message);
  if (!error.hint.empty()) log_.error("hint: " + error.hint);
}

RunReport Session::report() {
  RunReport result{.tool = program_version(),
                   .command = "download",
                   .timestamp = utc_now(),
                   .duration_s = seconds(Clock::now() - begun_),
                   .dry_run = options_.dry_run,
                   .offline = options_.offline,
                   .cache_dir = options_.cache_dir,
                   .endpoint = hub_ ? display(hub_->endpoint()) : without_login(options_.endpoint),
                   .variant = options_.variant,
                   .requests = fetcher_ ? fetcher_->requests() : 0,
                   .retries = fetcher_ ? fetcher_->retries() : 0,
                   .signal = fetcher_ ? fetcher_->signal() : std::nullopt,
                   .error = error_,
                   .models = {}};
  for (ModelRun& model : models_) {
    if (!model.error && !model.published && !options_.dry_run) model.error = error_;
    result.models.push_back(
        report_of(model, options_.dry_run ? Purpose::dry_run : Purpose::download, snapshot_folder(model)));
  }
  return result;
}

void Session::write_summary(const RunReport& result) {
  const std::string text = summary_text(result);
  if (options_.summary == "-") {
    out_ << text << std::flush;
    return;
  }
  const Folder folder(canonical_path(parent_of(options_.summary)));
  const std::string name = options_.summary.substr(options_.summary.find_last_of('/') + 1);
  Status written = make_folders(folder.path());
  if (written) written = folder.write_atomically(folder.path() + "/" + name, text, folder.path());
  if (!written) log_.warning("the summary is not written: " + written.error().message);
}

void Session::conclude(const RunReport& result) {
  if (result.models.empty() || (options_.dry_run && result.success())) return;
  const std::string text = outcome_line(result);
  result.success() ? log_.info(text) : log_.error(text);
}

}  // namespace

int run(const Options& options, const SignalFd& signals, std::ostream& out) {
  return Session(options, signals, out).run();
}

}  // namespace model_prep
