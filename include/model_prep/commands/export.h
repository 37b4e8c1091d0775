// SPDX-License-Identifier: Apache-2.0
// The command `export`: writes models of the cache in a form in which other tools carry or load
// them. `download --to` does the same at its end.
//
// It sends no request and only reads the cache, so a read-only volume is enough. Which files a
// model has, a lock or our record says; huggingface_hub's listing alone does not count, nor does
// that of a folder of --from, since it decides which bytes are right. Every byte is hashed while it
// is written, whatever the record says of it. If one is wrong or a file is missing, the run fails
// and nothing new can be seen at the target.
#pragma once

#include "model_prep/commands/session.h"

namespace model_prep {

/// Returns the exit code.
int run_export(Session& session);

/// Before a download: a `usage` error if what `--to` asks for, if anything, cannot be done.
Status check_export(const Session& session, const std::vector<ModelSpec>& specs);

/// Exports what a download has brought, with the dependencies that it fetched, and adds the result
/// to its report: of each model the commit that the report names. Not in a dry run.
void export_downloaded(Session& session, RunReport& report);

/// The same into these folders, one for each model. From a temporary cache the files are moved.
void export_to_folders(Session& session, RunReport& report, const Strings& folders);

}  // namespace model_prep
