// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/cleanup.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model_prep/base/text.h"
#include "model_prep/io/pruner.h"
#include "model_prep/report/table.h"

namespace model_prep {
namespace {

/// `0123456789ab (main, refs/pr/1)`: a commit that has only the ref of its own name has none worth
/// telling.
std::string revision_name(const PrunedRepository::Revision& revision) {
  std::vector<std::string> refs;
  for (const std::string& ref : revision.refs)
    if (ref != revision.commit) refs.push_back(ref);
  const std::string names = refs.empty() ? "" : fmt::format(" ({})", fmt::join(refs, ", "));
  return "revision " + revision.commit.substr(0, 12) + names;
}

PrunedRepository summed(const RepoId& repo, const PrunePlan& cleanup, const RepoContents& view) {
  PrunedRepository result{.repo = repo.text(),
                          .revisions = {},
                          .blobs = static_cast<std::int64_t>(cleanup.blobs.size()),
                          .unfinished = static_cast<std::int64_t>(cleanup.leftovers.size()),
                          .bytes = bytes_of(cleanup, view),
                          .kept_because = cleanup.kept_because,
                          .error = {}};
  for (const SnapshotRemoval& removal : cleanup.revisions)
    result.revisions.push_back({removal.commit.hex(), removal.refs, removal.bytes});
  return result;
}

void add_rows(Table& table, const PrunedRepository& repository) {
  std::int64_t rest = repository.bytes;
  for (const auto& revision : repository.revisions) {
    table.rows.push_back({repository.repo, revision_name(revision), format_bytes(revision.bytes)});
    rest -= revision.bytes;
  }
  if (rest > 0 || repository.unfinished > 0)  // blobs without a link among them
    table.rows.push_back(
        {repository.repo, "leftovers of interrupted downloads", format_bytes(rest)});
  if (!repository.kept_because.empty())
    table.rows.push_back({repository.repo, "stays: " + repository.kept_because, "-"});
}

/// What a dry run prints.
std::string table_of(const std::vector<PrunedRepository>& repositories,
                     const std::string& cache_dir, std::optional<int> columns) {
  Table table{.head = {"REPOSITORY", "WOULD GO", "SIZE"}, .rows = {}, .numbers = {2}};
  std::int64_t bytes = 0;
  for (const PrunedRepository& repository : repositories) {
    add_rows(table, repository);
    bytes += repository.bytes;
  }
  return table_text(table, columns) +
         fmt::format("{} to remove from {}\n", format_bytes(bytes), cache_dir);
}

class CacheCleaning {
 public:
  explicit CacheCleaning(Session& session) : session_(session) {}

  PrunedCache run(const std::map<RepoId, Pins>& selected) {
    for (const auto& [repo, pins] : selected) {
      if (stopped()) break;
      PrunedRepository repository = clean(repo, pins);
      if (!repository.kept_because.empty())
        session_.log.info(
            fmt::format("{}: {}; its revisions stay", repository.repo, repository.kept_because));
      if (repository.error) session_.log_error(*repository.error);
      cleaned_.repositories.push_back(std::move(repository));
    }
    return std::move(cleaned_);
  }

 private:
  bool stopped() {
    if (!cleaned_.signal && (cleaned_.signal = session_.signals.read()))
      session_.signals.exit_immediately_on_next_signal();
    return cleaned_.signal.has_value();
  }

  PrunedRepository clean(const RepoId& repo, const Pins& pins) {
    session_.cache.adopt_existing(repo, Cache::Writing::forbidden);
    const Pruner cleaner(session_.cache, repo);
    const auto view = cleaner.look();
    if (!view)
      return {.repo = repo.text(), .revisions = {}, .kept_because = {}, .error = view.error()};
    const PrunePlan plan = make_prune_plan(*view, pins);
    if (session_.options.dry_run) return summed(repo, plan, *view);
    PrunePlan left = plan;
    const Status removed = cleaner.remove(left, [&] { return stopped(); });
    PrunedRepository result = summed(repo, completed_part(plan, left), *view);
    if (!removed) result.error = removed.error();
    for (const auto& revision : result.revisions)
      session_.log.info(fmt::format("{}: removed {}, {}", result.repo, revision_name(revision),
                                    format_bytes(revision.bytes)));
    if (removed && !cleaned_.signal && !left.empty())
      session_.log.info(fmt::format("{}: some of it is in use by now and stays", result.repo));
    return result;
  }

  Session& session_;
  PrunedCache cleaned_;
};

}  // namespace

Result<PrunedCache> prune_cache(Session& session) {
  const auto manifest = session.manifest();
  if (!manifest) return manifest.error();
  const auto pins = select_pins(*manifest, session.options.models);
  if (!pins) return pins.error();
  return CacheCleaning(session).run(*pins);
}

void add_to(RunReport& report, const PrunedCache& cleaned) {
  report.cleanup = cleaned.repositories;
  report.signal = cleaned.signal;
  if (report.signal)
    report.error =
        Error{ErrorKind::interrupted, "stopped by a signal", "the next cleanup goes on from there"};
}

int run_cleanup(Session& session) {
  const auto cleaned = prune_cache(session);
  if (!cleaned) return session.fail_run(cleaned.error());
  RunReport report = session.begin_report();
  report.offline = true;
  add_to(report, *cleaned);
  if (report.error) session.log_error(*report.error);
  if (session.options.dry_run && session.options.summary != "-")
    session.out << table_of(cleaned->repositories, session.options.cache_dir, session.columns)
                << std::flush;
  return session.finish(report);
}

}  // namespace model_prep
