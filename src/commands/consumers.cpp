// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/consumers.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model_prep/commands/resolve.h"
#include "model_prep/core/cache_layout.h"
#include "model_prep/io/posix.h"
#include "model_prep/report/table.h"

namespace model_prep {
namespace {

/// Why a library that looks in this cache does not find the model; empty if it does.
std::string reason_of(const CacheLayout& at, const ResolvedSnapshot& snapshot) {
  if (!stat_path(at.repo)) return "there is no " + repo_folder_name(snapshot.spec.repo);

  // A ref that holds anything but the commit, even a line end, does not work for the libraries.
  const auto ref = read_file(at.ref(snapshot.spec.ref), 64);
  if (!ref) return "there is no refs/" + snapshot.spec.ref;
  if (*ref != snapshot.commit.hex())
    return "refs/" + snapshot.spec.ref + " points to another revision";

  const auto missing = std::ranges::find_if(snapshot.files, [&](const RemoteFile& file) {
    const auto found = stat_path(at.link(snapshot.commit, file.path));
    return !found || !found->is_file;
  });
  return missing == snapshot.files.end() ? "" : "there is no " + missing->path.text();
}

std::string advice_of(const Consumer& consumer, const Options& options) {
  const std::string& cache = options.cache_dir;
  const auto& legacy_dirs = options.legacy_dirs;
  if (std::ranges::find(legacy_dirs, consumer.folder) != legacy_dirs.end())
    return "model-prep verify --repair creates a link there";
  if (consumer.setting != "HF_HOME") return fmt::format("set {}={}", consumer.setting, cache);

  // A library that knows only HF_HOME looks in its directory `hub`.
  if (cache.ends_with("/hub")) return "set HF_HOME=" + parent_path(cache);
  return "set HF_HOME, for model-prep too: it creates a link in $HF_HOME/hub";
}

void check_model(ConsumerReport& report, const Consumer& consumer, const Cache& cache,
                 const ResolvedSnapshot& snapshot, const Options& options) {
  const ModelSpec& spec = snapshot.spec;
  const CacheLayout at(consumer.folder, spec.repo);
  const std::string reason = consumer.folder.empty()
                                 ? "it has no cache directory in this environment"
                                 : reason_of(at, snapshot);
  if (reason.empty()) return report.found.push_back(spec.key);

  const bool elsewhere =
      canonical_path(at.repo) != canonical_path(cache.repository(spec.repo).layout.repo);
  report.missing.push_back({spec.key, reason, elsewhere});

  // Looking elsewhere has to be solved first: a repaired cache would not help.
  if (elsewhere)
    report.advice = advice_of(consumer, options);
  else if (report.advice.empty())
    report.advice = "model-prep verify --repair repairs the cache";
}

/// A model whose files are not known, so nobody can tell whether a library finds them.
void add_unknown(ConsumerReport& report, const Cache& cache, const ModelSpec& spec) {
  const auto commit = cached_commit(spec, cache);
  const bool is_there =
      commit && stat_path(cache.repository(spec.repo).layout.snapshot(*commit)).has_value();
  report.missing.push_back(
      {spec.key, is_there ? "its files are not known" : "not in the cache", false});
  if (report.advice.empty()) report.advice = "model-prep verify --repair downloads it";
}

/// The files of a model of the run, if they are known.
const ResolvedSnapshot* find_snapshot(std::span<const ResolvedSnapshot* const> models,
                                      const std::string& key) {
  const auto found =
      std::ranges::find(models, key, [](const ResolvedSnapshot* each) { return each->spec.key; });
  return found == models.end() ? nullptr : *found;
}

SnapshotFacts facts_of(const Cache& cache, const ResolvedSnapshot& snapshot) {
  // Some list each of 20,000 classes twice.
  constexpr std::size_t kMaxConfig = std::size_t{4} * 1024 * 1024;
  SnapshotFacts facts{.repo = snapshot.spec.repo.text(),
                      .revision = snapshot.spec.ref == "main" ? "" : snapshot.spec.ref};
  const CacheLayout& at = cache.repository(snapshot.spec.repo).layout;
  for (const RemoteFile& file : snapshot.files) {
    facts.files.push_back(file.path.text());
    if (file.path.text() == "config.json")
      facts.config = read_file(at.link(snapshot.commit, file.path), kMaxConfig).value_or("");
  }
  return facts;
}

}  // namespace

std::vector<ConsumerReport> check_consumers(const Options& options, const Cache& cache,
                                            std::span<const ResolvedSnapshot* const> models,
                                            std::span<const ModelReport> reports) {
  std::vector<ConsumerReport> consumers;
  for (const Consumer& consumer : options.services) {
    ConsumerReport report{.name = consumer.name, .looks_in = consumer.folder};
    for (const ModelReport& model : reports) {
      const ModelSpec& spec = model.spec;
      if (consumer.only_models && spec.repo.kind() != RepoKind::model) continue;
      if (const auto* snapshot = find_snapshot(models, spec.key))
        check_model(report, consumer, cache, *snapshot, options);
      else
        add_unknown(report, cache, spec);
    }

    // Left out if it loads none of the models.
    if (!report.found.empty() || !report.missing.empty()) consumers.push_back(std::move(report));
  }
  return consumers;
}

void warn_of_consumers(Log& log, const std::vector<ConsumerReport>& consumers) {
  for (const ConsumerReport& consumer : consumers) {
    // A fault of the cache itself has been logged as such.
    Strings elsewhere;
    for (const auto& missing : consumer.missing)
      if (missing.elsewhere) elsewhere.push_back(missing.key);

    if (!elsewhere.empty())
      log.warning(fmt::format("{} looks in {} and will not find {}: {}", consumer.name,
                              consumer.looks_in, fmt::join(elsewhere, ", "), consumer.advice));
  }
}

std::string consumers_table(const std::vector<ConsumerReport>& consumers,
                            std::optional<int> columns) {
  Table table{.head = {"LIBRARY", "LOOKS IN", "FINDS", "ADVICE"}, .yielding = {1, 3}};
  for (const ConsumerReport& consumer : consumers)
    table.rows.push_back({consumer.name, consumer.looks_in.empty() ? "-" : consumer.looks_in,
                          fmt::format("{} of {}", consumer.found.size(),
                                      consumer.found.size() + consumer.missing.size()),
                          consumer.advice.empty() ? "-" : consumer.advice});
  return table_text(table, columns);
}

std::vector<LoadReport> judge_loads(const Options& options, const Cache& cache,
                                    std::span<const ResolvedSnapshot* const> models,
                                    std::span<const ModelReport> reports) {
  std::vector<LoadReport> loads;
  for (const ModelReport& report : reports) {
    if (report.spec.repo.kind() != RepoKind::model) continue;

    const ResolvedSnapshot* const model = find_snapshot(models, report.spec.key);
    if (model == nullptr || !report.success()) {
      for (const std::string& library : options.consumers) {
        ConsumerVerdict verdict{.library = library, .versions = {}};
        verdict.write = "it is not ready: see the errors";
        loads.push_back({report.spec.key, std::move(verdict)});
      }
      continue;
    }

    SnapshotFacts facts = facts_of(cache, *model);
    for (const Dependency& dependency : report.dependencies)
      if (!dependency.present) facts.missing.push_back(dependency.key());

    for (ConsumerVerdict& verdict : judge_consumers(facts, options.consumers))
      loads.push_back({report.spec.key, std::move(verdict)});
  }
  return loads;
}

std::string loads_table(const std::vector<LoadReport>& loads, std::optional<int> columns) {
  if (loads.empty()) return "";
  Table table{.head = {"MODEL", "LIBRARY", "LOADS", "WRITE"}, .yielding = {3}};
  for (const auto& [model, verdict] : loads)
    table.rows.push_back(
        {model, verdict.library, std::string(to_string(verdict.loads)), verdict.write});
  return table_text(table, columns);
}

Status check_asked_consumers(const Options& options, const std::vector<LoadReport>& loads,
                             std::span<const ModelReport> reports) {
  if (options.consumers.empty()) return ok();

  // What is wrong with a model that is not ready is its own error.
  const auto is_ready = [&](const std::string& key) {
    return std::ranges::any_of(reports, [&](const ModelReport& report) {
      return report.spec.key == key && report.success();
    });
  };
  for (const auto& [model, verdict] : loads)
    if (verdict.loads == Loads::no && is_ready(model))
      return Error{ErrorKind::not_loadable,
                   fmt::format("{} will not load {}: {}", verdict.library, model, verdict.write),
                   verdict.hint};
  return ok();
}

}  // namespace model_prep
