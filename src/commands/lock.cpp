// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/lock.h"

#include <memory>
#include <optional>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/commands/hub_client.h"
#include "model_prep/commands/resolve.h"
#include "model_prep/core/commit_diff.h"
#include "model_prep/core/hub_json.h"

namespace model_prep {
namespace {

class Locking {
 public:
  explicit Locking(Session& session) : session_(session) {}

  int run() {
    if (Status done = work(); !done) session_.log_error(done.error());
    const auto signal = connection_ ? connection_->fetcher.signal() : std::nullopt;
    if (signal) return 128 + *signal;
    return good_ ? 0 : 1;
  }

 private:
  Status work() {
    auto specs = session_.select();
    if (!specs) return specs.error();
    connection_ = HubClient::make(session_);
    for (const ModelSpec& spec : *specs)
      session_.cache.adopt_existing(spec.repo, Cache::Writing::forbidden);
    good_ = true;
    return session_.options.check ? check(*specs) : print(*specs);
  }

  Network network() const {
    return session_.options.offline ? Network::forbidden : Network::allowed;
  }

  /// Tells those that do not resolve; they are nothing in the result.
  std::vector<std::optional<ResolvedSnapshot>> resolve(const std::vector<ModelSpec>& specs) {
    std::vector<std::optional<ResolvedSnapshot>> resolved(specs.size());
    std::vector<ModelSpec> asked;
    std::vector<std::size_t> places;
    const auto put = [&](std::size_t i, Result<ResolvedSnapshot> result) {
      if (result)
        resolved[i] = std::move(*result);
      else
        fail(result.error());
    };
    for (std::size_t i = 0; i < specs.size(); ++i) {
      if (auto local = resolve_locally(specs[i], session_.cache, network())) {
        put(i, std::move(local->snapshot));
        continue;
      }
      asked.push_back(specs[i]);
      places.push_back(i);
    }
    if (asked.empty()) return resolved;
    auto results =
        resolve_remotely(asked, session_.cache, connection_->endpoints, connection_->fetcher);
    for (std::size_t i = 0; i < asked.size(); ++i) put(places[i], std::move(results[i].snapshot));
    return resolved;
  }

  Status print(const std::vector<ModelSpec>& specs) {
    for (const ModelSpec& spec : specs) session_.log_variant_warning(spec);
    std::vector<ResolvedSnapshot> snapshots;
    for (auto& snapshot : resolve(specs)) {
      if (!snapshot) continue;
      if (snapshot->spec.filter.select_weights_automatically)
        session_.log_variant_warning(snapshot->spec);
      add_known_sha256(*snapshot);
      snapshots.push_back(std::move(*snapshot));
    }
    if (good_) session_.out << lock_text(snapshots) << std::flush;
    return ok();
  }

  void add_known_sha256(ResolvedSnapshot& snapshot) const {
    const auto record = session_.cache.record(snapshot.spec.repo, snapshot.commit);
    for (RemoteFile& file : snapshot.files) {
      if (!record || file.expected_sha256 || file.blob.kind() == DigestKind::sha256) continue;
      if (const auto seen = record->blobs.find(file.blob); seen != record->blobs.end())
        file.expected_sha256 = seen->second.sha256;
    }
  }

  Status check(const std::vector<ModelSpec>& specs) {
    std::vector<Query> queries;
    std::vector<const ModelSpec*> asked;
    for (const ModelSpec& spec : specs) {
      const auto branch = Revision::parse(spec.ref);
      if (!branch) return branch.error();
      if (!spec.revision.commit()) {
        fail({ErrorKind::usage, fmt::format("{} is not pinned, so it cannot be compared", spec.key),
              "model-prep lock prints a manifest in which it is"});
        continue;
      }
      if (session_.options.offline) {
        fail({ErrorKind::offline_missing,
              fmt::format("{}: where {} stands now is not known offline", spec.key, spec.ref),
              "run without HF_HUB_OFFLINE"});
        continue;
      }
      asked.push_back(&spec);
      queries.push_back({{.object = spec.repo.text(), .repo = spec.repo.text()},
                         sources_at(connection_->endpoints,
                                    [&](const Hub& hub) { return hub.info(spec.repo, *branch); })});
    }
    const std::vector<Reply> replies = connection_->fetcher.query(queries);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      const auto now = replies[i].error ? Result<CommitId>(*replies[i].error)
                                        : parse_info(replies[i].body, asked[i]->repo.text());
      if (!now)
        fail(now.error());
      else if (*now == asked[i]->revision.commit())
        session_.log.info(
            fmt::format("{}: {} is still {}", asked[i]->key, asked[i]->ref, now->hex()));
      else
        show_move(*asked[i], *now);
    }
    return ok();
  }

  void show_move(const ModelSpec& spec, const CommitId& now) {
    good_ = false;
    session_.out << fmt::format("{}: {} has moved from {} to {}\n", sanitize_for_log(spec.key),
                                sanitize_for_log(spec.ref), spec.revision.text(), now.hex());
    ModelSpec moved = spec;
    moved.revision = *Revision::parse(now.hex());
    moved.fully_locked = false;
    moved.lock = {};
    const auto both = resolve({spec, moved});
    if (both[0] && both[1])
      for (const Change& change : changes_between(both[0]->files, both[1]->files))
        session_.out << fmt::format("  {:<7}  {}\n", to_string(change.kind),
                                    sanitize_for_log(change.path.text()));
    session_.out << std::flush;
  }

  void fail(const Error& error) {
    good_ = false;
    session_.log_error(error);
  }

  Session& session_;
  std::unique_ptr<HubClient> connection_;
  bool good_{false};
};

}  // namespace

int run_lock(Session& session) { return Locking(session).run(); }

}  // namespace model_prep
