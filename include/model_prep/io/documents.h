// SPDX-License-Identifier: Apache-2.0
// The small files of a repository: our records, huggingface_hub's listings, the refs. Each is read
// and written as a whole, and what cannot be read counts as missing.
//
// Variants of one commit share its record. So it is changed under a file lock on the directory of
// the records, which is always there and holds nothing that a kill could leave half done, and keeps
// what others have added. One thread.
#pragma once

#include <functional>

#include "model_prep/core/snapshot_record.h"
#include "model_prep/io/repository.h"

namespace model_prep {

/// No record or listing is larger: a listing of 64 MiB (commands/resolve), and 200,000 blobs. One
/// that is was planted: it counts as missing.
inline constexpr std::size_t kMaxDocument = 64 * 1024 * 1024 + 200'000 * 256;
inline constexpr std::size_t kMaxRef = 64;

std::optional<SnapshotRecord> read_record(const Repository& repository, const CommitId& commit);
std::optional<std::vector<RemoteFile>> read_tree(const Repository& repository,
                                                 const CommitId& commit);
std::optional<CommitId> read_ref(const Repository& repository, const std::string& name);

/// Replaces what is there, also a directory if it holds nothing but directories: refs that were
/// removed may have left it, as `refs/v1/fix` leaves `refs/v1/`.
Status write_ref(const Repository& repository, const std::string& name, const CommitId& commit);

/// Whether `name` is the commit's own and there is no such ref: only model-prep writes it, and only
/// old versions of the Rust hf-hub look for it.
bool is_missing_own_ref(const Repository& repository, const std::string& name,
                        const CommitId& commit);

/// By way of a temporary name in our own directory.
Status write_document(const Repository& repository, const std::string& path, std::string_view text);

/// `change` gets the present record, or an empty one, perhaps more than once. Writes nothing if it
/// changes nothing.
Status update_record(const Repository& repository, const CommitId& commit,
                     const std::function<void(SnapshotRecord&)>& change);

}  // namespace model_prep
