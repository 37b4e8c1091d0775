// SPDX-License-Identifier: Apache-2.0
// The command `list`: which models the manifest names, and what the cache holds of them.
//
// It compares names and sizes only. It hashes nothing (`verify` does), sends no request and writes
// nothing, not even the summary: that of the last download stays.
//
//   state           meaning
//   cached          every file has its size and its link, and the refs are right: a download would
//                   fetch nothing
//   partial         some files are there; or a snapshot of which nothing says what belongs to it
//   other revision  this revision is not there, but another one is
//   missing         nothing is there
#pragma once

#include "model_prep/commands/session.h"

namespace model_prep {

/// Returns the exit code.
int run_list(Session& session);

}  // namespace model_prep
