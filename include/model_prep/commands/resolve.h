// SPDX-License-Identifier: Apache-2.0
// From what is asked for to the files of a commit, with as few questions as possible.
//
// A pinned commit whose files a lock, our record or huggingface_hub's tree listing names needs no
// question at all. Else: a name costs one request for the commit, an unknown listing one for each
// page of the tree. All models are asked for at once. Where the general rule
// (core/weight_selection.h) chooses among shards, their index is read first, from the cache or the
// hub; its digest is held to the listing. The snapshot's spec has the variant that was found.
//
// Of several endpoints one is asked, and the next where that one fails or its answer is of no use:
// a listing comes from one endpoint as a whole, since the address of its next page is that
// endpoint's own.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "model_prep/cli/hub_endpoints.h"
#include "model_prep/commands/fetcher.h"
#include "model_prep/core/file_selection.h"
#include "model_prep/io/cache.h"

namespace model_prep {

enum class Network : std::uint8_t { allowed, forbidden };

struct LocalResolution {
  Result<ResolvedSnapshot> snapshot;
  std::optional<SnapshotRecord> record{};  ///< the cache's, of that commit
};
/// What can be known without asking. Nothing: the hub must be asked (never with `forbidden`: then
/// it is an error).
std::optional<LocalResolution> resolve_locally(const ModelSpec& spec, const Cache& cache,
                                               Network network);

struct RemoteResolution {
  Result<ResolvedSnapshot> snapshot;
  std::string by;  ///< the endpoint that said which commit a name is, or else gave the listing;
                   ///< empty: none was asked
};
/// Asks the hub; one result for each spec, in order.
std::vector<RemoteResolution> resolve_remotely(std::span<const ModelSpec> specs, const Cache& cache,
                                               const std::vector<HubEndpoint>& endpoints,
                                               Fetcher& fetcher);

}  // namespace model_prep
