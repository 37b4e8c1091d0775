// SPDX-License-Identifier: Apache-2.0
// From a model's name to a commit and its files, with as few requests as possible.
//
//   known                                             requests
//   a pinned commit, and its files from a lock or
//   from our record                                   none
//   a pinned commit                                   the listing, one request for each page
//   a branch or tag                                   one for the commit, then as above
//
// huggingface_hub's listing in the cache (`trees/<commit>.json`) counts only offline: what it says
// decides which bytes are right, and another tenant of the volume could have written it before our
// first run. Our record counts whoever wrote it (docs/security.md). `lock` asks for more: its
// result is trusted elsewhere, so that the Hub itself must have said it.
//
// All models are resolved at once. Files of the repository that decide on the selection
// (core/deciding_files.h) are read first, from the cache or from the Hub, and their digests are
// compared with the listing. The snapshot's spec has the variant actually selected.
//
// If there are several endpoints, the next one is used when one fails or gives an answer that
// cannot be used. A listing always comes from one endpoint as a whole, because the address of its
// next page is valid only there; core/listing_reader.h decides when it is whole.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model_prep/commands/fetcher.h"
#include "model_prep/core/file_selection.h"
#include "model_prep/io/cache.h"

namespace model_prep {

/// `required`: only a lock spares the request for a listing.
enum class Network : std::uint8_t { allowed, forbidden, required };

/// The commit that is pinned, else the one that the ref in the cache names.
std::optional<CommitId> cached_commit(const ModelSpec& spec, const Cache& cache);

/// `object` is missing in the cache, and the run is offline.
Error offline_missing(const std::string& object);

struct Resolution {
  Result<ResolvedSnapshot> snapshot;

  /// The record of that commit, if it was read.
  std::optional<SnapshotRecord> record{};

  /// The endpoint that gave the commit, or for a pinned commit the listing. Empty if no request was
  /// necessary.
  std::string endpoint{};

  /// That the Hub has the repository under another name or spelling; empty if it does not.
  std::string renamed{};
};

/// Resolves without a request. Nothing means that requests are necessary; with `forbidden` that is
/// an `offline_missing` error instead.
std::optional<Resolution> resolve_locally(const ModelSpec& spec, const Cache& cache,
                                          Network network);

/// Resolves with requests; one result for each spec, in order.
std::vector<Resolution> resolve_remotely(std::span<const ModelSpec> specs, const Cache& cache,
                                         Fetcher& fetcher, Network network = Network::allowed);

}  // namespace model_prep
