// SPDX-License-Identifier: Apache-2.0
// The state of one model while `download` works on it.
//
// The command fills it in: the spec, then the snapshot and what the cache holds of it, then an
// outcome for each blob that was fetched, and at last the publication or an error. The functions
// here only read it. Pure.
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

  /// Another process removed files of the model before it was published, so it is fetched again.
  bool files_vanished{false};
  int times_vanished{0};
};

/// The models that have to be fetched: neither published nor failed.
std::vector<PlannedModel> models_to_fetch(const std::vector<ModelRun>& models);

/// The sha256 of the bytes of one of the snapshot's files, as they were hashed.
std::optional<Digest> hashed_sha256(const ModelRun& model, std::size_t file);

/// Each blob of the snapshot that has been verified, now or in an earlier run.
std::map<Digest, VerifiedBlob> verified_blobs(const ModelRun& model);

}  // namespace model_prep
