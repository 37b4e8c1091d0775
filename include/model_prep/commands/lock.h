// SPDX-License-Identifier: Apache-2.0
// The command `lock`: the models as they are on the Hub at this moment, as a manifest on stdout.
//
// A name becomes the commit that it stands for; a commit stays. What the cache or a lock knows of a
// commit is not asked for. The listing says sizes and digests; the sha256 of a plain git file,
// which no listing has, comes from the lock that was there before, or from the record of a
// download. Nothing is written, neither cache nor summary; if one model cannot be locked, nothing
// is printed: half a lock would look like a whole one.
//
// `lock --check` asks for the branch that `ref` names, one request for each model, and prints what
// has changed in the variant's files since the pinned commit. A lock's variant names its files, so
// of a branch that moved those are compared; files that came since are seen by `all` only.
#pragma once

#include "model_prep/commands/session.h"

namespace model_prep {

/// 0: printed; with --check: no branch has moved.
int run_lock(Session& session);

}  // namespace model_prep
