// SPDX-License-Identifier: Apache-2.0
// Writes models as plain files, each into a folder of its own (io/plain_folder_writer.h).
//
// A file shares the blocks of its blob where the file system can do that, and is a copy elsewhere,
// never a link. Its bytes are hashed as they lie in the folder. A folder that holds the model
// already is left as it is, by its record, sizes and times.
//
// A cache that is removed afterwards need not be kept apart from the folders: then a file is its
// blob, by a second name, and is not hashed again. Where that cannot be had it is a copy.
#pragma once

#include <span>
#include <vector>

#include "model_prep/commands/blob_reader.h"

namespace model_prep {

enum class FromCache : std::uint8_t {
  copy,
  move  ///< the cache is removed afterwards
};

/// The folders that `--to` means, one for each model.
Result<Strings> folders_of(const ExportTarget& target, std::span<const ModelSpec> specs);

/// A `usage` error if it is certain that nothing can be exported to one of these folders.
Status check_folders(const Session& session, const Strings& folders);

/// Every folder is whole when it appears; after an error, those before it are there. One folder for
/// each snapshot.
Result<ExportReport> export_folders(Session& session, std::span<const ResolvedSnapshot> snapshots,
                                    const Strings& folders, FromCache how, BlobReader& reader);

/// The model's files as the record of a folder has them: with the ids of the git tree, which a lock
/// may leave out.
std::vector<RemoteFile> recorded_files(const ResolvedSnapshot& snapshot);

}  // namespace model_prep
