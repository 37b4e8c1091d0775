// SPDX-License-Identifier: Apache-2.0
// The state of one model while `download` works on it.
//
// The command fills it in: the spec, then the snapshot and what the cache holds of it, then an
// outcome for each blob that was fetched, and at last the publication or an error. Pure.
#pragma once

#include <set>

#include "model_prep/base/clock.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/core/dependencies.h"
#include "model_prep/core/fetch_plan.h"
#include "model_prep/core/model_signature.h"

namespace model_prep {

struct ModelRun {
  ModelSpec spec;
  TimePoint begun;

  /// Set when commit and files are known; `view` says what the cache holds of them.
  std::optional<ResolvedSnapshot> snapshot{};
  SnapshotView view{};
  std::optional<Error> error{};

  /// If it was needed: the model's signature, to which its files are still to be held.
  std::optional<ModelSignature> signature{};

  /// Its policy needed facts of the snapshot that had to be requested.
  bool facts_requested{false};

  /// Blobs that are planned and have no outcome yet.
  std::set<Digest> pending{};
  std::map<Digest, FileOutcome> outcomes{};

  bool published{false};
  Duration took{};

  /// What its files name, when they are known.
  std::vector<Dependency> dependencies{};

  /// Another process removed or changed files of the model before the end of the run, so it is
  /// fetched or hashed again.
  bool files_vanished{false};
  int times_vanished{0};

  /// In one of those rounds, bytes that this run had verified before were wrong.
  bool found_wrong{false};
};

/// How often files of a model may vanish before it fails, or change before that is accepted: beyond
/// that it is no coincidence.
inline constexpr int kMaxLosses = 10;

/// What became of one of the model's blobs, which it waits for no longer. `outcome` counts the
/// bytes of this round.
void add_outcome(ModelRun& model, const FetchJob& job, FileOutcome outcome);

/// Whether a file that has changed since it was hashed is left to the next run: where times never
/// stay the same, each hash finds the right bytes, and this one would never end. Not if somebody
/// really writes to the files.
bool accepts_changes(const ModelRun& model);

/// Of a model that was lost too often.
Error keeps_changing(const ModelRun& model);

/// The models that have to be fetched: neither published nor failed.
std::vector<PlannedModel> models_to_fetch(const std::vector<ModelRun>& models);

/// The sha256 of the bytes of one of the snapshot's files, as they were hashed.
std::optional<Digest> hashed_sha256(const ModelRun& model, std::size_t file);

/// Each blob of the snapshot that has been verified, now or in an earlier run.
std::map<Digest, VerifiedBlob> verified_blobs(const ModelRun& model);

}  // namespace model_prep
