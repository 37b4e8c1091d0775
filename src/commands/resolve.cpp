// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/resolve.h"

#include <algorithm>
#include <iterator>
#include <set>

#include <fmt/format.h>

#include "model_prep/io/hasher.h"
#include "model_prep/io/url.h"

namespace model_prep {
namespace {

// Nobody's repository is larger than this, but the listing of a server that never ends is.
constexpr std::size_t kMostPages = 1'000;
constexpr std::size_t kMostFiles = 200'000;
constexpr std::size_t kMostText = 64 * 1024 * 1024;
constexpr std::size_t kIndexesAtOnce = 4;  // of 16 MiB at most

Digest digest_of(std::string_view bytes, DigestKind kind) {
  return kind == DigestKind::git_sha1 ? git_sha1_of(bytes) : sha256_of(bytes);
}

/// Of a listing that `check_listing` has seen: those of the cache have been checked by their
/// readers.
Result<ResolvedSnapshot> snapshot_of(const ModelSpec& wanted, const CommitId& commit,
                                     Listing listing, const ShardIndexes& indexes) {
  const ModelSpec spec = with_available_variant(wanted, listing);
  auto files = select_files(listing, spec, indexes);
  if (!files) return files.error();
  if (Status locked = apply_lock(*files, spec); !locked) return locked.error();
  const bool complete = listing.masked.empty();
  return ResolvedSnapshot{spec, commit, std::move(*files),
                          complete ? std::move(listing.files) : std::vector<RemoteFile>{}};
}

/// The files of a full lock. Where the lock is the whole commit, it is the listing too: the tree's
/// id of an LFS file is that of its pointer, whose text is known.
Result<ResolvedSnapshot> locked_snapshot(const ModelSpec& spec, const CommitId& commit,
                                         std::vector<RemoteFile> listing) {
  if (spec.lock.empty()) return nothing_selected_error(spec);
  ResolvedSnapshot snapshot{spec, commit, locked_files(spec), std::move(listing)};
  if (Status whole = check_openvino(snapshot.files, spec); !whole) return whole.error();
  if (!spec.whole_commit || !snapshot.listing.empty()) return snapshot;
  snapshot.listing = snapshot.files;
  for (RemoteFile& file : snapshot.listing)
    if (!file.oid) file.oid = git_sha1_of(lfs_pointer_text(file.blob, file.size));
  return snapshot;
}

/// Those indexes that are in the cache, whole.
ShardIndexes cached_indexes(const ModelSpec& spec, const CommitId& commit, const Cache& cache,
                            const std::vector<RemoteFile>& wanted) {
  ShardIndexes indexes;
  for (const RemoteFile& file : wanted) {
    const auto text = read_file(cache.content(spec.repo, commit, file).path, kMaxIndexSize);
    if (!text || digest_of(*text, file.blob.kind()) != file.blob) continue;
    if (auto shards = parse_shard_index(*text, file.path, spec.repo.text()))
      indexes.emplace(file.path, std::move(*shards));
  }
  return indexes;
}

std::optional<LocalResolution> with_commit(const ModelSpec& spec, const CommitId& commit,
                                           const Cache& cache, Network network) {
  auto record = cache.record(spec.repo, commit);
  Listing listing;
  if (record) listing.files = record->listing;
  if (spec.fully_locked)
    return LocalResolution{locked_snapshot(spec, commit, std::move(listing.files)),
                           std::move(record)};
  if (listing.files.empty())
    if (auto tree = cache.tree(spec.repo, commit)) listing.files = std::move(*tree);
  if (listing.files.empty()) return std::nullopt;
  const auto wanted = required_indexes(listing, with_available_variant(spec, listing));
  const ShardIndexes indexes = cached_indexes(spec, commit, cache, wanted);
  // Who may not ask goes by the names; an index that is missing or damaged is found as such.
  if (indexes.size() < wanted.size() && network == Network::allowed) return std::nullopt;
  return LocalResolution{snapshot_of(spec, commit, std::move(listing), indexes), std::move(record)};
}

Error offline_missing(const ModelSpec& spec, std::string_view what) {
  return {
      ErrorKind::offline_missing,
      fmt::format("{}: {} is not in the cache, and this run is offline", spec.repo.text(), what),
      "run once without --offline and HF_HUB_OFFLINE"};
}

/// An index that is to be read, and the endpoints that gave wrong bytes for it.
struct PendingIndex {
  RemoteFile file;
  std::set<std::size_t> wrong{};
  std::size_t tries{0};
};

/// One model on its way through the waves of queries.
struct ModelResolution {
  const ModelSpec* spec;
  std::optional<CommitId> commit;
  std::string by{};
  std::vector<Source> asked{};    // in this wave
  std::set<std::string> pages{};  // those that were read
  std::size_t text{0};            // bytes of them
  Listing listing;
  std::size_t listed_by{0};            // the endpoint
  std::vector<PendingIndex> unread{};  // indexes that decide which files are wanted
  ShardIndexes indexes{};
  std::set<std::size_t> excluded_endpoints{};  // endpoints whose answers are of no use
  std::optional<Error> first_fault{};          // of those
  std::optional<Result<ResolvedSnapshot>> result;

  void begin_listing() {
    pages.clear();
    text = 0;
    listing = {};
    unread.clear();
    indexes.clear();
  }
};

class Resolver {
 public:
  Resolver(std::span<const ModelSpec> specs, const Cache& cache,
           const std::vector<HubEndpoint>& endpoints, Fetcher& fetcher)
      : cache_(cache), endpoints_(endpoints), fetcher_(fetcher) {
    for (const ModelSpec& spec : specs)
      models_.push_back(
          {.spec = &spec, .commit = spec.revision.commit(), .listing = {}, .result = {}});
  }

  std::vector<RemoteResolution> run() {
    for (ModelResolution& model : models_)
      if (!model.commit) ask_commit(model);
    while (ask([&](ModelResolution& model, const Reply& reply) { use_commit(model, reply); })) {
    }
    for (ModelResolution& model : models_) {
      if (model.result) continue;
      if (auto local = with_commit(*model.spec, *model.commit, cache_, Network::allowed))
        model.result = std::move(local->snapshot);
      else
        ask_page(model, std::nullopt);
    }
    do {
      while (ask([&](ModelResolution& model, const Reply& reply) { use_page(model, reply); })) {
      }
      while (read_indexes()) {
      }
    } while (!select());
    std::vector<RemoteResolution> results;
    for (ModelResolution& model : models_)
      results.push_back({std::move(*model.result), std::move(model.by)});
    return results;
  }

 private:
  /// Asks for all models that want something; `use` gets each reply.
  template <class Use>
  bool ask(Use use) {
    std::vector<Query> queries;
    std::vector<ModelResolution*> asked;
    for (ModelResolution& model : models_) {
      if (model.asked.empty()) continue;
      const std::string& repo = model.spec->repo.text();
      queries.push_back({{.object = repo, .repo = repo}, model.asked});
      asked.push_back(&model);
    }
    if (queries.empty()) return false;
    std::vector<Reply> replies = fetcher_.query(queries);
    for (std::size_t i = 0; i < asked.size(); ++i) use(*asked[i], replies[i]);
    return true;
  }

  void ask_commit(ModelResolution& model) const {
    for (std::size_t i = 0; i < endpoints_.size(); ++i)
      if (!model.excluded_endpoints.contains(i))
        model.asked.push_back({i, endpoints_[i].hub.info(model.spec->repo, model.spec->revision)});
  }

  void use_commit(ModelResolution& model, const Reply& reply) {
    const Source source = std::exchange(model.asked, {})[reply.source];
    if (reply.error) return fail(model, *reply.error);
    const auto commit = parse_info(reply.body, model.spec->repo.text());
    if (commit) {
      model.commit = *commit;
      model.by = endpoints_[source.endpoint].name();
    } else if (exclude_endpoint(model, source.endpoint, commit.error())) {
      ask_commit(model);
    }
  }

  /// The next page of a listing, or the first one of any other endpoint; those have two ways to
  /// ask.
  void ask_page(ModelResolution& model, const std::optional<Source>& next) const {
    if (next) model.asked.push_back(*next);
    for (std::size_t i = 0; i < endpoints_.size(); ++i) {
      if (model.excluded_endpoints.contains(i) || (next && next->endpoint == i)) continue;
      model.asked.push_back({i, endpoints_[i].hub.tree(model.spec->repo, *model.commit)});
      model.asked.push_back({i, endpoints_[i].hub.blobs(model.spec->repo, *model.commit), true});
    }
  }

  void use_page(ModelResolution& model, const Reply& reply) {
    const std::vector<Source> asked = std::exchange(model.asked, {});
    const Source& source = asked[reply.source];
    if (reply.error) return fail(model, *reply.error);
    if (source.endpoint != asked.front().endpoint && !model.pages.empty())
      model.excluded_endpoints.insert(
          asked.front().endpoint);  // it broke off; else two such would take turns for ever
    if (reply.source > 0) model.begin_listing();  // of another endpoint
    if (Status good = read_page(model, reply, source); !good)
      ask_others(model, source.endpoint, good.error());
  }

  Status read_page(ModelResolution& model, const Reply& reply, const Source& source) {
    const std::string& object = model.spec->repo.text();
    auto listing =
        source.fallback ? parse_blobs(reply.body, object) : parse_tree_page(reply.body, object);
    if (!listing) return listing.error();
    std::move(listing->files.begin(), listing->files.end(),
              std::back_inserter(model.listing.files));
    std::move(listing->masked.begin(), listing->masked.end(),
              std::back_inserter(model.listing.masked));
    model.pages.insert(source.url.text);
    model.text += reply.body.size();
    const Hub& hub = endpoints_[source.endpoint].hub;
    const auto next = source.fallback ? std::nullopt : hub.next_page(reply.head.link, source.url);
    // Half a listing would look like the whole one, and be recorded as that.
    const bool cut = !source.fallback && !next && next_link(reply.head.link);
    if (const char* fault = cut ? "the listing goes on at no usable address" : endless(model, next))
      return Error{ErrorKind::protocol, fmt::format("{}: {}", object, fault),
                   "a mirror or a proxy misdirects: check HF_ENDPOINT"};
    if (next) {
      ask_page(model, Source{source.endpoint, *next});
      return ok();
    }
    if (Status possible = check_listing(model.listing, object); !possible) return possible;
    std::int64_t sum = 0;
    for (RemoteFile& file :
         required_indexes(model.listing, with_available_variant(*model.spec, model.listing))) {
      sum += file.size;
      model.unread.push_back({std::move(file)});
    }
    if (sum > static_cast<std::int64_t>(kMostText))
      return Error{ErrorKind::protocol,
                   fmt::format("{}: its indexes of shards are larger than 64 MiB", object),
                   "choose files with --include, or take --variant all"};
    model.listed_by = source.endpoint;
    return ok();
  }

  /// A few at a time: they are read into memory. Wrong bytes are asked for once more, and at each
  /// endpoint.
  bool read_indexes() {
    std::vector<Query> queries;
    std::vector<std::pair<ModelResolution*, PendingIndex>> asked;
    for (ModelResolution& model : models_) {
      if (model.result) continue;
      const RepoId& repo = model.spec->repo;
      while (!model.unread.empty() && queries.size() < kIndexesAtOnce) {
        PendingIndex index = std::move(model.unread.back());
        model.unread.pop_back();
        auto sources = sources_at(endpoints_, [&](const Hub& hub) {
          return hub.resolve(repo, *model.commit, index.file.path);
        });
        if (index.wrong.size() < sources.size())
          std::erase_if(
              sources, [&](const Source& source) { return index.wrong.contains(source.endpoint); });
        queries.push_back({{.object = fmt::format("{} {}", repo.text(), index.file.path.text()),
                            .repo = repo.text()},
                           std::move(sources)});
        asked.emplace_back(&model, std::move(index));
      }
    }
    if (queries.empty()) return false;
    const std::vector<Reply> replies = fetcher_.query(queries);
    for (std::size_t i = 0; i < asked.size(); ++i)
      use_index(*asked[i].first, std::move(asked[i].second), queries[i].sources, replies[i]);
    return true;
  }

  void use_index(ModelResolution& model, PendingIndex index, const std::vector<Source>& sources,
                 const Reply& reply) const {
    if (model.result) return;
    if (reply.error) return fail(model, *reply.error);
    const RemoteFile& file = index.file;
    const Digest found = digest_of(reply.body, file.blob.kind());
    if (found != file.blob) {
      index.wrong.insert(sources[reply.source].endpoint);
      if (++index.tries < std::max<std::size_t>(2, endpoints_.size()))
        return model.unread.push_back(std::move(index));
      return fail(model,
                  {ErrorKind::digest_mismatch,
                   fmt::format("{} {}: its bytes hash to {}, expected {}", model.spec->repo.text(),
                               file.path.text(), found.hex(), file.blob.hex()),
                   {}});
    }
    auto shards = parse_shard_index(reply.body, file.path, model.spec->repo.text());
    if (shards)
      model.indexes.emplace(file.path, std::move(*shards));
    else
      model.result = shards.error();
  }

  /// What the models want of their listings. Whether no endpoint is left to ask for a better one.
  bool select() {
    bool done = true;
    for (ModelResolution& model : models_) {
      if (model.result) continue;
      auto snapshot =
          snapshot_of(*model.spec, *model.commit, std::move(model.listing), model.indexes);
      if (!snapshot) {
        ask_others(model, model.listed_by, snapshot.error());
        done = done && model.result;
        continue;
      }
      if (model.by.empty()) model.by = endpoints_[model.listed_by].name();
      model.result = std::move(snapshot);
    }
    return done;
  }

  /// Why this listing is not read any further, or nullptr.
  static const char* endless(const ModelResolution& model, const std::optional<Url>& next) {
    if (model.listing.files.size() + model.listing.masked.size() > kMostFiles)
      return "the listing has more than 200,000 files";
    if (model.text > kMostText) return "the listing is larger than 64 MiB";
    if (!next) return nullptr;
    if (model.pages.contains(next->text))
      return "a page of the listing leads back to one that was read";
    return model.pages.size() >= kMostPages ? "the listing has more than 1,000 pages" : nullptr;
  }

  /// This endpoint's answers are of no use for the model. Whether there are others to ask.
  bool exclude_endpoint(ModelResolution& model, std::size_t endpoint, const Error& error) const {
    model.excluded_endpoints.insert(endpoint);
    if (!model.first_fault) {
      model.first_fault = error;
      if (endpoints_.size() > 1)
        model.first_fault->message += fmt::format(" (from {})", endpoints_[endpoint].name());
    }
    if (model.excluded_endpoints.size() < endpoints_.size()) return true;
    model.result = *model.first_fault;
    return false;
  }

  /// For the listing.
  void ask_others(ModelResolution& model, std::size_t but, const Error& error) const {
    if (!exclude_endpoint(model, but, error)) return;
    model.begin_listing();
    ask_page(model, std::nullopt);
  }

  /// No endpoint has an answer. One that had one of no use is the better reason, but for a fault
  /// that may pass.
  static void fail(ModelResolution& model, const Error& error) {
    const bool is_answer = disposition(error.kind) == Disposition::fail_item;
    model.result = is_answer ? model.first_fault.value_or(error) : error;
  }

  const Cache& cache_;
  const std::vector<HubEndpoint>& endpoints_;
  Fetcher& fetcher_;
  std::vector<ModelResolution> models_;
};

}  // namespace

std::optional<LocalResolution> resolve_locally(const ModelSpec& spec, const Cache& cache,
                                               Network network) {
  const bool offline = network == Network::forbidden;
  auto commit = spec.revision.commit();
  if (!commit && offline) commit = cache.ref(spec.repo, spec.revision.text());
  if (commit) {
    auto local = with_commit(spec, *commit, cache, network);
    if (local || !offline) return local;
    return LocalResolution{
        offline_missing(spec, fmt::format("the list of files at {}", commit->hex().substr(0, 12)))};
  }
  if (!offline) return std::nullopt;
  return LocalResolution{offline_missing(spec, fmt::format("revision {}", spec.revision.text()))};
}

std::vector<RemoteResolution> resolve_remotely(std::span<const ModelSpec> specs, const Cache& cache,
                                               const std::vector<HubEndpoint>& endpoints,
                                               Fetcher& fetcher) {
  return Resolver(specs, cache, endpoints, fetcher).run();
}

}  // namespace model_prep
