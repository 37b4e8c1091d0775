// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/cleanup.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model_prep/base/text.h"
#include "model_prep/commands/dependencies.h"
#include "model_prep/commands/resolve.h"
#include "model_prep/io/pruner.h"
#include "model_prep/report/table.h"

namespace model_prep {
namespace {

/// `revision 0123456789ab (main, refs/pr/1)`. A ref that has the name of the commit is not listed.
std::string revision_name(const SnapshotRemoval& revision) {
  Strings refs;
  for (const std::string& ref : revision.refs)
    if (ref != revision.commit.hex()) refs.push_back(ref);

  const std::string names = refs.empty() ? "" : fmt::format(" ({})", fmt::join(refs, ", "));
  return "revision " + revision.commit.hex().substr(0, 12) + names;
}

void add_rows(Table& table, const PrunedRepository& repository) {
  Bytes rest = repository.bytes;
  for (const SnapshotRemoval& revision : repository.removed.revisions) {
    table.rows.push_back({repository.repo, revision_name(revision), format_bytes(revision.bytes)});
    rest -= revision.bytes;
  }

  // What no revision accounts for: staging files, blobs that nothing links to, and what a killed
  // cleanup left.
  const PrunePlan& removed = repository.removed;
  if (rest > 0 || !removed.leftovers.empty() || removed.pending_bytes)
    table.rows.push_back(
        {repository.repo, "leftovers of interrupted downloads", format_bytes(rest)});
  if (const std::string& reason = repository.removed.kept_because; !reason.empty())
    table.rows.push_back({repository.repo, "kept: " + reason, "-"});
}

std::string dry_run_text(const std::vector<PrunedRepository>& repositories,
                         const std::string& cache_dir, std::optional<int> columns) {
  Table table{.head = {"REPOSITORY", "WOULD REMOVE", "SIZE"}, .numbers = {2}};
  Bytes bytes = 0;
  for (const PrunedRepository& repository : repositories) {
    add_rows(table, repository);
    bytes += repository.bytes;
  }
  return table_text(table, columns) +
         fmt::format("{} to remove from {}\n", format_bytes(bytes), cache_dir);
}

class Cleanup {
 public:
  Cleanup(Session& session, RunReport& report) : session_(session), report_(report) {}

  void run(const std::map<RepoId, Pins>& selected) {
    report_.cleanup.emplace();
    for (const auto& [repo, pins] : selected) {
      if (stopped()) break;

      PrunedRepository repository = prune(repo, pins);
      if (const std::string& reason = repository.removed.kept_because; !reason.empty())
        session_.log.info(repository.repo + ": " + reason + "; keeping its revisions");
      if (repository.error) session_.log_error(*repository.error);
      report_.cleanup->push_back(std::move(repository));
    }

    if (report_.signal)
      report_.error = stopped_by(*report_.signal, "the next cleanup removes the rest");
  }

 private:
  bool stopped() {
    report_.signal = session_.signals.read();
    return report_.signal.has_value();
  }

  PrunedRepository prune(const RepoId& repo, const Pins& pins) {
    session_.cache.adopt_existing(repo, Cache::Writing::forbidden);
    const Repository& repository = session_.cache.repository(repo);
    const auto failed = [&](const Error& error) {
      return PrunedRepository{repo.text(), {}, 0, error};
    };
    auto contents = read_contents(repository, RepoLock::anybodys);
    if (!contents) return failed(contents.error());

    PrunePlan plan = make_prune_plan(*contents, pins);
    if (session_.options.dry_run || plan.empty())
      return {repo.text(), plan, bytes_of(plan, *contents)};

    // What was true without the lock may not be any more.
    const auto alone = lock_alone(repository);
    if (!alone) return failed(alone.error());
    PrunePlan done;
    if (!*alone) {
      done.kept_because = "in use by another process";
      return {repo.text(), done};
    }
    contents = read_contents(repository, RepoLock::ours);
    if (!contents) return failed(contents.error());
    plan = make_prune_plan(*contents, pins);

    done.kept_because = plan.kept_because;
    const Status removed = remove_planned(repository, plan, done, [&] { return stopped(); });
    PrunedRepository result{repo.text(), done, bytes_of(done, *contents)};
    if (!removed) result.error = removed.error();

    for (const SnapshotRemoval& revision : done.revisions)
      session_.log.info(fmt::format("{}: removed {}, {}", result.repo, revision_name(revision),
                                    format_bytes(revision.bytes)));
    if (removed && !report_.signal && done.items() < plan.items())
      session_.log.info(fmt::format("{}: kept some items that are now in use", result.repo));
    return result;
  }

  Session& session_;
  RunReport& report_;
};

using SelectedPins = std::map<RepoId, Pins>;

/// A library asks for a dependency by a ref, whatever the manifest pins in that repository.
void keep_dependencies(SelectedPins& pins, const ModelSpec& model,
                       std::span<const Dependency> dependencies, const Cache& cache) {
  for (const Dependency& dependency : dependencies) {
    if (!dependency.present) continue;
    const auto selected = pins.find(dependency.repo);
    if (selected == pins.end()) continue;
    if (const auto commit = cached_commit(dependency_spec(dependency, model), cache))
      selected->second.needed.insert(*commit);
  }
}

/// What the models of the manifest need, as far as the cache tells.
void keep_dependencies(SelectedPins& pins, Session& session) {
  const auto specs = select_models(session.known_manifest(), {}, {}, {}, {});
  if (!specs) return;

  for (const ModelSpec& spec : *specs) {
    if (session.signals.read()) return;  // nothing is removed then
    session.cache.adopt_existing(spec.repo, Cache::Writing::forbidden);
    const auto local = resolve_locally(spec, session.cache, Network::forbidden);
    if (!local->snapshot) continue;

    const ResolvedSnapshot* const snapshots[] = {&*local->snapshot};
    const auto found = read_dependencies(snapshots, session.cache, nullptr, DependencyMode::report);
    if (found.front()) keep_dependencies(pins, spec, *found.front(), session.cache);
  }
}

}  // namespace

Status prune_cache(Session& session, RunReport& report) {
  auto pins = session.select_pins();
  if (!pins) return pins.error();

  // What this run found or fetched because a model needs it stays, even if another revision is
  // pinned.
  for (const ModelReport& model : report.models) {
    const auto selected = pins->find(model.spec.repo);
    if (const auto commit = CommitId::parse(model.commit); commit && selected != pins->end())
      selected->second.commits.insert(*commit);
    keep_dependencies(*pins, model.spec, model.dependencies, session.cache);
  }
  keep_dependencies(*pins, session);
  Cleanup(session, report).run(*pins);
  return ok();
}

int run_cleanup(Session& session) {
  RunReport report = session.begin_report();
  report.offline = true;
  if (Status pruned = prune_cache(session, report); !pruned)
    return session.fail_run(pruned.error());
  report.duration_s = in_seconds(Clock::now() - session.begun);
  if (report.error) session.log_error(*report.error);

  if (session.options.dry_run)
    session.print_result(dry_run_text(*report.cleanup, session.options.cache_dir, session.columns));
  return session.finish(std::move(report));
}

}  // namespace model_prep
