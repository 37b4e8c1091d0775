// SPDX-License-Identifier: Apache-2.0
// The command `verify`: checks that the cache is byte for byte what the record and the lock say,
// and that services find the models in it.
//
// It only reads, sends no request and works on a read-only volume. Every byte is hashed: the size
// and time of the record, which spare a download that work, count for nothing here. The record is
// not updated either, because only a process that holds the locks may write it; a file that
// `verify` finds right and no record vouches for is hashed once more by the next download.
//
// `--repair` first makes readable what is not, moves away what does not belong there, and makes the
// record distrust damaged files. Then it runs an ordinary download, with its locks and its order of
// writing. That download hashes the damaged blobs again and replaces them only when the right bytes
// are there, so a repair without a network makes nothing worse. Finally the repaired models are
// verified again; files that were right and have not changed are not hashed twice.
//
// The exit code depends on the cache only (core/cache_faults.h), not on where services look
// (commands/consumers.h).
#pragma once

#include "model_prep/commands/session.h"

namespace model_prep {

/// Returns the exit code.
int run_verify(Session& session);

}  // namespace model_prep
