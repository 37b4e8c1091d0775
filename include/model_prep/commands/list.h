// SPDX-License-Identifier: Apache-2.0
// The command `list`: what the manifest names, and what the cache holds of it. Reads names and
// sizes only, asks nobody, hashes nothing (`verify` does), writes nothing, the summary of an
// earlier run included.
//
//   state           what is there
//   cached          every file with its size and link, and the refs: a download would fetch nothing
//   partial         some of it; or a snapshot of which nothing says what belongs to it
//   other revision  nothing of this revision, but of another
//   missing         nothing
#pragma once

#include "model_prep/commands/session.h"

namespace model_prep {

int run_list(Session& session);

}  // namespace model_prep
