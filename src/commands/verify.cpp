// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/verify.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/commands/consumers.h"
#include "model_prep/commands/dependencies.h"
#include "model_prep/commands/download.h"
#include "model_prep/commands/file_checks.h"
#include "model_prep/commands/resolve.h"
#include "model_prep/core/cache_faults.h"
#include "model_prep/core/digest_check.h"
#include "model_prep/io/inspection.h"
#include "model_prep/io/parallel_hash.h"
#include "model_prep/report/model_report.h"

namespace model_prep {
namespace {

/// Whether the bytes do not tell all that is demanded of the model.
bool is_judged_by_download(const ModelSpec& spec) {
  const Policy& policy = spec.policy;
  return spec.signer || policy.licenses || policy.scan_policy() != ScanPolicy::off ||
         policy.signature_policy() != SignaturePolicy::off;
}

/// The files of the model are not known, or its snapshot is not there.
Error cannot_verify(const ModelSpec& spec, const Cache& cache) {
  const auto commit = cached_commit(spec, cache);
  if (!commit || !lstat_path(cache.repository(spec.repo).layout.snapshot(*commit)))
    return {ErrorKind::offline_missing,
            spec.repo.text() + " is not in the cache at revision " + spec.revision.text(),
            "model-prep verify --repair downloads it"};
  return {
      ErrorKind::offline_missing,
      spec.repo.text() + ": the cache has no file list of commit " + commit->hex(),
      "model-prep verify --repair gets the list from the Hub, and hashes the files in the cache"};
}

class Verify {
 public:
  Verify(Session& session, std::vector<ModelSpec> specs)
      : session_(session), umask_(current_umask()) {
    for (ModelSpec& spec : specs) models_.push_back({.spec = std::move(spec)});
  }

  RunReport run() {
    std::vector<Model*> all;
    for (Model& model : models_) all.push_back(&model);
    check(all);
    if (session_.options.repair && !session_.signals.read()) repair();

    RunReport report = session_.begin_report();
    report.offline = session_.options.offline || !session_.options.repair;
    report.requests = requests_;
    report.retries = retries_;
    report.signal = session_.signals.read();
    report.bytes_hashed = bytes_hashed_;
    for (const Model& model : models_) report.models.push_back(make_report(model));
    const auto snapshots = resolved();
    report.services = check_consumers(session_.options, session_.cache, snapshots, report.models);
    report.loads = judge_loads(session_.options, session_.cache, snapshots, report.models);

    // Of a run that was stopped, the models' own errors say what there is to say.
    const bool stopped = std::ranges::any_of(models_, [](const Model& model) {
      return model.error && disposition(*model.error) == Disposition::abort_run;
    });
    const Status loaded = check_asked_consumers(session_.options, report.loads, report.models);
    if (!loaded && !stopped) report.error = loaded.error();
    return report;
  }

 private:
  struct Model {
    ModelSpec spec;
    std::optional<ResolvedSnapshot> snapshot{};

    /// As in `Inspection`: the path of each file's bytes.
    Strings contents{};
    std::vector<CacheFault> faults{};

    /// Of its files, a line each.
    Strings warnings{};

    /// Why the model could not be verified, and which of its files is to blame.
    std::optional<Error> error{};
    std::string file_of_error{};

    /// What the download of the repair reported.
    std::optional<ModelReport> downloaded{};

    bool is_good() const { return !error && faults.empty(); }
    bool has_fault(std::size_t file) const {
      return std::ranges::find(faults, file, &CacheFault::file) != faults.end();
    }
  };

  struct HashedFile {
    /// The file as it was before it was hashed.
    FileInfo info{};
    HashResult result{};

    bool is_right_for(const FileInfo& now) const {
      return !result.error && info.is_same_file(now) && result.stamp == now.stamp();
    }
  };

  void check(const std::vector<Model*>& models) {
    for (Model* model : models) inspect(*model);
    hash(models);
    for (Model* model : models) {
      if (!model->error) judge(*model);

      // What stopped the whole run has been logged once.
      if (!model->error || disposition(*model->error) != Disposition::abort_run) log_result(*model);
    }
  }

  /// Everything about the model but what its bytes hash to.
  void inspect(Model& model) const {
    session_.cache.adopt_existing(model.spec.repo, Cache::Writing::forbidden);
    model.error.reset();
    model.file_of_error.clear();
    model.faults.clear();

    auto local = resolve_locally(model.spec, session_.cache, Network::forbidden);
    if (!local->snapshot) {
      const Error& error = local->snapshot.error();
      model.error = error.kind == ErrorKind::offline_missing
                        ? cannot_verify(model.spec, session_.cache)
                        : error;
      return;
    }
    model.snapshot = std::move(*local->snapshot);
    session_.update_variant(model.spec, *model.snapshot);
    session_.cache.settle_ref(*model.snapshot);
    model.spec.ref = model.snapshot->spec.ref;

    // A lock names the files even if there is no cache at all.
    if (!lstat_path(session_.snapshot_folder(model.snapshot))) {
      model.error = cannot_verify(model.spec, session_.cache);
      return;
    }
    Inspection inspection = inspect_snapshot(session_.cache, *model.snapshot, umask_);
    model.contents = std::move(inspection.contents);
    model.faults = std::move(inspection.faults);
  }

  /// Hashes the files of these models, each once, except files that were hashed earlier in this run
  /// and have not changed since.
  void hash(const std::vector<Model*>& models) {
    std::vector<HashRequest> requests;
    Bytes bytes = 0;
    for (const Model* model : models) {
      for (std::size_t i = 0; !model->error && i < model->contents.size(); ++i) {
        const std::string& path = model->contents[i];
        const auto info = path.empty() ? std::nullopt : stat_path(path);
        if (!info || hashed_[path].is_right_for(*info)) continue;

        const RemoteFile& file = model->snapshot->files[i];
        requests.push_back({path, file.size, file.blob.kind()});
        hashed_[path] = {*info};
        bytes += file.size;
      }
    }
    if (requests.empty()) return;

    session_.log.info(fmt::format("hashing {} in {}", format_bytes(bytes),
                                  format_count(requests.size(), "file")));
    HashResults results = hash_all(requests);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      bytes_hashed_ += results.files[i].sha256 ? requests[i].size : 0;
      hashed_[requests[i].path].result = std::move(results.files[i]);
    }
    if (results.signal || results.deadline_passed) fail_unhashed(models, results.signal);
  }

  HashResults hash_all(const std::vector<HashRequest>& requests) {
    ProgressPlan plan;
    for (const HashRequest& request : requests)
      plan.files.push_back({.bytes = request.size, .models = {}});
    Observer& observer = session_.observer;
    observer.planned(std::move(plan), Clock::now());

    const HashCallbacks callbacks{
        .on_result =
            [&](std::size_t file, bool succeeded) {
              observer.file_done(file, succeeded ? FileEnd::ready : FileEnd::given_up, 0);
            },
        .on_progress =
            [&](std::span<const ActiveFile> active, TimePoint now) {
              if (now >= observer.due()) observer.show(active, 0, now);
            }};
    HashResults results = hash_files(requests, session_.signals,
                                     session_.deadline().value_or(TimePoint::max()), callbacks);
    observer.finished();
    return results;
  }

  /// The hashing was stopped: a model of which a file was not reached cannot be verified.
  void fail_unhashed(const std::vector<Model*>& models, std::optional<int> signal) {
    const Error error = signal ? stopped_by(*signal, "")
                               : Error{ErrorKind::deadline, "the run's deadline has passed"};
    session_.log_error(error);
    const auto was_reached = [&](const std::string& path) {
      const HashResult* result = result_of(path);
      return path.empty() || (result != nullptr && (result->sha256 || result->error));
    };
    for (Model* model : models)
      if (!model->error && !std::ranges::all_of(model->contents, was_reached)) model->error = error;
  }

  const HashResult* result_of(const std::string& path) const {
    const auto hashed = hashed_.find(path);
    return hashed == hashed_.end() ? nullptr : &hashed->second.result;
  }

  /// Compares the digests.
  void judge(Model& model) const {
    const CacheLayout& layout = session_.cache.repository(model.spec.repo).layout;
    for (std::size_t i = 0; i < model.contents.size(); ++i) {
      const std::string& path = model.contents[i];
      if (path.empty()) continue;  // a fault already

      const RemoteFile& file = model.snapshot->files[i];
      const std::string object = model.spec.repo.text() + " " + file.path.text();
      const HashResult* result = result_of(path);
      const std::string link = layout.link(model.snapshot->commit, file.path);
      if (result == nullptr || (!stat_path(link) && !model.has_fault(i)))
        model.faults.push_back({.kind = CacheFaultKind::missing,
                                .path = link,
                                .message = object + ": was removed during the check",
                                .file = i});
      else if (result->error)
        model.faults.push_back({.kind = CacheFaultKind::unreadable,
                                .path = path,
                                .message = object + ": " + result->error->message,
                                .file = i,
                                .error = result->error->kind});
      else if (const auto error = check_digests(*result, object, file.blob_spec()))
        model.faults.push_back(damaged_fault(path, i, file, *result, *error));
    }

    // Of a damaged file, the header may be what is damaged.
    FileChecks checks = check_files(*model.snapshot, session_.cache,
                                    model.faults.empty() ? Look::headers : Look::first_bytes);
    model.error = std::move(checks.error);
    model.file_of_error = std::move(checks.file);
    model.warnings = std::move(checks.warnings);
  }

  void log_result(const Model& model) {
    // The repair does what the hint advises.
    if (model.error && session_.options.repair) return session_.log.error(model.error->message);
    if (model.error) return session_.log_error(*model.error);

    // Models of one repository share files and their faults.
    for (const CacheFault& fault : model.faults)
      if (logged_.insert(fault.message).second) session_.log.error(fault.message);
    if (!model.is_good()) return;

    for (const std::string& warning : model.warnings) session_.log.warning(warning);
    session_.log.info(fmt::format("{}: verified, {} at {}", model.spec.key,
                                  format_count(model.snapshot->files.size(), "file"),
                                  session_.snapshot_folder(model.snapshot)));
  }

  void repair() {
    std::vector<Model*> bad;
    std::vector<Model*> judged;
    std::vector<ModelSpec> specs;
    for (Model& model : models_) {
      if (model.is_good()) {
        if (is_judged_by_download(model.spec)) judged.push_back(&model);
        continue;
      }
      if (!model.error) prepare_download(model);
      bad.push_back(&model);
      specs.push_back(model.spec);
    }
    for (const Model* model : judged) specs.push_back(model->spec);

    if (!specs.empty()) {
      RunReport report = download(session_, std::move(specs));
      requests_ = report.requests;
      retries_ = report.retries;
      logged_.clear();
      if (!report.signal) check(bad);

      // A good one may have been removed while others arrived.
      for (Model& model : models_) {
        if (!model.is_good()) continue;
        judge(model);
        if (!model.is_good()) log_result(model);
      }

      for (std::size_t i = 0; i < bad.size(); ++i) use_download(*bad[i], report, i);
      for (std::size_t i = 0; i < judged.size(); ++i) {
        const std::size_t at = bad.size() + i;
        judged[i]->error = at < report.models.size() ? report.models[at].error : report.error;
      }
    }

    for (const Model& model : models_)
      if (model.is_good()) session_.link_legacy_dirs(model.spec.repo);
  }

  /// Repairs what a download does not repair by itself.
  void prepare_download(const Model& model) {
    std::set<Digest> damaged;
    const Cache& cache = session_.cache;
    const RepoId& repo = model.spec.repo;
    const auto warn = [&](const Status& done) {
      if (!done) session_.log.warning(done.error().message);
    };

    for (const CacheFault& fault : model.faults) {
      const auto own = lstat_path(fault.path);
      switch (fault.remedy) {
        case Remedy::download: break;
        case Remedy::rehash: damaged.insert(model.snapshot->files[*fault.file].blob); break;
        case Remedy::chmod:
          if (own)
            warn(cache.repository(repo).directory->add_permissions(fault.path,
                                                                   missing_bits(*own, umask_)));
          break;
        case Remedy::quarantine:
          // Another model of this repository had the same fault, and it has been moved.
          if (!own) break;
          const auto moved = cache.quarantine(repo, fault.path);
          session_.log.warning(moved ? "moved " + fault.path + " to " + *moved
                                     : moved.error().message);
      }
    }
    if (!damaged.empty()) warn(cache.distrust(repo, model.snapshot->commit, damaged));
  }

  /// An error of the download says why the model is still not right.
  static void use_download(Model& model, RunReport& report, std::size_t index) {
    if (index < report.models.size()) {
      if (report.models[index].error) model.error = report.models[index].error;
      model.downloaded = std::move(report.models[index]);
    }
    if (report.error && !model.is_good()) model.error = report.error;
  }

  ModelReport make_report(const Model& model) const {
    ModelRun run{.spec = model.spec, .begun = session_.begun, .snapshot = model.snapshot};
    if (run.snapshot) run.view.files.resize(run.snapshot->files.size());
    ModelReport report = model.downloaded
                             ? *model.downloaded
                             : make_model_report(run, session_.snapshot_folder(model.snapshot));

    report.status = model.downloaded ? ModelStatus::repaired : ModelStatus::verified;
    if (!model.is_good()) report.status = ModelStatus::failed;
    if (model.error && model.error->kind == ErrorKind::interrupted)
      report.status = ModelStatus::interrupted;
    report.duration_s = in_seconds(Clock::now() - session_.begun);
    report.error = model.error;
    if (!model.error && !model.faults.empty())
      report.error = error_of(model.faults.front(), repair_);
    report.faults = model.faults;
    report.dependencies = dependencies_of(model);
    add_file_results(report, model);
    return report;
  }

  std::vector<Dependency> dependencies_of(const Model& model) const {
    if (!model.snapshot || model.error) return {};
    const ResolvedSnapshot* const snapshots[] = {&*model.snapshot};
    return *read_dependencies(snapshots, session_.cache, nullptr, DependencyMode::report).front();
  }

  void add_file_results(ModelReport& report, const Model& model) const {
    for (std::size_t i = 0; i < report.files.size(); ++i) {
      FileReport& file = report.files[i];
      const HashResult* result = i < model.contents.size() ? result_of(model.contents[i]) : nullptr;
      const bool is_hashed = result != nullptr && result->sha256;
      if (file.status != FileReportStatus::downloaded && !file.error)
        file.status = is_hashed ? FileReportStatus::verified : FileReportStatus::skipped;
      if (is_hashed) file.sha256 = result->sha256->hex();

      if (!model.error || file.path != model.file_of_error) continue;
      file.status = FileReportStatus::failed;
      file.error = model.error;
    }

    for (const CacheFault& fault : model.faults) {
      if (!fault.file || *fault.file >= report.files.size()) continue;
      FileReport& file = report.files[*fault.file];
      file.status = FileReportStatus::failed;
      file.sha256.clear();
      file.error = error_of(fault, repair_);
    }
  }

  std::vector<const ResolvedSnapshot*> resolved() const {
    std::vector<const ResolvedSnapshot*> snapshots;
    for (const Model& model : models_)
      if (model.snapshot) snapshots.push_back(&*model.snapshot);
    return snapshots;
  }

  Session& session_;
  const Repair repair_ = session_.options.repair ? Repair::done : Repair::possible;
  unsigned umask_;
  std::vector<Model> models_;
  std::map<std::string, HashedFile> hashed_;  // by path
  std::set<std::string> logged_;              // messages of faults
  Bytes bytes_hashed_{0};
  std::int64_t requests_{0};
  int retries_{0};
};

}  // namespace

int run_verify(Session& session) {
  auto specs = session.select();
  if (!specs) return session.fail_run(specs.error());
  session.log_warnings(*specs);

  RunReport report = Verify(session, std::move(*specs)).run();
  warn_of_consumers(session.log, *report.services);
  judge_dependencies(session, report.models, DependencyMode::report, Selected::must_be_there);

  session.print_result(consumers_table(*report.services, session.columns));
  session.print_result(loads_table(report.loads, session.columns));
  if (report.error) session.log_error(*report.error);

  const bool has_faults = std::ranges::any_of(
      report.models, [](const ModelReport& model) { return !model.faults.empty(); });
  if (has_faults && !session.options.repair)
    session.log.error("hint: model-prep verify --repair repairs the cache");
  return session.finish(std::move(report));
}

}  // namespace model_prep
