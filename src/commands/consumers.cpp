// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/consumers.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/core/cache_layout.h"
#include "model_prep/report/table.h"
#include "model_prep/io/posix.h"

namespace model_prep {
namespace {

/// Why a service that looks in this folder does not find the model; empty if it does.
std::string reason_of(const CacheLayout& at, const ResolvedSnapshot& snapshot) {
  const RepoId& repo = snapshot.spec.repo;
  if (!facts(at.repo(repo))) return "there is no " + repo_folder_name(repo);
  const auto ref = read_file(at.ref(repo, snapshot.spec.ref), 64);
  if (!ref) return fmt::format("there is no refs/{}", snapshot.spec.ref);
  if (*ref != snapshot.commit.hex()) return fmt::format("refs/{} is another revision", snapshot.spec.ref);
  const auto missing = std::find_if(snapshot.files.begin(), snapshot.files.end(), [&](const RemoteFile& file) {
    const auto found = facts(at.link(repo, snapshot.commit, file.path));
    return !found || !found->is_file;
  });
  return missing == snapshot.files.end() ? "" : fmt::format("there is no {}", missing->path.text());
}

std::string advice_of(const Service& service, const Options& options) {
  const std::string& cache = options.cache_dir;
  const bool is_view = std::find(options.views.begin(), options.views.end(), service.folder) != options.views.end();
  if (is_view) return "model-prep verify --repair makes a link there";
  if (service.setting != "HF_HOME") return fmt::format("set {}={}", service.setting, cache);
  if (cache.ends_with("/hub")) return fmt::format("set HF_HOME={}", parent_of(cache));
  return "set HF_HOME, for model-prep too: it makes a link in $HF_HOME/hub";
}

}  // namespace

std::vector<ServiceReport> ask_services(const Options& options, std::span<const Sought> models) {
  std::vector<ServiceReport> reports;
  for (const Service& service : options.services) {
    ServiceReport report{.name = service.name, .looks_in = service.folder, .found = {}, .missing = {}, .advice = {}};
    const auto is_for = [&](const Sought& model) {
      return service.loads == Service::Loads::anything || model.snapshot->spec.repo.kind() == RepoKind::model;
    };
    if (!models.empty() && std::none_of(models.begin(), models.end(), is_for)) continue;
    for (const Sought& model : models) {
      if (!is_for(model)) continue;
      const auto& [snapshot, folder] = model;
      const CacheLayout at(service.folder);
      const std::string reason = service.folder.empty() ? "it looks nowhere" : reason_of(at, *snapshot);
      if (reason.empty()) {
        report.found.push_back(snapshot->spec.key);
        continue;
      }
      const bool elsewhere = canonical_path(at.repo(snapshot->spec.repo)) != folder;
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

std::string services_table(const std::vector<ServiceReport>& services, std::optional<int> columns) {
  Table table{.head = {"SERVICE", "LOOKS IN", "FINDS", "OTHERWISE"}, .rows = {}, .yielding = {1, 3}};
  for (const ServiceReport& service : services)
    table.rows.push_back({service.name, service.looks_in.empty() ? "-" : service.looks_in,
                          fmt::format("{} of {}", service.found.size(), service.found.size() + service.missing.size()),
                          service.advice.empty() ? "-" : service.advice});
  return table_text(table, columns);
}

}  // namespace model_prep
