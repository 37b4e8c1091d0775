// SPDX-License-Identifier: Apache-2.0
#include "model_prep/program/resolve.h"

#include <algorithm>
#include <iterator>
#include <set>

#include <fmt/format.h>

#include "model_prep/effects/hasher.h"
#include "model_prep/effects/url.h"

namespace model_prep {
namespace {

// Nobody's repository is larger than this, but the listing of a server that never ends is.
constexpr std::size_t kMostPages = 1'000;
constexpr std::size_t kMostFiles = 200'000;
constexpr std::size_t kMostText = 64 * 1024 * 1024;

Digest digest_of(std::string_view bytes, DigestKind kind) {
  return kind == DigestKind::git_sha1 ? git_sha1_of(bytes) : sha256_of(bytes);
}

/// Of a listing that `check_listing` has seen: those of the cache have been checked by their readers.
Result<ResolvedSnapshot> snapshot_of(const ModelSpec& wanted, const CommitId& commit, Listing listing,
                                     const Indexes& indexes) {
  const ModelSpec spec = settled(wanted, listing);
  auto files = select_files(listing, spec, indexes);
  if (!files) return files.error();
  if (Status locked = apply_lock(*files, spec); !locked) return locked.error();
  const bool complete = listing.masked.empty();
  return ResolvedSnapshot{spec, commit, std::move(*files),
                          complete ? std::move(listing.files) : std::vector<RemoteFile>{}};
}

/// The files of a full lock. Where the lock is the whole commit, it is the listing too: the tree's id of an LFS file is
/// that of its pointer, whose text is known.
Result<ResolvedSnapshot> locked_snapshot(const ModelSpec& spec, const CommitId& commit,
                                         std::vector<RemoteFile> listing) {
  if (spec.lock.empty()) return nothing_selected(spec);
  ResolvedSnapshot snapshot{spec, commit, locked_files(spec), std::move(listing)};
  if (Status whole = check_openvino(snapshot.files, spec); !whole) return whole.error();
  if (!spec.whole_commit || !snapshot.listing.empty()) return snapshot;
  snapshot.listing = snapshot.files;
  for (RemoteFile& file : snapshot.listing)
    if (!file.oid) file.oid = git_sha1_of(lfs_pointer_text(file.blob, file.size));
  return snapshot;
}

/// Those indexes that are in the cache, whole.
Indexes cached_indexes(const ModelSpec& spec, const CommitId& commit, const Cache& cache,
                       const std::vector<RemoteFile>& wanted) {
  Indexes indexes;
  for (const RemoteFile& file : wanted) {
    const auto text = read_file(cache.content(spec.repo, commit, file).path, kLargestIndex);
    if (!text || digest_of(*text, file.blob.kind()) != file.blob) continue;
    if (auto shards = parse_index(*text, file.path, spec.repo.text())) indexes.emplace(file.path, std::move(*shards));
  }
  return indexes;
}

std::optional<Local> with_commit(const ModelSpec& spec, const CommitId& commit, const Cache& cache, Network network) {
  auto record = cache.record(spec.repo, commit);
  Listing listing;
  if (record) listing.files = record->listing;
  if (spec.fully_locked) return Local{locked_snapshot(spec, commit, std::move(listing.files)), std::move(record)};
  if (listing.files.empty())
    if (auto tree = cache.tree(spec.repo, commit)) listing.files = std::move(*tree);
  if (listing.files.empty()) return std::nullopt;
  const auto wanted = deciding_indexes(listing, settled(spec, listing));
  const Indexes indexes = cached_indexes(spec, commit, cache, wanted);
  // Who may not ask goes by the names; an index that is missing or damaged is found as such.
  if (indexes.size() < wanted.size() && network == Network::allowed) return std::nullopt;
  return Local{snapshot_of(spec, commit, std::move(listing), indexes), std::move(record)};
}

Error offline_missing(const ModelSpec& spec, std::string_view what) {
  return {ErrorKind::offline_missing,
          fmt::format("{}: {} is not in the cache, and this run is offline", spec.repo.text(), what),
          "run once without --offline and HF_HUB_OFFLINE"};
}

/// One model on its way through the waves of queries.
struct Progress {
  const ModelSpec* spec;
  std::optional<CommitId> commit;
  std::optional<Url> next;
  bool by_blobs{false};           // the mirror has no tree API
  std::set<std::string> pages{};  // those that were read
  std::size_t text{0};            // bytes of them
  Listing listing;
  std::vector<RemoteFile> unread{};  // indexes that decide which files are wanted
  Indexes indexes{};
  std::optional<Result<ResolvedSnapshot>> result;
};

class Resolver {
 public:
  Resolver(std::span<const ModelSpec> specs, const Cache& cache, const Hub& hub, Fetcher& fetcher)
      : cache_(cache), hub_(hub), fetcher_(fetcher) {
    for (const ModelSpec& spec : specs)
      models_.push_back({.spec = &spec, .commit = spec.revision.commit(), .next = {}, .listing = {}, .result = {}});
  }

  std::vector<Result<ResolvedSnapshot>> run() {
    find_commits();
    for (Progress& model : models_) {
      if (model.result) continue;
      if (auto local = with_commit(*model.spec, *model.commit, cache_, Network::allowed))
        model.result = std::move(local->snapshot);
      else
        model.next = hub_.tree(model.spec->repo, *model.commit);
    }
    while (read_pages()) {
    }
    read_indexes(OnWrongBytes::ask_again);
    read_indexes(OnWrongBytes::fail);
    for (Progress& model : models_)
      if (!model.result)
        model.result = snapshot_of(*model.spec, *model.commit, std::move(model.listing), model.indexes);
    std::vector<Result<ResolvedSnapshot>> results;
    for (Progress& model : models_) results.push_back(std::move(*model.result));
    return results;
  }

 private:
  Query question(const Progress& model, const Url& url) const {
    return {{.object = model.spec->repo.text(), .repo = model.spec->repo.text()}, url};
  }

  /// Asks for all models that `wants` names a URL for; `use` gets each reply.
  template <class Wants, class Use>
  bool ask(Wants wants, Use use) {
    std::vector<Query> queries;
    std::vector<Progress*> asked;
    for (Progress& model : models_) {
      const std::optional<Url> url = wants(model);
      if (!url) continue;
      queries.push_back(question(model, *url));
      asked.push_back(&model);
    }
    if (queries.empty()) return false;
    std::vector<Reply> replies = fetcher_.query(queries);
    for (std::size_t i = 0; i < asked.size(); ++i) use(*asked[i], replies[i]);
    return true;
  }

  void find_commits() {
    ask(
        [&](const Progress& model) {
          return model.commit ? std::nullopt : std::optional(hub_.info(model.spec->repo, model.spec->revision));
        },
        [](Progress& model, const Reply& reply) {
          const auto commit =
              reply.error ? Result<CommitId>(*reply.error) : parse_info(reply.body, model.spec->repo.text());
          if (commit)
            model.commit = *commit;
          else
            model.result = commit.error();
        });
  }

  bool read_pages() {
    return ask([](const Progress& model) { return model.next; },
               [&](Progress& model, const Reply& reply) { use_page(model, reply); });
  }

  void use_page(Progress& model, const Reply& reply) {
    const std::string& object = model.spec->repo.text();
    const std::optional<Url> page = std::exchange(model.next, std::nullopt);
    const bool no_tree_api = reply.error && !model.by_blobs && model.pages.empty() && reply.head.error_code.empty() &&
                             (reply.head.status == 404 || reply.head.status == 405);
    if (no_tree_api) {
      model.by_blobs = true;
      model.next = hub_.blobs(model.spec->repo, *model.commit);
      return;
    }
    auto listing = reply.error      ? Result<Listing>(*reply.error)
                   : model.by_blobs ? parse_blobs(reply.body, object)
                                    : parse_tree_page(reply.body, object);
    if (!listing) {
      model.result = listing.error();
      return;
    }
    std::move(listing->files.begin(), listing->files.end(), std::back_inserter(model.listing.files));
    std::move(listing->masked.begin(), listing->masked.end(), std::back_inserter(model.listing.masked));
    model.pages.insert(page->text);
    model.text += reply.body.size();
    if (!model.by_blobs) model.next = hub_.next_page(reply.head.link, *page);
    // Half a listing would look like the whole one, and be recorded as that.
    const bool cut = !model.by_blobs && !model.next && next_link(reply.head.link);
    if (const char* fault = cut ? "the listing goes on at no usable address" : endless(model)) {
      model.next.reset();
      model.result = Error{ErrorKind::protocol, fmt::format("{}: {}", object, fault),
                           "a mirror or a proxy misdirects: check HF_ENDPOINT"};
    } else if (model.next) {
      return;
    } else if (Status possible = check_listing(model.listing, model.spec->repo.text()); !possible) {
      model.result = possible.error();
    } else {
      model.unread = deciding_indexes(model.listing, settled(*model.spec, model.listing));
    }
  }

  enum class OnWrongBytes : std::uint8_t { ask_again, fail };

  void read_indexes(OnWrongBytes then) {
    std::vector<Query> queries;
    std::vector<std::pair<Progress*, RemoteFile>> asked;
    for (Progress& model : models_) {
      if (model.result) continue;
      const RepoId& repo = model.spec->repo;
      for (RemoteFile& file : std::exchange(model.unread, {})) {
        queries.push_back({{.object = fmt::format("{} {}", repo.text(), file.path.text()), .repo = repo.text()},
                           hub_.resolve(repo, *model.commit, file.path)});
        asked.emplace_back(&model, std::move(file));
      }
    }
    if (queries.empty()) return;
    const std::vector<Reply> replies = fetcher_.query(queries);
    for (std::size_t i = 0; i < asked.size(); ++i) use_index(*asked[i].first, asked[i].second, replies[i], then);
  }

  static void use_index(Progress& model, const RemoteFile& file, const Reply& reply, OnWrongBytes then) {
    if (model.result) return;
    if (reply.error) {
      model.result = *reply.error;
      return;
    }
    const Digest found = digest_of(reply.body, file.blob.kind());
    if (found != file.blob && then == OnWrongBytes::ask_again) return model.unread.push_back(file);
    const std::string object = model.spec->repo.text();
    auto shards = found == file.blob
                      ? parse_index(reply.body, file.path, object)
                      : Result<std::set<RepoPath>>(Error{ErrorKind::digest_mismatch,
                                                         fmt::format("{} {}: its bytes hash to {}, expected {}", object,
                                                                     file.path.text(), found.hex(), file.blob.hex()),
                                                         {}});
    if (shards)
      model.indexes.emplace(file.path, std::move(*shards));
    else
      model.result = shards.error();
  }

  /// Why this listing is not read any further, or nullptr.
  static const char* endless(const Progress& model) {
    if (model.listing.files.size() + model.listing.masked.size() > kMostFiles)
      return "the listing has more than 200,000 files";
    if (model.text > kMostText) return "the listing is larger than 64 MiB";
    if (!model.next) return nullptr;
    if (model.pages.contains(model.next->text)) return "a page of the listing leads back to one that was read";
    return model.pages.size() >= kMostPages ? "the listing has more than 1,000 pages" : nullptr;
  }

  const Cache& cache_;
  const Hub& hub_;
  Fetcher& fetcher_;
  std::vector<Progress> models_;
};

}  // namespace

std::optional<Local> resolve_locally(const ModelSpec& spec, const Cache& cache, Network network) {
  const bool offline = network == Network::forbidden;
  auto commit = spec.revision.commit();
  if (!commit && offline) commit = cache.ref(spec.repo, spec.revision.text());
  if (commit) {
    auto local = with_commit(spec, *commit, cache, network);
    if (local || !offline) return local;
    return Local{offline_missing(spec, fmt::format("the list of files at {}", commit->hex().substr(0, 12)))};
  }
  if (!offline) return std::nullopt;
  return Local{offline_missing(spec, fmt::format("revision {}", spec.revision.text()))};
}

std::vector<Result<ResolvedSnapshot>> resolve_remotely(std::span<const ModelSpec> specs, const Cache& cache,
                                                       const Hub& hub, Fetcher& fetcher) {
  return Resolver(specs, cache, hub, fetcher).run();
}

}  // namespace model_prep
