// SPDX-License-Identifier: Apache-2.0
// The command `kserve-init`: fills the folders that KServe names, as its storage initializer does.
//
//   1. look       a folder that holds the model already is left as it is
//   2. download   the others, into a cache beside the first folder (io/temporary_cache.h)
//   3. move       each model's files into its folder, as a whole
//   4. remove     the cache, so that the disk holds each file once
//
// After a failure or a kill the cache stays, and the next run continues there. A cache that the
// user names (--cache-dir) stays in any case, and the folders get copies.
//
// For a pinned commit, the folder's record says whether it is the model that is wanted, without a
// request. For a branch the Hub is asked.
#pragma once

#include "model_prep/commands/session.h"

namespace model_prep {

/// Returns the exit code.
int run_kserve_init(Session& session);

}  // namespace model_prep
