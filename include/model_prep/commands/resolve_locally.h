// SPDX-License-Identifier: Apache-2.0
// What can be known of a model without a request: from its lock, from our record, and from files in
// the cache. `resolve_locally` (commands/resolve.h) is the way in; the rest is what resolving with
// requests shares with it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "model_prep/base/listing.h"
#include "model_prep/commands/resolve.h"

namespace model_prep {

Digest digest_of(std::string_view bytes, DigestKind kind);

/// Whether these are the file's bytes.
bool is_content_of(const RemoteFile& file, std::string_view bytes);

/// The listing must have passed `check_listing`. (Those of the cache did when they were read.)
Result<ResolvedSnapshot> select_snapshot(const ModelSpec& wanted, const CommitId& commit,
                                         Listing listing, const DecidingFacts& facts);

/// Nothing if a request is necessary.
std::optional<Resolution> resolve_commit_locally(const ModelSpec& spec, const CommitId& commit,
                                                 const Cache& cache, Network network);

/// The bytes of a file of the commit, if they can be had; they are checked by the caller.
using ReadFile = std::function<std::optional<std::string>(const RemoteFile& file)>;

/// What the model is if the commit has these files, as a folder claims that is imported offline.
Resolution resolve_listing(const ModelSpec& spec, const CommitId& commit, Listing listing,
                           const ReadFile& read);

}  // namespace model_prep
