// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/policies.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "model_prep/commands/resolve_locally.h"
#include "model_prep/commands/small_files.h"
#include "model_prep/core/hub_json.h"
#include "model_prep/core/model_card.h"
#include "model_prep/core/policy_check.h"
#include "model_prep/io/documents.h"

namespace model_prep {
namespace {

/// The card among the files whose digests are known.
const RemoteFile* card_of(const ResolvedSnapshot& snapshot) {
  for (const auto* files : {&snapshot.files, &snapshot.listing}) {
    const auto found = std::ranges::find_if(
        *files, [](const RemoteFile& file) { return file.path.text() == kCardName; });
    if (found != files->end()) return found->size <= kMaxCard ? &*found : nullptr;
  }
  return nullptr;
}

/// A commit of more entries than that, or than fit in these pages, is not looked through.
constexpr int kMaxScanPages = 100;
constexpr std::size_t kMaxScannedFiles = 200'000;

/// The info of one model, on its way.
struct InfoWalk {
  std::size_t index;
  std::vector<Source> sources;  ///< that may still be asked; empty at the end
  bool is_answered{false};
};

/// The expanded tree of one model, on its way.
struct ScanWalk {
  std::size_t index;
  std::vector<Source> sources;  ///< of the next page; empty at the end
  ScanVerdict scan{.complete = true};
  std::set<std::string> seen{};  ///< files that had an entry
  int pages{0};
};

/// Requests the info of each snapshot whose policy needs it, then its card if that has no license.
class FactsRequest {
 public:
  FactsRequest(std::span<ResolvedSnapshot* const> snapshots, std::vector<PolicyResult>& results,
               Fetcher& fetcher, Licenses licenses)
      : snapshots_(snapshots), results_(results), fetcher_(fetcher), licenses_(licenses) {}

  void run() {
    request_infos();
    request_cards();
    request_trees();
  }

 private:
  MissingFacts missing_of(const ResolvedSnapshot& snapshot) const {
    MissingFacts missing = missing_facts(snapshot.spec.policy, snapshot.facts);
    missing.licenses |= licenses_ == Licenses::always && !snapshot.facts.licenses;
    return missing;
  }

  void request_infos() {
    std::vector<InfoWalk> walks;
    for (std::size_t i = 0; i < snapshots_.size(); ++i) {
      const ResolvedSnapshot& snapshot = *snapshots_[i];
      const MissingFacts missing = missing_of(snapshot);
      if (!missing.any()) continue;

      const auto revision = Revision::parse(snapshot.commit.hex());
      walks.push_back({i, sources_at(fetcher_.endpoints, [&](const Hub& hub) {
                         return missing.scan ? hub.scan(snapshot.spec.repo, snapshot.commit)
                                             : hub.info(snapshot.spec.repo, *revision);
                       })});
    }

    request_rounds<InfoWalk>(
        walks, [this](InfoWalk& walk, const Reply& reply) { use_reply(walk, reply); });
  }

  /// One request for each walk at a time, until none has a source left.
  template <class Walk>
  void request_rounds(std::vector<Walk>& walks,
                      const std::function<void(Walk&, const Reply&)>& use) {
    while (!walks.empty()) {
      std::vector<Query> queries;
      for (const Walk& walk : walks) {
        const std::string& repo = snapshots_[walk.index]->spec.repo.text();
        queries.push_back({{.object = repo, .repo = repo}, walk.sources});
      }
      fetcher_.query(queries, [&](std::size_t i, const Reply& reply) { use(walks[i], reply); });
      std::erase_if(walks, [](const Walk& walk) { return walk.sources.empty(); });
    }
  }

  void use_reply(InfoWalk& walk, const Reply& reply) {
    const auto sources = std::exchange(walk.sources, {});
    PolicyResult& result = results_[walk.index];
    const bool is_first = !std::exchange(walk.is_answered, true);

    ResolvedSnapshot& snapshot = *snapshots_[walk.index];
    const auto known_scan = std::exchange(snapshot.facts.scan, std::nullopt);
    const Status status = use_info(snapshot, reply);
    const bool has_scan = snapshot.facts.scan.has_value();
    if (has_scan)
      scan_endpoints_.try_emplace(walk.index, sources[reply.source].endpoint);
    else
      snapshot.facts.scan = known_scan;
    result.requested = true;

    // If a later endpoint fails, what an earlier one said is enough to go on with. If all fail,
    // what the user can do something about explains more than a mirror's garbage.
    if (is_first || status || (!result.status && !is_missing(status.error().kind)))
      result.status = status;

    // A mirror may be wrong, or know nothing of scans; the next endpoint may be the Hub.
    const bool is_unusable = !status && !reply.error;
    if (is_unusable || (result.status && missing_of(snapshot).scan && !has_scan))
      walk.sources.assign(sources.begin() + static_cast<std::ptrdiff_t>(reply.source) + 1,
                          sources.end());
  }

  static Status use_info(ResolvedSnapshot& snapshot, const Reply& reply) {
    if (reply.error) return *reply.error;
    const std::string& repo = snapshot.spec.repo.text();
    const auto info = parse_info(reply.body, repo);
    if (!info) return info.error();
    if (info->commit != snapshot.commit) return about_another_commit(repo);

    // A license that is known is that of this commit for ever; a scan may have gone on.
    if (!snapshot.facts.licenses) snapshot.facts.licenses = info->licenses;
    if (info->scan) snapshot.facts.scan = info->scan;
    return ok();
  }

  void request_cards() {
    std::vector<SmallFile> cards;
    std::vector<std::size_t> askers;
    for (std::size_t i = 0; i < snapshots_.size(); ++i) {
      const ResolvedSnapshot& snapshot = *snapshots_[i];
      if (!results_[i].status || !missing_of(snapshot).licenses) continue;
      const RemoteFile* card = card_of(snapshot);
      if (card == nullptr) continue;

      cards.push_back({snapshot.spec.repo, snapshot.commit, *card});
      askers.push_back(i);
    }

    request_small_files(fetcher_, cards, [&](std::size_t i, const Result<std::string_view>& text) {
      if (text)
        snapshots_[askers[i]]->facts.licenses = licenses_in_card(*text);
      else
        results_[askers[i]].status = text.error();
    });
  }

  /// For some repositories the Hub never says that its scans are done, although each file has its
  /// verdict: where that matters, the files are asked for, page by page.
  void request_trees() {
    std::vector<ScanWalk> walks;
    for (std::size_t i = 0; i < snapshots_.size(); ++i) {
      const ResolvedSnapshot& snapshot = *snapshots_[i];
      const bool is_unfinished = snapshot.facts.scan && !snapshot.facts.scan->complete;
      if (!results_[i].status || !results_[i].requested || !is_unfinished ||
          !missing_of(snapshot).scan)
        continue;
      auto sources = sources_at(fetcher_.endpoints, [&](const Hub& hub) {
        return hub.expanded_tree(snapshot.spec.repo, snapshot.commit);
      });
      // Those before it know nothing of scans.
      std::erase_if(sources,
                    [&](const Source& source) { return source.endpoint < scan_endpoints_[i]; });
      walks.push_back({i, std::move(sources)});
    }

    request_rounds<ScanWalk>(walks,
                             [this](ScanWalk& walk, const Reply& reply) { use_page(walk, reply); });
  }

  void use_page(ScanWalk& walk, const Reply& reply) const {
    const auto sources = std::exchange(walk.sources, {});
    ResolvedSnapshot& snapshot = *snapshots_[walk.index];
    Status& status = results_[walk.index].status;
    if (reply.error) {
      status = *reply.error;
      return;
    }

    status = add_scan_page(walk.scan, walk.seen, reply.body, snapshot.spec.repo.text());
    if (!status) return;
    const Source& source = sources[reply.source];
    const Hub& hub = fetcher_.endpoints[source.endpoint].hub;
    const auto next = hub.next_page_of(snapshot.spec.repo.text(), reply.head.link, source.url);
    if (!next) {
      status = next.error();
      return;
    }
    if (*next) {
      if (++walk.pages < kMaxScanPages && walk.seen.size() < kMaxScannedFiles)
        walk.sources = {{source.endpoint, **next}};
      return;
    }

    const bool is_whole = std::ranges::all_of(snapshot.files, [&](const RemoteFile& file) {
      return walk.seen.contains(file.path.text());
    });
    walk.scan.complete = walk.scan.complete && is_whole;
    walk.scan.findings.merge(snapshot.facts.scan->findings);
    snapshot.facts.scan = std::move(walk.scan);
  }

  std::span<ResolvedSnapshot* const> snapshots_;
  std::vector<PolicyResult>& results_;
  Fetcher& fetcher_;
  Licenses licenses_;
  std::map<std::size_t, std::size_t> scan_endpoints_;  // of a snapshot: who told of its scans
};

}  // namespace

void add_known_facts(ResolvedSnapshot& snapshot, const std::optional<SnapshotRecord>& record,
                     const Cache& cache) {
  HubFacts facts = snapshot.spec.locked_facts;
  complete(facts, snapshot.facts);
  if (record) complete(facts, record->facts);
  snapshot.facts = std::move(facts);

  const RemoteFile* card = snapshot.facts.licenses ? nullptr : card_of(snapshot);
  if (card == nullptr) return;
  const auto text =
      read_file(cache.content(snapshot.spec.repo, snapshot.commit, *card).path, kMaxCard);
  if (text && is_content_of(*card, *text)) snapshot.facts.licenses = licenses_in_card(*text);
}

std::vector<PolicyResult> settle_policies(std::span<ResolvedSnapshot* const> snapshots,
                                          Fetcher* fetcher, Licenses licenses) {
  std::vector<PolicyResult> results(snapshots.size());
  if (fetcher != nullptr) FactsRequest(snapshots, results, *fetcher, licenses).run();

  const HubAsked asked = fetcher != nullptr ? HubAsked::yes : HubAsked::no;
  for (std::size_t i = 0; i < snapshots.size(); ++i)
    if (results[i].status) results[i].status = check_policy(*snapshots[i], asked);
  return results;
}

void hold_to_policies(std::vector<ModelRun>& models, Session& session, Fetcher* fetcher) {
  std::vector<ModelRun*> known;
  std::vector<ResolvedSnapshot*> snapshots;
  for (ModelRun& model : models) {
    if (!model.snapshot || model.error) continue;
    known.push_back(&model);
    snapshots.push_back(&*model.snapshot);
  }

  const auto results = settle_policies(snapshots, fetcher);
  for (std::size_t i = 0; i < known.size(); ++i) {
    known[i]->facts_requested = results[i].requested;
    if (results[i].status)
      session.warn(scan_warnings(*snapshots[i]));
    else
      known[i]->error = results[i].status.error();
  }
}

void keep_facts(ModelRun& model, bool has_changed, Session& session) {
  ResolvedSnapshot& snapshot = *model.snapshot;
  // The card may have come with the files. Otherwise it was read when they were inspected.
  if (has_changed) return add_known_facts(snapshot, std::nullopt, session.cache);
  if (!model.facts_requested) return;

  const RepoId& repo = snapshot.spec.repo;
  if (!session.cache.record(repo, snapshot.commit)) return;
  const Status kept =
      update_record(session.cache.repository(repo), snapshot.commit,
                    [&](SnapshotRecord& record) { update(record.facts, snapshot.facts); });
  if (!kept) session.log.debug(kept.error().message);
}

}  // namespace model_prep
