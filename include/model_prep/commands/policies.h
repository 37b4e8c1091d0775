// SPDX-License-Identifier: Apache-2.0
// The license of a model, and what the Hub's scanners found in it: gets what the policy of a model
// needs, and holds the model to it (core/policy_check.h).
//
// What is known costs no request: from the manifest (for its own commit), from our record, from the
// response that resolved a branch, from the card in the cache. What a policy needs beyond that is
// one request for each model, for its commit; where an endpoint has no `cardData`, the card is
// requested too, and where a scan is required and not said to be complete, the expanded tree.
// Without a policy nothing is requested.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "model_prep/commands/fetcher.h"
#include "model_prep/core/model_run.h"
#include "model_prep/core/snapshot_record.h"
#include "model_prep/io/cache.h"

namespace model_prep {

/// Adds to the facts of a snapshot what is known without a request.
void add_known_facts(ResolvedSnapshot& snapshot, const std::optional<SnapshotRecord>& record,
                     const Cache& cache);

struct PolicyResult {
  /// Why the model may not be used.
  Status status{ok()};

  /// The facts of the snapshot are newer than those in the record.
  bool requested{false};
};

/// Whether licenses are requested although no policy asks for them.
enum class Licenses : std::uint8_t { if_needed, always };

/// One result for each snapshot, whose facts are completed if a policy needs it. Without a fetcher
/// nothing is requested.
std::vector<PolicyResult> settle_policies(std::span<ResolvedSnapshot* const> snapshots,
                                          Fetcher* fetcher,
                                          Licenses licenses = Licenses::if_needed);

/// During a download: fails each model that its policy does not allow, before any of it is fetched,
/// and logs the warnings.
void hold_to_policies(std::vector<ModelRun>& models, Session& session, Fetcher* fetcher);

/// Before a model is published: its card may have arrived with the files. If nothing else
/// `has_changed`, what had to be requested goes into the record here, so that the next run need not
/// ask; a volume that cannot be written is no reason to fail.
void keep_facts(ModelRun& model, bool has_changed, Session& session);

}  // namespace model_prep
