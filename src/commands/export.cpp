// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/export.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model_prep/base/text.h"
#include "model_prep/commands/blob_reader.h"
#include "model_prep/commands/dependencies.h"
#include "model_prep/commands/export_folders.h"
#include "model_prep/commands/export_image.h"
#include "model_prep/commands/file_checks.h"
#include "model_prep/commands/model_signatures.h"
#include "model_prep/commands/policies.h"
#include "model_prep/commands/resolve.h"
#include "model_prep/core/policy_check.h"
#include "model_prep/io/oci_layout.h"
#include "model_prep/report/model_report.h"

namespace model_prep {
namespace {

Error not_cached(const ModelSpec& spec, const std::string& what) {
  return {ErrorKind::offline_missing, fmt::format("{}: {} is not in the cache", spec.key, what),
          "model-prep download gets it; export sends no request"};
}

/// Why a model could not be resolved. That export sends no request is nobody's choice, so no flag
/// or variable is to blame.
Error unresolved(const ModelSpec& spec, const Cache& cache, const Error& error) {
  if (error.kind != ErrorKind::offline_missing) return error;
  const auto commit = cached_commit(spec, cache);
  return not_cached(spec, commit ? "the file list of commit " + commit->hex().substr(0, 12)
                                 : "revision " + spec.revision.text());
}

/// Whether every file is there with its size, and may be exported. Its bytes are hashed later,
/// while they are written.
Status check_present(const ResolvedSnapshot& snapshot, const Cache& cache) {
  const ModelSpec& spec = snapshot.spec;
  if (snapshot.listing_unproven)
    return Error{
        ErrorKind::offline_missing,
        fmt::format("{}: only {} says which files commit {} has", spec.key,
                    snapshot.listing_claimed ? "a folder of --from" : "huggingface_hub's listing",
                    snapshot.commit.hex().substr(0, 12)),
        "model-prep download asks the Hub, and hashes what is here; or name a lock with --manifest"};

  for (const RemoteFile& file : snapshot.files) {
    const auto there = cache.content(spec.repo, snapshot.commit, file).there;
    if (!there || !there->is_file) return not_cached(spec, file.path.text());
    if (there->size != file.size)
      return Error{ErrorKind::digest_mismatch,
                   fmt::format("{}: {} has {} bytes, expected {}", spec.key, file.path.text(),
                               there->size, file.size),
                   "model-prep verify --repair downloads it again"};
  }

  FileChecks checks = check_files(snapshot, cache, Look::policy);
  return checks.error ? Status(std::move(*checks.error)) : ok();
}

/// Whether the manifest's policy allows the model, by what the cache knows of it.
Status check_known_policy(const ResolvedSnapshot& snapshot) {
  const ModelSpec& spec = snapshot.spec;
  if (Status allowed = check_policy(snapshot, HubAsked::no); !allowed) return allowed;

  if (auto error = signer_missing(spec)) return std::move(*error);
  if (!spec.signer || snapshot.signed_by) return ok();
  return Error{ErrorKind::offline_missing,
               spec.key + ": the cache does not know that its signer has signed these files",
               "model-prep download with the same manifest holds them to the signature"};
}

/// Whether the models were held to their policies in this run already.
enum class Judged : std::uint8_t { no, yes };

std::vector<ModelSpec> specs_of(const RunReport& report) {
  std::vector<ModelSpec> specs;
  for (const ModelReport& model : report.models) specs.push_back(model.spec);
  return specs;
}

class Export {
 public:
  /// Writes what `--to` says.
  Export(Session& session, std::vector<ModelSpec> specs)
      : session_(session), specs_(std::move(specs)), errors_(specs_.size()) {}

  /// The same of what this download has brought.
  Export(Session& session, const RunReport& downloaded) : Export(session, specs_of(downloaded)) {
    judged_ = Judged::yes;
    for (const ModelReport& model : downloaded.models) commits_.push_back(model.commit);
  }

  /// Writes each downloaded model into one of these folders.
  Export(Session& session, const RunReport& downloaded, const Strings& folders)
      : Export(session, downloaded) {
    folders_ = folders;
  }

  RunReport run() {
    for (std::size_t i = 0; i < specs_.size(); ++i) resolve(i);

    BlobReader reader(session_, snapshots_);
    std::optional<ExportReport> exported;
    if (!error_) exported = write(reader);
    session_.observer.finished();

    RunReport report = session_.begin_report();
    report.offline = true;
    report.signal = session_.signals.read();
    report.error = error_;
    report.bytes_hashed = reader.bytes_hashed();
    for (std::size_t i = 0; i < specs_.size(); ++i)
      report.models.push_back(model_report(i, reader));
    report.exported = std::move(exported);
    add_dependencies(report);
    return report;
  }

 private:
  void resolve(std::size_t index) {
    ModelSpec& spec = specs_[index];
    session_.cache.adopt_existing(spec.repo, Cache::Writing::forbidden);
    const ModelSpec wanted = at_commit(index);
    auto local = resolve_locally(wanted, session_.cache, Network::forbidden);
    if (!local->snapshot)
      return fail(index, unresolved(wanted, session_.cache, local->snapshot.error()));

    local->snapshot->spec.revision = spec.revision;
    session_.update_variant(spec, *local->snapshot);
    if (Status complete = check_present(*local->snapshot, session_.cache); !complete)
      return fail(index, complete.error());

    add_known_facts(*local->snapshot, local->record, session_.cache);
    note_recorded_signature(*local->snapshot, local->record);
    if (judged_ == Judged::no)
      if (Status allowed = check_known_policy(*local->snapshot); !allowed)
        return fail(index, allowed.error());
    snapshots_.push_back(std::move(*local->snapshot));
  }

  /// Another run may have moved the branch in the cache since this one has downloaded and judged.
  ModelSpec at_commit(std::size_t index) const {
    ModelSpec spec = specs_[index];
    if (commits_.empty()) return spec;
    if (const auto commit = Revision::parse(commits_[index])) spec.revision = *commit;
    return spec;
  }

  std::optional<ExportReport> write(BlobReader& reader) {
    auto exported = write_target(reader);
    if (exported) return std::move(*exported);

    // All models are resolved, so the snapshots are in their order.
    const auto at = reader.failed();
    if (at && !session_.signals.read()) {
      fail(*at, exported.error());
    } else {
      error_ = exported.error();
      session_.log_error(*error_);
    }
    return std::nullopt;
  }

  Result<ExportReport> write_target(BlobReader& reader) {
    if (folders_) {
      const auto how = session_.options.cache_is_temporary ? FromCache::move : FromCache::copy;
      auto filled = export_folders(session_, snapshots_, *folders_, how, reader);
      if (filled) filled->to = fmt::format("{}", fmt::join(*folders_, ", "));
      return filled;
    }

    const ExportTarget& target = *session_.options.to;
    session_.log.info(
        fmt::format("exporting {} to {}", format_count(specs_.size(), "model"), target.text()));
    if (target.kind == ExportKind::oci) return export_image(session_, snapshots_, reader);

    const auto folders = folders_of(target, specs_);
    if (!folders) return folders.error();
    auto copied = export_folders(session_, snapshots_, *folders, FromCache::copy, reader);
    if (copied) copied->to = target.text();
    return copied;
  }

  /// Without one of its models there is no export.
  void fail(std::size_t index, const Error& error) {
    session_.log_error(error);
    errors_[index] = error;
    if (!error_) error_ = error;
  }

  ModelReport model_report(std::size_t index, const BlobReader& reader) const {
    ModelRun run{.spec = specs_[index], .begun = session_.begun};
    if (!error_) run.snapshot = snapshots_[index];
    if (run.snapshot) run.view.files.resize(run.snapshot->files.size());

    ModelReport report = make_model_report(run, session_.snapshot_folder(run.snapshot));
    report.status = !error_                                  ? ModelStatus::exported
                    : error_->kind == ErrorKind::interrupted ? ModelStatus::interrupted
                                                             : ModelStatus::failed;
    report.duration_s = in_seconds(Clock::now() - session_.begun);
    report.error = errors_[index];
    for (std::size_t i = 0; i < report.files.size(); ++i) {
      // What a folder holds already is not hashed again.
      const Digest& blob = run.snapshot->files[i].blob;
      const auto known = reader.known().find(blob);
      const bool is_hashed = known != reader.known().end();
      report.files[i].status = is_hashed ? FileReportStatus::verified : FileReportStatus::cached;
      if (is_hashed) report.files[i].sha256 = known->second.hex();
    }
    return report;
  }

  /// Warns of what the models need and the export does not hold.
  void add_dependencies(RunReport& report) {
    if (error_) return;

    std::vector<const ResolvedSnapshot*> snapshots;
    for (const ResolvedSnapshot& snapshot : snapshots_) snapshots.push_back(&snapshot);
    auto found = read_dependencies(snapshots, session_.cache, nullptr, DependencyMode::report);
    for (std::size_t i = 0; i < found.size(); ++i)
      if (found[i]) report.models[i].dependencies = std::move(*found[i]);
    for (const ModelSpec& needed :
         unselected_dependencies(report.models, session_.known_manifest(), nullptr))
      session_.log.warning(fmt::format(
          "{} is needed and not exported: download it, and name it here as well", needed.key));
  }

  Session& session_;
  std::vector<ModelSpec> specs_;
  Judged judged_{Judged::no};
  Strings commits_;  // of each model, after a download
  std::optional<Strings> folders_;
  std::vector<ResolvedSnapshot> snapshots_;  // of all models, unless there is an error
  std::vector<std::optional<Error>> errors_;
  std::optional<Error> error_;  // the first one
};

void print_exported(Session& session, const std::optional<ExportReport>& exported) {
  if (!exported) return;
  if (!exported->digest.empty()) session.print_result(exported->digest + "\n");
  for (const std::string& folder : exported->folders) session.print_result(folder + "\n");
}

void add_export(Session& session, RunReport& report, RunReport exported) {
  print_exported(session, exported.exported);

  // The models are ready all the same: the error is one of the run.
  report.exported = std::move(exported.exported);
  report.error = exported.error;
  report.signal = exported.signal;
}

}  // namespace

int run_export(Session& session) {
  auto specs = session.select();
  if (!specs) return session.fail_run(specs.error());
  session.log_warnings(*specs);
  if (Status read = load_signers(session, *specs); !read) return session.fail_run(read.error());

  RunReport report = Export(session, std::move(*specs)).run();
  print_exported(session, report.exported);
  return session.finish(std::move(report));
}

Status check_export(const Session& session, const std::vector<ModelSpec>& specs) {
  if (!session.options.to || session.options.dry_run) return ok();
  const ExportTarget& target = *session.options.to;
  if (target.kind == ExportKind::oci) return OciLayout::check(target.folder);

  const auto folders = folders_of(target, specs);
  return folders ? check_folders(session, *folders) : folders.error();
}

void export_downloaded(Session& session, RunReport& report) {
  if (session.options.dry_run) {
    session.log.info("--to writes nothing in a dry run");
    return;
  }
  add_export(session, report, Export(session, report).run());
}

void export_to_folders(Session& session, RunReport& report, const Strings& folders) {
  add_export(session, report, Export(session, report, folders).run());
}

}  // namespace model_prep
