// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/resolve.h"

#include <algorithm>
#include <set>

#include "model_prep/commands/resolve_locally.h"
#include "model_prep/commands/small_files.h"
#include "model_prep/core/hub_json.h"
#include "model_prep/core/listing_reader.h"
#include "model_prep/io/url.h"

namespace model_prep {
namespace {

constexpr Bytes kMaxDecidingBytes = 64 * 1024 * 1024;

/// One model on its way: its commit, then its listing page by page, then the files that decide.
struct ModelResolution {
  const ModelSpec* spec;
  std::optional<CommitId> commit;

  /// The name of the endpoint that gave the commit or, for a pinned commit, the listing.
  std::string endpoint{};

  /// The next request may go to any of these; empty if nothing is to be requested.
  std::vector<Source> sources{};

  /// See `Resolution::renamed`.
  std::string renamed{};

  /// From the response that gave the commit.
  HubFacts hub_facts{};

  ListingReader reader{spec->repo.text()};
  std::size_t listing_endpoint{0};

  /// Those that have to be read before the selection is known (core/deciding_files.h).
  std::vector<RemoteFile> pending_files{};
  DecidingFacts facts{};

  /// Endpoints that gave an unusable answer for this model, and what was wrong with the first.
  std::set<std::size_t> excluded_endpoints{};
  std::optional<Error> first_fault{};

  std::optional<Result<ResolvedSnapshot>> result{};

  const std::string& object() const { return spec->repo.text(); }

  void restart_listing() {
    reader.restart();
    pending_files.clear();
    facts = {};
  }
};

class Resolver {
 public:
  Resolver(std::span<const ModelSpec> specs, const Cache& cache, Fetcher& fetcher, Network network)
      : cache_(cache), endpoints_(fetcher.endpoints), fetcher_(fetcher), network_(network) {
    for (const ModelSpec& spec : specs)
      models_.push_back({.spec = &spec, .commit = spec.revision.commit()});
  }

  /// In rounds: each sends one request for every model that needs one.
  std::vector<Resolution> run() {
    for (ModelResolution& model : models_)
      if (!model.commit) request_commit(model);
    while (send(&Resolver::use_commit)) continue;

    // The commit may turn out to be one whose files are known.
    for (ModelResolution& model : models_) {
      if (model.result) continue;
      if (auto local = resolve_commit_locally(*model.spec, *model.commit, cache_, network_))
        model.result = std::move(local->snapshot);
      else
        request_page(model, std::nullopt);
    }

    // A listing from which nothing can be selected is requested from the next endpoint.
    do {
      while (send(&Resolver::use_page)) continue;
      read_deciding();
    } while (!select_snapshots());

    std::vector<Resolution> results;
    for (ModelResolution& model : models_) {
      if (*model.result) (*model.result)->facts = std::move(model.hub_facts);
      results.push_back({std::move(*model.result), std::nullopt, std::move(model.endpoint),
                         std::move(model.renamed)});
    }
    return results;
  }

 private:
  /// Sends the requests of all models and calls `use` with each reply. Returns false if
  /// there were none.
  bool send(void (Resolver::*use)(ModelResolution&, const Reply&) const) {
    std::vector<Query> queries;
    std::vector<ModelResolution*> senders;
    for (ModelResolution& model : models_) {
      if (model.sources.empty()) continue;
      queries.push_back({{.object = model.object(), .repo = model.object()}, model.sources});
      senders.push_back(&model);
    }
    if (queries.empty()) return false;

    fetcher_.query(queries,
                   [&](std::size_t i, const Reply& reply) { (this->*use)(*senders[i], reply); });
    return true;
  }

  void request_commit(ModelResolution& model) const {
    for (std::size_t i = 0; i < endpoints_.size(); ++i)
      if (!model.excluded_endpoints.contains(i))
        model.sources.push_back(
            {i, endpoints_[i].hub.info(model.spec->repo, model.spec->revision)});
  }

  void use_commit(ModelResolution& model, const Reply& reply) const {
    const Source source = std::exchange(model.sources, {})[reply.source];
    if (reply.error) return fail(model, *reply.error);

    const auto info = parse_info(reply.body, model.object());
    const Status right = info ? check_name(model, reply, info->id) : info.error();
    if (right) {
      model.commit = info->commit;
      model.reader.expect(info->files);
      model.hub_facts = {.licenses = info->licenses, .scan = info->scan};
      model.endpoint = endpoints_[source.endpoint].name();
    } else if (exclude_endpoint(model, source.endpoint, right.error())) {
      request_commit(model);
    }
  }

  static Status check_name(ModelResolution& model, const Reply& reply, std::string_view id) {
    auto renamed = name_difference(model.spec->repo, Hub::repo_name(reply.url), id);
    if (!renamed) return renamed.error();
    if (!renamed->empty()) model.renamed = std::move(*renamed);
    return ok();
  }

  /// The next page of the listing, or the first one from any other endpoint. An endpoint without
  /// `/tree` may still have the older request that lists all blobs.
  void request_page(ModelResolution& model, const std::optional<Source>& next) const {
    if (next) model.sources.push_back(*next);
    for (std::size_t i = 0; i < endpoints_.size(); ++i) {
      if (model.excluded_endpoints.contains(i) || (next && next->endpoint == i)) continue;
      model.sources.push_back({i, endpoints_[i].hub.tree(model.spec->repo, *model.commit)});
      model.sources.push_back({i, endpoints_[i].hub.blobs(model.spec->repo, *model.commit), true});
    }
  }

  void use_page(ModelResolution& model, const Reply& reply) const {
    const std::vector<Source> sources = std::exchange(model.sources, {});
    const Source& source = sources[reply.source];
    if (reply.error) {
      // Another endpoint may have the whole listing.
      const Disposition then = disposition(reply.error->kind);
      const auto doubt = model.reader.doubt();
      if (!doubt || then == Disposition::abort_run) return fail(model, *reply.error);
      return request_other_listing(model, sources.front().endpoint,
                                   then == Disposition::retry ? *reply.error : *doubt);
    }

    // The first endpoint broke off in the middle of its listing. If it were used again, two such
    // endpoints could take turns for ever.
    if (source.endpoint != sources.front().endpoint && model.reader.begun())
      model.excluded_endpoints.insert(sources.front().endpoint);
    if (reply.source > 0) model.restart_listing();

    if (Status usable = read_page(model, reply, source); !usable)
      request_other_listing(model, source.endpoint, usable.error());
  }

  Status read_page(ModelResolution& model, const Reply& reply, const Source& source) const {
    if (Status right = check_name(model, reply, {}); !right) return right;

    const Hub& hub = endpoints_[source.endpoint].hub;
    const bool is_tree = !source.fallback && !model.reader.doubt();
    std::optional<Url> next;
    if (is_tree) {
      auto named = hub.next_page_of(model.object(), reply.head.link, source.url);
      if (!named) return named.error();
      next = std::move(*named);
    }

    const auto step = model.reader.add({.url = source.url.text,
                                        .body = reply.body,
                                        .is_tree = is_tree,
                                        .commit = model.commit->hex(),
                                        .next = next ? std::optional(next->text) : std::nullopt});
    if (!step) return step.error();
    if (*step == ListingReader::Next::page) {
      request_page(model, Source{source.endpoint, *next});
      return ok();
    }
    if (*step == ListingReader::Next::other_list) {
      request_page(model, Source{source.endpoint, hub.blobs(model.spec->repo, *model.commit)});
      return ok();
    }
    model.listing_endpoint = source.endpoint;
    return find_deciding(model);
  }

  /// The listing is complete: which files does the selection depend on?
  static Status find_deciding(ModelResolution& model) {
    model.pending_files = deciding_files(model.reader.listing(), *model.spec);
    Bytes bytes = 0;
    for (const RemoteFile& file : model.pending_files) bytes += file.size;

    if (bytes > kMaxDecidingBytes)
      return Error{
          ErrorKind::protocol,
          model.object() + ": the files that name its weights are larger than 64 MiB in total",
          "select files with --include, or use --variant all"};
    return ok();
  }

  /// Requests the deciding files of all models.
  void read_deciding() {
    std::vector<SmallFile> files;
    std::vector<ModelResolution*> askers;
    for (ModelResolution& model : models_) {
      if (model.result) continue;

      for (RemoteFile& file : std::exchange(model.pending_files, {})) {
        files.push_back({model.spec->repo, *model.commit, std::move(file)});
        askers.push_back(&model);
      }
    }

    request_small_files(fetcher_, files, [&](std::size_t i, const Result<std::string_view>& text) {
      use_deciding(*askers[i], files[i].file.path, text);
    });
  }

  static void use_deciding(ModelResolution& model, const RepoPath& path,
                           const Result<std::string_view>& text) {
    if (model.result) return;
    if (!text) return fail(model, text.error());

    const auto all = listed_files(model.reader.listing());
    if (Status known = read_deciding_file(model.facts, path, *text, all, model.object()); !known)
      model.result = known.error();
  }

  /// Selects the files of all models. Returns false if a listing has to come from another endpoint.
  bool select_snapshots() {
    bool done = true;
    for (ModelResolution& model : models_) {
      if (model.result) continue;

      auto snapshot = select_snapshot(*model.spec, *model.commit, std::move(model.reader.listing()),
                                      model.facts);
      if (!snapshot) {
        request_other_listing(model, model.listing_endpoint, snapshot.error());
        done = done && model.result;
        continue;
      }
      if (model.endpoint.empty()) model.endpoint = endpoints_[model.listing_endpoint].name();
      model.result = std::move(snapshot);
    }
    return done;
  }

  /// This endpoint's answer cannot be used for the model. Returns false if no endpoint is left; the
  /// first fault is then the result.
  bool exclude_endpoint(ModelResolution& model, std::size_t endpoint, const Error& error) const {
    model.excluded_endpoints.insert(endpoint);
    if (!model.first_fault) {
      model.first_fault = error;
      if (endpoints_.size() > 1)
        model.first_fault->message += " (from " + endpoints_[endpoint].name() + ")";
    }

    if (model.excluded_endpoints.size() < endpoints_.size()) return true;
    model.result = *model.first_fault;
    return false;
  }

  void request_other_listing(ModelResolution& model, std::size_t endpoint,
                             const Error& error) const {
    if (!exclude_endpoint(model, endpoint, error)) return;
    model.restart_listing();
    request_page(model, std::nullopt);
  }

  /// No endpoint has an answer. If one of them had an unusable one before, that explains more; but
  /// not if the run could succeed when it is repeated, or if the user can do something.
  static void fail(ModelResolution& model, const Error& error) {
    model.result = is_missing(error.kind) ? model.first_fault.value_or(error) : error;
  }

  const Cache& cache_;
  const std::vector<HubEndpoint>& endpoints_;
  Fetcher& fetcher_;
  const Network network_;
  std::vector<ModelResolution> models_;
};

}  // namespace

std::vector<Resolution> resolve_remotely(std::span<const ModelSpec> specs, const Cache& cache,
                                         Fetcher& fetcher, Network network) {
  return Resolver(specs, cache, fetcher, network).run();
}

}  // namespace model_prep
