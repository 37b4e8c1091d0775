// SPDX-License-Identifier: Apache-2.0
// Models that somebody must have signed: whose signature counts, getting `model.sig`, and holding
// the files to it. docs/security.md says what a signature proves.
//
//   1. load_signers      the keys and certificates, before the first request
//   2. check_signatures  the signature, before a byte of weights is fetched, and the digests that
//                        the Hub lists or a lock has
//   3. check_signed      each file, with the digest of its bytes, before they become visible
//
// A signature needs no digest of its own: it proves itself. So `model.sig` comes from the snapshot
// in the cache if it is good there, else from the Hub or, offline, from a folder of `--from`, and
// is not kept unless the variant selects it. What was found goes into our record, and a model of
// which the record says that the same signer signed these files is not asked for again.
#pragma once

#include <optional>
#include <vector>

#include "model_prep/commands/fetcher.h"
#include "model_prep/core/model_run.h"
#include "model_prep/core/model_signature.h"
#include "model_prep/io/cache.h"
#include "model_prep/report/log.h"

namespace model_prep {

class Imports;

/// Reads what each model's signature is to be verified with: what `--signature-key` names, else
/// what the manifest does, relative to itself. Fails with `usage`, or `interrupted` at a pipe.
Status load_signers(const Session& session, std::vector<ModelSpec>& specs);
Status load_signers(const Session& session, std::vector<ModelRun>& models);

/// The signature of each of these snapshots, which have signers, in order. Without a fetcher only
/// the cache is looked at, and what is imported. Fails with `signature_missing`,
/// `signature_mismatch`, `offline_missing` or why the Hub did not give it.
std::vector<Result<ModelSignature>> get_signatures(
    const std::vector<const ResolvedSnapshot*>& snapshots, const Cache& cache, Fetcher* fetcher,
    const Imports* imports = nullptr);

/// `signature_missing`: a policy demands a signature, but nobody says whose.
std::optional<Error> signer_missing(const ModelSpec& spec);

/// For a lockfile: holds to the signature what is known of the files, and notes whose it is. A
/// plain git file whose sha256 is not known gets the signer's.
Status lock_signed(ResolvedSnapshot& snapshot, const ModelSignature& signature);

/// Gets the signatures of all models that need one and have none in our record, and holds to them
/// what is known of the files. What fails is the model's error; it is not logged.
void check_signatures(std::vector<ModelRun>& models, const Session& session, Fetcher& fetcher,
                      const Imports& imports);

/// What our record says of a model that needs a signature.
void note_recorded_signature(ResolvedSnapshot& snapshot,
                             const std::optional<SnapshotRecord>& record);

/// Holds the files of a model to its signature, and notes in the snapshot whose it is. All blobs
/// are verified.
std::optional<Error> check_signed(ModelRun& model, Log& log);

}  // namespace model_prep
