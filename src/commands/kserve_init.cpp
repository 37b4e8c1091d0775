// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/kserve_init.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "model_prep/commands/download.h"
#include "model_prep/commands/export.h"
#include "model_prep/commands/export_folders.h"
#include "model_prep/commands/fetcher.h"
#include "model_prep/commands/model_signatures.h"
#include "model_prep/commands/resolve.h"
#include "model_prep/core/file_selection.h"
#include "model_prep/io/plain_folder_writer.h"
#include "model_prep/io/temporary_cache.h"

namespace model_prep {
namespace {

constexpr std::chrono::milliseconds kCachePoll{50};

/// The lock may be newer than the folder.
bool is_as_locked(const SnapshotRecord& content, const ModelSpec& spec) {
  std::vector<RemoteFile> files = content.listing;
  return apply_lock(files, spec) && is_record_of(content, files) &&
         (!spec.fully_locked || files.size() == spec.lock.size());
}

class KserveInit {
 public:
  KserveInit(Session& session, std::vector<ModelSpec> specs)
      : session_(session), specs_(std::move(specs)), present_(specs_.size()) {
    const Strings& folders = session.options.destinations;
    for (const std::string& folder : folders) folders_.emplace_back(folder, folders);
  }

  Result<RunReport> run() {
    for (const PlainFolder& folder : folders_) {
      Status apart = folder.check_apart();
      if (apart) apart = folder.check_outside(session_.options.cache_dir);
      if (!apart) return apart.error();
    }

    look();
    if (error_) return failed_look();

    std::vector<ModelSpec> missing;
    Strings folders;
    for (std::size_t i = 0; i < specs_.size(); ++i) {
      if (present_[i]) continue;
      // Before anything is downloaded into somebody else's folder.
      if (Status ours = folders_[i].check_owner(); !ours && !folders_[i].has_leftovers())
        return ours.error();
      missing.push_back(specs_[i]);
      folders.push_back(folders_[i].path());
    }

    // That of a run which was killed at its end goes too.
    std::optional<TemporaryCache> cache;
    const std::string& path = session_.options.cache_dir;
    if (session_.options.cache_is_temporary && (!missing.empty() || lstat_path(path))) {
      auto opened = open_cache(path);
      if (!opened && !missing.empty()) return opened.error();
      if (opened) cache = std::move(*opened);
    }

    RunReport report =
        missing.empty() ? session_.begin_report() : download(session_, std::move(missing));
    if (!folders.empty() && report.success()) export_to_folders(session_, report, folders);
    add_present(report);
    if (cache && report.success())
      if (Status removed = cache->remove(); !removed) session_.log.warning(removed.error().message);
    report.requests += requests_;
    report.duration_s = in_seconds(Clock::now() - session_.begun);
    return report;
  }

 private:
  Result<TemporaryCache> open_cache(const std::string& path) const {
    bool is_announced = false;
    return TemporaryCache::open(path, [&] {
      if (!is_announced)
        session_.log.info(fmt::format("waiting for another process, which is removing {}", path));
      is_announced = true;
      return session_.wait(kCachePoll);
    });
  }

  /// Which folders hold their models already.
  void look() {
    std::vector<std::size_t> unknown;
    for (std::size_t i = 0; i < specs_.size(); ++i) {
      const auto content = folders_[i].content();
      if (!content) continue;

      const auto commit = specs_[i].revision.commit();
      if (commit && content->origin == origin_of(specs_[i], *commit) &&
          is_as_locked(*content, specs_[i]))
        set_present(i, commit->hex(), content->listing);
      else if (!session_.options.offline)
        unknown.push_back(i);
    }
    if (!unknown.empty()) ask(unknown);
  }

  /// What cannot be resolved is left to the download, which reports it. But if the Hub cannot be
  /// reached, the download would only wait for it once more.
  void ask(const std::vector<std::size_t>& indices) {
    std::vector<ModelSpec> specs;
    for (const std::size_t i : indices) specs.push_back(specs_[i]);
    Fetcher fetcher(session_);
    const auto results = resolve_remotely(specs, session_.cache, fetcher);
    requests_ = fetcher.requests();

    for (std::size_t k = 0; k < indices.size(); ++k) {
      const auto& snapshot = results[k].snapshot;
      if (!snapshot && disposition(snapshot.error()) != Disposition::fail_item && !error_)
        error_ = snapshot.error();
      if (!snapshot) continue;
      const auto content = folders_[indices[k]].content();
      if (content && content->origin == origin_of(snapshot->spec, snapshot->commit) &&
          is_record_of(*content, recorded_files(*snapshot)))
        set_present(indices[k], snapshot->commit.hex(), content->listing);
    }
  }

  RunReport failed_look() {
    if (!Fetcher::has_logged(*error_)) session_.log_error(*error_);
    RunReport report = session_.begin_report();
    report.requests = requests_;
    report.signal = session_.signals.read();
    report.error = error_;
    for (std::size_t i = 0; i < specs_.size(); ++i)
      report.models.push_back(present_[i] ? std::move(*present_[i])
                                          : ModelReport{.spec = specs_[i], .error = error_});
    return report;
  }

  void set_present(std::size_t index, std::string commit, const std::vector<RemoteFile>& files) {
    ModelReport report{.spec = specs_[index],
                       .status = ModelStatus::cached,
                       .commit = std::move(commit),
                       .bytes = total_blob_size(files)};
    report.bytes_reused = report.bytes;
    for (const RemoteFile& file : files)
      report.files.push_back({.path = file.path.text(),
                              .size = file.size,
                              .status = FileReportStatus::cached,
                              .error = {}});
    present_[index] = std::move(report);
    if (folders_[index].has_leftovers())
      if (const auto lock = folders_[index].try_lock(); lock && *lock)
        folders_[index].remove_leftovers(**lock);
    session_.log.info(
        fmt::format("{}: nothing to do in {}", specs_[index].key, folders_[index].path()));
  }

  /// In the order of the folders.
  void add_present(RunReport& report) {
    for (std::size_t i = 0; i < present_.size(); ++i)
      if (present_[i])
        report.models.insert(report.models.begin() + static_cast<std::ptrdiff_t>(i),
                             std::move(*present_[i]));
  }

  Session& session_;
  std::vector<ModelSpec> specs_;
  std::vector<PlainFolder> folders_;                 // of each spec
  std::vector<std::optional<ModelReport>> present_;  // those that need no download
  std::int64_t requests_{0};
  std::optional<Error> error_;  // of the look at the Hub
};

}  // namespace

int run_kserve_init(Session& session) {
  auto specs = session.select();
  if (!specs) return session.fail_run(specs.error());
  session.log_warnings(*specs);
  if (Status loaded = load_signers(session, *specs); !loaded)
    return session.fail_run(loaded.error());

  auto report = KserveInit(session, std::move(*specs)).run();
  return report ? session.finish(std::move(*report)) : session.fail_run(report.error());
}

}  // namespace model_prep
