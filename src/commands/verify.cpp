// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/verify.h"

#include <algorithm>
#include <csignal>

#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model_prep/base/text.h"
#include "model_prep/commands/consumers.h"
#include "model_prep/commands/download.h"
#include "model_prep/commands/parallel_hash.h"
#include "model_prep/commands/resolve.h"
#include "model_prep/io/inspection.h"

namespace model_prep {
namespace {

constexpr std::string_view kMend = "model-prep verify --repair fetches it";

bool is_unchanged(const FileInfo& before, const FileInfo& now) {
  return before.is_same_file(now) && before.size == now.size && before.mtime_ns == now.mtime_ns;
}

std::int64_t bytes_of(const std::vector<HashRequest>& orders) {
  std::int64_t bytes = 0;
  for (const HashRequest& order : orders) bytes += order.size;
  return bytes;
}

/// Why nobody can say whether this model is right.
Error unjudged(const ModelSpec& spec, const Cache& cache, const Error& error) {
  if (error.kind != ErrorKind::offline_missing) return error;
  const auto commit =
      spec.revision.commit() ? spec.revision.commit() : cache.ref(spec.repo, spec.revision.text());
  if (!commit || !lstat_path(cache.layout(spec.repo).snapshot(spec.repo, *commit)))
    return {error.kind,
            fmt::format("{} is not in the cache at revision {}", spec.repo.text(),
                        spec.revision.text()),
            std::string(kMend)};
  return {error.kind,
          fmt::format("{}: nothing in the cache says which files belong to {}", spec.repo.text(),
                      commit->hex()),
          "model-prep verify --repair asks the Hub, and hashes what is there"};
}

}  // namespace

Verify::Verify(Session& session) : session_(session), umask_(current_umask()) {}

RunReport Verify::run(std::vector<ModelSpec> specs) {
  for (ModelSpec& spec : specs) models_.push_back({.spec = std::move(spec)});
  std::vector<Model*> all;
  for (Model& model : models_) all.push_back(&model);
  check(all);
  if (session_.options.repair && !signal_) repair();
  RunReport report = session_.begin_report();
  report.offline = session_.options.offline || !session_.options.repair;
  report.requests = requests_;
  report.retries = retries_;
  report.signal = signal_;
  report.bytes_hashed = bytes_;
  for (const Model& model : models_) report.models.push_back(report_of(model));
  report.services = ask();
  return report;
}

void Verify::check(const std::vector<Model*>& models) {
  for (Model* model : models) look(*model);
  hash(models);
  for (Model* model : models) {
    if (!model->error) judge(*model);
    if (!model->error || disposition(model->error->kind) != Disposition::abort_run) tell(*model);
  }
}

void Verify::look(Model& model) const {
  const RepoId& repo = model.spec.repo;
  session_.cache.adopt_existing(repo, Cache::Writing::forbidden);
  model.error.reset();
  model.faults.clear();
  auto local = resolve_locally(model.spec, session_.cache, Network::forbidden);
  if (!local->snapshot) {
    model.error = unjudged(model.spec, session_.cache, local->snapshot.error());
    return;
  }
  model.snapshot = std::move(*local->snapshot);
  session_.update_variant(model.spec, *model.snapshot);
  if (!lstat_path(folder_of(model))) {  // a lock knows its files without a cache
    model.error = unjudged(model.spec, session_.cache, {ErrorKind::offline_missing, {}, {}});
    return;
  }
  Inspection found = inspect(session_.cache, *model.snapshot, umask_);
  model.contents = std::move(found.contents);
  model.faults = std::move(found.faults);
}

void Verify::hash(const std::vector<Model*>& models) {
  std::vector<HashRequest> orders;
  std::vector<FileInfo> facts_then;
  std::set<std::string> ordered;
  for (const Model* model : models) {
    for (std::size_t i = 0; !model->error && i < model->contents.size(); ++i) {
      const std::string& path = model->contents[i];
      const auto now = path.empty() ? std::nullopt : stat_path(path);
      if (!now || !ordered.insert(path).second) continue;
      const auto known = hashed_.find(path);
      if (known != hashed_.end() && !known->second.answer.error &&
          is_unchanged(known->second.facts, *now))
        continue;
      orders.push_back(
          {path, model->snapshot->files[i].size, model->snapshot->files[i].blob.kind()});
      facts_then.push_back(*now);
    }
  }
  if (orders.empty()) return;
  session_.log.info(
      fmt::format("hashing {} in {} files", format_bytes(bytes_of(orders)), orders.size()));
  const TimePoint deadline = session_.options.deadline
                                 ? session_.begun + std::chrono::seconds(*session_.options.deadline)
                                 : TimePoint::max();
  HashResults hashed = hash_files(orders, session_.signals, *session_.observer, deadline);
  signal_ = hashed.signal;
  for (std::size_t i = 0; i < orders.size(); ++i) {
    bytes_ += hashed.answers[i].sha256 ? orders[i].size : 0;
    hashed_.insert_or_assign(orders[i].path, Hashed{facts_then[i], std::move(hashed.answers[i])});
  }
  if (!signal_ && !hashed.out_of_time) return;
  const Error stopped = signal_
                            ? Error{ErrorKind::interrupted,
                                    *signal_ == SIGINT ? "stopped by SIGINT" : "stopped by SIGTERM",
                                    {}}
                            : Error{ErrorKind::deadline, "the deadline has passed", {}};
  session_.log_error(stopped);
  for (Model* model : models) {
    const bool whole =
        std::all_of(model->contents.begin(), model->contents.end(), [&](const std::string& path) {
          const auto at = hashed_.find(path);
          return path.empty() ||
                 (at != hashed_.end() && (at->second.answer.sha256 || at->second.answer.error));
        });
    if (!model->error && !whole) model->error = stopped;
  }
}

void Verify::judge(Model& model) const {
  for (std::size_t i = 0; i < model.contents.size(); ++i) {
    const RemoteFile& file = model.snapshot->files[i];
    const auto hashed = hashed_.find(model.contents[i]);
    if (hashed == hashed_.end()) continue;
    const HashResult& answer = hashed->second.answer;
    const std::string object = fmt::format("{} {}", model.spec.repo.text(), file.path.text());
    if (answer.error) {
      model.faults.push_back({.kind = CacheFaultKind::unreadable,
                              .path = hashed->first,
                              .message = fmt::format("{}: {}", object, answer.error->message),
                              .file = i,
                              .error = answer.error->kind});
      continue;
    }
    const auto wrong = check_digests(answer, object, file.blob_spec());
    if (!wrong) continue;
    const Digest& found =
        file.blob.kind() == DigestKind::git_sha1 ? *answer.git_sha1 : *answer.sha256;
    const bool by_lock = found == file.blob;  // then it is the lock's second digest that differs
    model.faults.push_back({.kind = CacheFaultKind::damaged,
                            .remedy = Remedy::rehash,
                            .path = hashed->first,
                            .message = wrong->message,
                            .expected = by_lock ? file.expected_sha256->hex() : file.blob.hex(),
                            .found = by_lock ? answer.sha256->hex() : found.hex(),
                            .file = i,
                            .error = wrong->kind});
  }
}

void Verify::tell(const Model& model) {
  if (model.error && session_.options.repair)
    return session_.log.error(model.error->message);  // its hint is under way
  if (model.error) return session_.log_error(*model.error);
  for (const CacheFault& fault : model.faults)
    if (told_.insert(fault.message).second) session_.log.error(fault.message);
  if (model.good())
    session_.log.info(fmt::format("{}: verified, {} files at {}", model.spec.key,
                                  model.snapshot->files.size(), folder_of(model)));
}

/// Everything that a download does not mend by itself.
void Verify::prepare(Model& model) {
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
        if (own) warn(cache.folder(repo).allow(fault.path, missing_bits(*own, umask_)));
        break;
      case Remedy::quarantine:
        if (!own) break;  // of another model in this repository, and so gone
        const auto moved = cache.quarantine(repo, fault.path);
        if (moved)
          session_.log.warning(fmt::format("{} is out of the way now, as {}", fault.path, *moved));
        else
          session_.log.warning(moved.error().message);
    }
  }
  if (!damaged.empty()) warn(cache.distrust(repo, model.snapshot->commit, damaged));
}

void Verify::repair() {
  std::vector<Model*> bad;
  std::vector<ModelSpec> specs;
  for (Model& model : models_) {
    if (model.good()) continue;
    if (!model.error) prepare(model);
    bad.push_back(&model);
    specs.push_back(model.spec);
  }
  if (!bad.empty()) {
    Download download(session_);
    RunReport done = download.run(std::move(specs));
    requests_ = done.requests;
    retries_ = done.retries;
    told_.clear();
    if (!done.signal) check(bad);
    signal_ = done.signal ? done.signal : signal_;
    for (std::size_t i = 0; i < bad.size(); ++i) {
      if (i < done.models.size() && done.models[i].error) bad[i]->error = done.models[i].error;
      if (done.error && !bad[i]->good()) bad[i]->error = done.error;
      if (i < done.models.size()) bad[i]->downloaded = std::move(done.models[i]);
    }
  }
  for (const Model& model : models_)
    if (model.good())
      for (const std::string& warning : session_.cache.link_legacy_dirs(model.spec.repo))
        session_.log.warning(warning);
}

std::string Verify::folder_of(const Model& model) const {
  if (!model.snapshot) return {};
  return session_.cache.layout(model.spec.repo).snapshot(model.spec.repo, model.snapshot->commit);
}

ModelReport Verify::report_of(const Model& model) const {
  ModelReport report;
  if (model.downloaded) {
    report = *model.downloaded;
  } else {
    ModelRun run{.spec = model.spec, .begun = session_.begun, .snapshot = model.snapshot};
    if (run.snapshot) run.view.files.resize(run.snapshot->files.size());
    report = model_prep::report_of(run, Purpose::download, folder_of(model));
  }
  report.status = model.downloaded ? ModelStatus::repaired : ModelStatus::verified;
  if (!model.good()) report.status = ModelStatus::failed;
  if (model.error && model.error->kind == ErrorKind::interrupted)
    report.status = ModelStatus::interrupted;
  report.duration_s = seconds(Clock::now() - session_.begun);
  report.error = model.error;
  if (!model.error && !model.faults.empty()) report.error = error_of(model.faults.front());
  report.faults = model.faults;
  for (std::size_t i = 0; i < report.files.size(); ++i) {
    FileReport& file = report.files[i];
    if (file.status != "downloaded" && !file.error)
      file.status = model.error ? "skipped" : "verified";
    const auto hashed = i < model.contents.size() ? hashed_.find(model.contents[i]) : hashed_.end();
    if (hashed != hashed_.end() && hashed->second.answer.sha256)
      file.sha256 = hashed->second.answer.sha256->hex();
  }
  for (const CacheFault& fault : model.faults) {
    if (!fault.file || *fault.file >= report.files.size()) continue;
    FileReport& file = report.files[*fault.file];
    file.status = "failed";
    file.sha256.clear();
    file.error = error_of(fault);
  }
  return report;
}

std::vector<ConsumerReport> Verify::ask() const {
  std::vector<LocatedModel> sought;
  for (const Model& model : models_)
    if (model.snapshot)
      sought.push_back(
          {&*model.snapshot,
           canonical_path(session_.cache.layout(model.spec.repo).repo(model.spec.repo))});
  return check_consumers(session_.options, sought);
}

int run_verify(Session& session) {
  auto specs = session.select();
  if (!specs) return session.fail_run(specs.error());
  session.log_warnings(*specs);
  Verify verify(session);
  const RunReport report = verify.run(std::move(*specs));
  for (const ConsumerReport& service : *report.services) {
    std::vector<std::string> elsewhere;  // what is wrong in the cache itself has been told
    for (const auto& missing : service.missing)
      if (missing.elsewhere) elsewhere.push_back(missing.key);
    if (!elsewhere.empty())
      session.log.warning(fmt::format("{} looks in {} and will not find {}: {}", service.name,
                                      service.looks_in, fmt::join(elsewhere, ", "),
                                      service.advice));
  }
  if (session.options.summary != "-")
    session.out << consumers_table(*report.services, terminal_columns(STDOUT_FILENO)) << std::flush;
  const bool unmended = std::any_of(report.models.begin(), report.models.end(),
                                    [](const ModelReport& model) { return !model.faults.empty(); });
  if (unmended && !session.options.repair)
    session.log.error("hint: model-prep verify --repair mends what is wrong");
  return session.finish(report);
}

}  // namespace model_prep
