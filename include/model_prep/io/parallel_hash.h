// SPDX-License-Identifier: Apache-2.0
// Hashes complete files, several at a time, as fast as processors and disk allow.
//
// The threads are those of io/hasher.h, one for each processor. A digest cannot be computed in
// parts, so each file is hashed by one thread, and the largest files come first. Only a few files
// are open at once.
#pragma once

#include <functional>

#include "model_prep/base/clock.h"
#include "model_prep/base/digest.h"
#include "model_prep/core/activity.h"
#include "model_prep/core/digest_check.h"
#include "model_prep/io/posix.h"

namespace model_prep {

struct HashRequest {
  std::string path;
  Bytes size{0};

  /// The digest that names the blob. The sha256 is computed in any case.
  DigestKind kind{DigestKind::sha256};
};

struct HashResults {
  /// In the order of the requests. A file that was not reached has neither digest nor error.
  std::vector<HashResult> files;

  /// The signal that stopped the work, if one did.
  std::optional<int> signal{};
  bool deadline_passed{false};
};

/// Called on the calling thread.
struct HashCallbacks {
  /// The request with this index has its result.
  std::function<void(std::size_t request, bool succeeded)> on_result;

  /// At least five times a second: the files that are being read.
  std::function<void(std::span<const ActiveFile> active, TimePoint now)> on_progress;
};

/// Returns when all files are hashed, a signal came or the deadline passed. After a signal the next
/// one ends the process.
HashResults hash_files(std::span<const HashRequest> requests, const SignalFd& signals,
                       TimePoint deadline, const HashCallbacks& callbacks);

}  // namespace model_prep
