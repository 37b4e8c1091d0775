// SPDX-License-Identifier: Apache-2.0
// The command `download`: brings the models into the cache, verified.
//
//   1. resolve   which commit and which files each model is, from the cache if possible
//   2. inspect   which of the files the cache holds already
//   3. plan      what has to be fetched, and whether there is space for it
//   4. fetch     all files of all models in one loop (commands/fetcher.h)
//   5. publish   each model as soon as its last file is there: links, record, refs (io/cache.h)
//   6. settle    what else the models need (commands/dependencies.h)
//   7. export    what --to asks for, if every model is ready (commands/export.h)
//
// A model that fails does not stop the others, unless the cause concerns the whole run, such as a
// full disk. If another process removes files of a model before it is published, the model is
// inspected and fetched again.
#pragma once

#include <vector>

#include "model_prep/commands/session.h"
#include "model_prep/report/run_report.h"

namespace model_prep {

/// Downloads these models, or with --dry-run prints what would be downloaded. Every error is logged
/// and in the report.
RunReport download(Session& session, std::vector<ModelSpec> specs);

/// The whole command, with `--to` and `--cleanup`. Returns the exit code.
int run_download(Session& session);

}  // namespace model_prep
