// SPDX-License-Identifier: Apache-2.0
// The command `lock`: prints the models as they are on the Hub now, as a manifest on stdout.
//
// A branch or tag becomes the commit that it points to; a commit stays. Sizes and digests are those
// of the present lock, else those that the Hub lists. What the cache says about a commit is used
// only offline, with a warning, because somebody else may have written it and the result is trusted
// elsewhere. The Hub has no sha256 of a plain git file: that one comes from the present lock, else
// from the cached file, if its bytes have the git id. Neither the cache nor the summary is written.
// If one model cannot be locked, nothing is printed, because half a lock looks like a complete one.
//
// `lock --check` looks up the branch that `ref` names, with one request for each model, and prints
// which files changed since the pinned commit. A lock names the files of its variant, so only those
// are compared; files that are new on the branch appear only for a lock of the variant `all`.
#pragma once

#include "model_prep/commands/session.h"

namespace model_prep {

/// Returns the exit code: 0 if the lock was printed; with --check, if no branch has moved.
int run_lock(Session& session);

}  // namespace model_prep
