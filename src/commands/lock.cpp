// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/lock.h"

#include <algorithm>
#include <optional>
#include <span>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/commands/dependencies.h"
#include "model_prep/commands/fetcher.h"
#include "model_prep/commands/model_signatures.h"
#include "model_prep/commands/policies.h"
#include "model_prep/commands/resolve.h"
#include "model_prep/core/bom.h"
#include "model_prep/core/commit_diff.h"
#include "model_prep/core/hub_json.h"
#include "model_prep/core/manifest.h"
#include "model_prep/core/policy_check.h"
#include "model_prep/core/weight_checks.h"
#include "model_prep/io/hasher.h"

namespace model_prep {
namespace {

/// Plain git files are small. Each is held in memory for its hash.
constexpr std::size_t kMaxPlainFile = 16 * 1024 * 1024;

class Lock {
 public:
  explicit Lock(Session& session) : session_(session) {}

  int run() {
    if (Status done = run_command(); !done) {
      succeeded_ = false;
      session_.log_error(done.error());
    }

    if (const auto signal = session_.signals.read()) return 128 + *signal;
    return succeeded_ && session_.has_printed_all() ? 0 : 1;
  }

 private:
  Status run_command() {
    auto specs = session_.select();
    if (!specs) return specs.error();

    fetcher_.emplace(session_);
    for (const ModelSpec& spec : *specs)
      session_.cache.adopt_existing(spec.repo, Cache::Writing::forbidden);
    if (session_.options.check && session_.options.lock_format != LockFormat::lock)
      return Error{ErrorKind::usage, "--check prints what has moved, not a bill of materials",
                   "leave out --check or --format"};
    if (session_.options.check) return check(*specs);
    return print(std::move(*specs));
  }

  /// One result for each spec. The errors of those that cannot be resolved are logged.
  std::vector<std::optional<ResolvedSnapshot>> resolve(const std::vector<ModelSpec>& specs) {
    const Network network = session_.options.offline ? Network::forbidden : Network::required;
    std::vector<std::optional<ResolvedSnapshot>> resolved(specs.size());
    const auto keep = [&](std::size_t i, const Resolution& result) {
      if (!result.renamed.empty()) session_.log.warning(result.renamed);
      if (result.snapshot)
        resolved[i] = *result.snapshot;
      else
        fail(result.snapshot.error());
    };

    std::vector<ModelSpec> unknown;
    std::vector<std::size_t> indices;
    for (std::size_t i = 0; i < specs.size(); ++i) {
      if (const auto local = resolve_locally(specs[i], session_.cache, network)) {
        keep(i, *local);
        continue;
      }
      unknown.push_back(specs[i]);
      indices.push_back(i);
    }

    const auto results = resolve_remotely(unknown, session_.cache, *fetcher_, Network::required);
    for (std::size_t i = 0; i < unknown.size(); ++i) keep(indices[i], results[i]);
    return resolved;
  }

  Status print(std::vector<ModelSpec> specs) {
    const DependencyMode mode = session_.options.dependencies;
    std::vector<ResolvedSnapshot> snapshots;
    std::vector<ModelReport> models;
    for (int depth = 0; !specs.empty() && succeeded_ && depth <= kMaxDependencyDepth; ++depth) {
      const std::size_t before = snapshots.size();
      if (Status loaded = load_signers(session_, specs); !loaded) return loaded;
      add_snapshots(specs, snapshots);
      verify_signatures(std::span(snapshots).subspan(before));
      add_reports(std::span(snapshots).subspan(before), models);
      specs.clear();
      if (mode == DependencyMode::fetch)
        specs = unselected_dependencies(models, session_.known_manifest(), nullptr);
    }

    judge_dependencies(session_, models, mode, Selected::count);
    succeeded_ = succeeded_ && std::ranges::all_of(models, &ModelReport::success);
    if (succeeded_) session_.print_result(text_of(snapshots, models));
    return ok();
  }

  /// `models` has a report of each snapshot, in their order.
  std::string text_of(const std::vector<ResolvedSnapshot>& snapshots,
                      const std::vector<ModelReport>& models) const {
    if (session_.options.lock_format == LockFormat::lock)
      return lock_text(snapshots, session_.policy());

    std::vector<BomModel> listed;
    for (std::size_t i = 0; i < snapshots.size(); ++i)
      listed.push_back({&snapshots[i], models[i].dependencies});
    return cyclonedx_text(listed, program_number());
  }

  /// Resolves these models for the lockfile.
  void add_snapshots(const std::vector<ModelSpec>& specs,
                     std::vector<ResolvedSnapshot>& snapshots) {
    for (const ModelSpec& spec : specs) session_.log_variant_warning(spec);

    auto resolved = resolve(specs);
    hold_to_policies(resolved);
    for (auto& snapshot : resolved) {
      if (!snapshot) continue;

      // Only the listing tells whether a model that no manifest describes has the variant.
      if (snapshot->spec.filter.select_weights_automatically)
        session_.log_variant_warning(snapshot->spec);
      if (session_.options.offline && !snapshot->spec.fully_locked)
        session_.log.warning(snapshot->spec.key +
                             ": locked from the listing in the cache, because this run is offline; "
                             "the Hub was not asked");
      add_sha256_of_cached(*snapshot);
      snapshots.push_back(std::move(*snapshot));
    }
  }

  void verify_signatures(std::span<ResolvedSnapshot> snapshots) {
    std::vector<ResolvedSnapshot*> wanted;
    for (ResolvedSnapshot& snapshot : snapshots) {
      if (const auto missing = signer_missing(snapshot.spec)) fail(*missing);
      if (snapshot.spec.signer) wanted.push_back(&snapshot);
    }

    Fetcher* const fetcher = session_.options.offline ? nullptr : &*fetcher_;
    const auto found = get_signatures({wanted.begin(), wanted.end()}, session_.cache, fetcher);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const Status good = found[i] ? lock_signed(*wanted[i], *found[i]) : found[i].error();
      if (!good) fail(good.error());
    }
  }

  /// Fails the run if a model is not what its policy allows. What the record says counts only
  /// offline, as for the listing.
  void hold_to_policies(std::vector<std::optional<ResolvedSnapshot>>& resolved) {
    const bool offline = session_.options.offline;
    std::vector<ResolvedSnapshot*> snapshots;
    for (auto& snapshot : resolved) {
      if (!snapshot) continue;
      const auto record =
          offline ? session_.cache.record(snapshot->spec.repo, snapshot->commit) : std::nullopt;
      add_known_facts(*snapshot, record, session_.cache);
      snapshots.push_back(&*snapshot);
    }

    // A lockfile has the licenses that are known; a bill of materials without them is of little
    // use.
    const bool is_bom = session_.options.lock_format == LockFormat::cyclonedx;
    const auto results = settle_policies(snapshots, offline ? nullptr : &*fetcher_,
                                         is_bom ? Licenses::always : Licenses::if_needed);
    for (std::size_t i = 0; i < snapshots.size(); ++i) {
      if (results[i].status)
        session_.warn(scan_warnings(*snapshots[i]));
      else
        fail(results[i].status.error());
      warn_of_pickles(*snapshots[i]);
    }
  }

  /// A lock is made without the bytes, which alone tell what a policy about pickles says.
  void warn_of_pickles(const ResolvedSnapshot& snapshot) {
    if (snapshot.spec.policy.pickle_policy() < PicklePolicy::forbid_code) return;
    if (auto warning = pickle_warning(snapshot, [](const auto&) { return std::nullopt; }))
      session_.log.warning(*warning + "; a download will judge it by the policy, lock cannot");
  }

  /// What else these models need.
  void add_reports(std::span<const ResolvedSnapshot> snapshots, std::vector<ModelReport>& models) {
    std::vector<const ResolvedSnapshot*> read;
    for (const ResolvedSnapshot& snapshot : snapshots) read.push_back(&snapshot);

    // A bill of materials has to name them, whatever the cache holds.
    const bool must_know = session_.options.lock_format == LockFormat::cyclonedx;
    const DependencyMode mode = must_know ? DependencyMode::require : session_.options.dependencies;
    Fetcher* const fetcher = session_.options.offline ? nullptr : &*fetcher_;
    const auto found = read_dependencies(read, session_.cache, fetcher, mode);
    for (std::size_t i = 0; i < read.size(); ++i) {
      if (!found[i]) fail(found[i].error());
      models.push_back({.spec = read[i]->spec, .status = ModelStatus::planned});
      if (found[i]) models.back().dependencies = *found[i];
    }
  }

  /// The Hub has no sha256 of a plain git file. It is computed here, of the cached bytes that have
  /// the file's git id: a record could be forged.
  void add_sha256_of_cached(ResolvedSnapshot& snapshot) const {
    for (RemoteFile& file : snapshot.files) {
      if (file.sha256()) continue;
      const auto content = session_.cache.content(snapshot.spec.repo, snapshot.commit, file);
      const auto bytes = read_file(content.path, kMaxPlainFile);
      if (bytes && git_sha1_of(*bytes) == file.blob) file.locked_sha256 = sha256_of(*bytes);
    }
  }

  Status check(const std::vector<ModelSpec>& specs) {
    std::vector<Query> queries;
    std::vector<const ModelSpec*> queried;
    for (const ModelSpec& spec : specs) {
      const auto branch = Revision::parse(spec.ref);
      if (!branch) return branch.error();

      if (!spec.revision.commit()) {
        fail({ErrorKind::usage, spec.key + " is not pinned, so it cannot be compared",
              "model-prep lock prints a manifest that pins it"});
        continue;
      }
      if (session_.options.offline) {
        fail({ErrorKind::offline_missing, spec.key + ": cannot look up " + spec.ref + " offline",
              "run without HF_HUB_OFFLINE"});
        continue;
      }

      queried.push_back(&spec);
      queries.push_back({{.object = spec.repo.text(), .repo = spec.repo.text()},
                         sources_at(fetcher_->endpoints,
                                    [&](const Hub& hub) { return hub.info(spec.repo, *branch); })});
    }

    std::vector<Result<RepoInfo>> found(queries.size(), Error{});
    fetcher_->query(queries, [&](std::size_t i, const Reply& reply) {
      found[i] = reply.error ? *reply.error : parse_info(reply.body, queried[i]->repo.text());
    });
    for (std::size_t i = 0; i < queried.size(); ++i) check_commit(*queried[i], found[i]);
    return ok();
  }

  void check_commit(const ModelSpec& spec, const Result<RepoInfo>& found) {
    if (!found) return fail(found.error());

    const CommitId& commit = found->commit;
    if (commit == spec.revision.commit())
      session_.log.info(fmt::format("{}: {} is still at {}", spec.key, spec.ref, commit.hex()));
    else
      print_changes(spec, commit);
  }

  void print_changes(const ModelSpec& spec, const CommitId& commit) {
    succeeded_ = false;
    session_.print_result(fmt::format("{}: {} has moved from {} to {}\n",
                                      sanitize_for_log(spec.key), sanitize_for_log(spec.ref),
                                      spec.revision.text(), commit.hex()));

    // The lock is that of the old commit.
    ModelSpec moved = spec;
    moved.revision = *Revision::parse(commit.hex());
    moved.fully_locked = false;
    moved.lock = {};

    const auto both = resolve({spec, moved});
    if (both[0] && both[1])
      for (const Change& change : changes_between(both[0]->files, both[1]->files))
        session_.print_result(fmt::format("  {:<7}  {}\n", to_string(change.kind),
                                          sanitize_for_log(change.path.text())));
  }

  /// Because of a model.
  void fail(const Error& error) {
    succeeded_ = false;
    if (!Fetcher::has_logged(error)) session_.log_error(error);
  }

  Session& session_;
  std::optional<Fetcher> fetcher_;
  bool succeeded_{true};
};

}  // namespace

int run_lock(Session& session) { return Lock(session).run(); }

}  // namespace model_prep
