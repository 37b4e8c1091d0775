// SPDX-License-Identifier: Apache-2.0
// Writes models as plain files, each into a folder of its own (io/plain_folder_writer.h).
//
// A file shares the blocks of its blob where the file system can do that, and is a copy elsewhere,
// never a link. Its bytes are hashed as they lie in the folder. A folder that holds the model
// already is left as it is, by its record, sizes and times.
#pragma once

#include <span>

#include "model_prep/commands/blob_reader.h"

namespace model_prep {

/// Every folder is whole when it appears; after an error, those before it are there.
Result<ExportReport> export_folders(Session& session, std::span<const ResolvedSnapshot> snapshots,
                                    BlobReader& reader);

}  // namespace model_prep
