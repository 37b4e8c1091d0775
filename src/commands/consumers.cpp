// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/consumers.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/core/cache_layout.h"
#include "model_prep/io/posix.h"
#include "model_prep/report/table.h"

namespace model_prep {
namespace {

/// Why a service that looks in this folder does not find the model; empty if it does.
std::string reason_of(const CacheLayout& at, const ResolvedSnapshot& snapshot) {
  if (!stat_path(at.repo())) return "there is no " + repo_folder_name(snapshot.spec.repo);
  const auto ref = read_file(at.ref(snapshot.spec.ref), 64);
  if (!ref) return fmt::format("there is no refs/{}", snapshot.spec.ref);
  if (*ref != snapshot.commit.hex())
    return fmt::format("refs/{} is another revision", snapshot.spec.ref);
  const auto missing =
      std::find_if(snapshot.files.begin(), snapshot.files.end(), [&](const RemoteFile& file) {
        const auto found = stat_path(at.link(snapshot.commit, file.path));
        return !found || !found->is_file;
      });
  return missing == snapshot.files.end() ? "" : fmt::format("there is no {}", missing->path.text());
}

std::string advice_of(const Consumer& service, const Options& options) {
  const std::string& cache = options.cache_dir;
  const bool is_view = std::find(options.legacy_dirs.begin(), options.legacy_dirs.end(),
                                 service.folder) != options.legacy_dirs.end();
  if (is_view) return "model-prep verify --repair makes a link there";
  if (service.setting != "HF_HOME") return fmt::format("set {}={}", service.setting, cache);
  if (cache.ends_with("/hub")) return fmt::format("set HF_HOME={}", parent_path(cache));
  return "set HF_HOME, for model-prep too: it makes a link in $HF_HOME/hub";
}

}  // namespace

std::vector<ConsumerReport> check_consumers(const Options& options,
                                            std::span<const LocatedModel> models) {
  std::vector<ConsumerReport> reports;
  for (const Consumer& service : options.services) {
    ConsumerReport report{
        .name = service.name, .looks_in = service.folder, .found = {}, .missing = {}, .advice = {}};
    const auto is_for = [&](const LocatedModel& model) {
      return service.loads == Consumer::Loads::anything ||
             model.snapshot->spec.repo.kind() == RepoKind::model;
    };
    if (!models.empty() && std::none_of(models.begin(), models.end(), is_for)) continue;
    for (const LocatedModel& model : models) {
      if (!is_for(model)) continue;
      const auto& [snapshot, folder] = model;
      const CacheLayout at(service.folder, snapshot->spec.repo);
      const std::string reason =
          service.folder.empty() ? "it looks nowhere" : reason_of(at, *snapshot);
      if (reason.empty()) {
        report.found.push_back(snapshot->spec.key);
        continue;
      }
      const bool elsewhere = canonical_path(at.repo()) != folder;
      report.missing.push_back({snapshot->spec.key, reason, elsewhere});
      if (elsewhere)
        report.advice = advice_of(service, options);
      else if (report.advice.empty())
        report.advice = "model-prep verify --repair mends the cache";
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

std::string consumers_table(const std::vector<ConsumerReport>& services,
                            std::optional<int> columns) {
  Table table{
      .head = {"SERVICE", "LOOKS IN", "FINDS", "OTHERWISE"}, .rows = {}, .yielding = {1, 3}};
  for (const ConsumerReport& service : services)
    table.rows.push_back({service.name, service.looks_in.empty() ? "-" : service.looks_in,
                          fmt::format("{} of {}", service.found.size(),
                                      service.found.size() + service.missing.size()),
                          service.advice.empty() ? "-" : service.advice});
  return table_text(table, columns);
}

}  // namespace model_prep
