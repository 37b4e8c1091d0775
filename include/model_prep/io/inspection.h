// SPDX-License-Identifier: Apache-2.0
// Inspects a model in the cache from outside: everything about it except what its bytes hash to.
// Writes nothing and sends no request.
//
// Correct is what `io/cache.h` publishes and what huggingface_hub leaves
// (docs/developing/hub-protocol.md, section 1), as scan_cache_dir judges it
// (docs/developing/hub-protocol.md, section 1.13). Modes are held to the rule by which they were
// made: whoever this process would let read a new file (0666 & ~umask, directories 0777 & ~umask)
// must be able to read this one; further bits are the owner's business.
#pragma once

#include "model_prep/base/model_spec.h"
#include "model_prep/core/cache_faults.h"
#include "model_prep/io/cache.h"

namespace model_prep {

struct Inspection {
  /// The path of each file's bytes, in the order of the snapshot's files; empty if they cannot be
  /// hashed.
  Strings contents;
  std::vector<CacheFault> faults;
};

/// `umask`: of this process.
Inspection inspect_snapshot(const Cache& cache, const ResolvedSnapshot& snapshot, unsigned umask);

/// The bits that a file or directory lacks by that rule.
unsigned missing_bits(const FileInfo& info, unsigned umask);

}  // namespace model_prep
