// SPDX-License-Identifier: Apache-2.0
// A model in the cache, looked at from outside: everything about it but what its bytes hash to.
// Changes nothing, and asks nobody.
//
// What counts as right is what `io/cache.h` publishes and huggingface_hub leaves
// (docs/developing/hub-protocol.md, section 1), as scan_cache_dir judges it
// (docs/developing/hub-protocol.md, section 1.13). Modes are held to the rule by which they were
// made: a file that this process would make readable for somebody (0666 & ~umask, folders 0777 &
// ~umask) must be readable for them; others' bits are theirs.
#pragma once

#include <string>
#include <vector>

#include "model_prep/base/model_spec.h"
#include "model_prep/core/cache_faults.h"
#include "model_prep/io/cache.h"

namespace model_prep {

struct Inspection {
  /// Where each file's bytes lie, in the order of the snapshot's files; empty for one that cannot
  /// be hashed.
  std::vector<std::string> contents;
  std::vector<CacheFault> faults;
};

/// `umask`: of this process.
Inspection inspect(const Cache& cache, const ResolvedSnapshot& snapshot, unsigned umask);

/// The bits that a file or folder lacks by that rule.
unsigned missing_bits(const FileInfo& facts, unsigned umask);

}  // namespace model_prep
