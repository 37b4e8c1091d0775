// SPDX-License-Identifier: Apache-2.0
// Hashes files that are whole, several at a time, as fast as the processor and the disk give them.
//
// The threads are the hasher's (`io/hasher.h`), one for each processor: a download has one, since
// the loop needs the other core; here nobody else works. One file is one thread's at a time, since
// a digest cannot be computed in parts, so the largest are begun first. Only a few are open at
// once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model_prep/base/digest.h"
#include "model_prep/core/response_check.h"
#include "model_prep/io/posix.h"
#include "model_prep/report/progress.h"

namespace model_prep {

struct HashRequest {
  std::string path;
  std::int64_t size{0};
  DigestKind kind{DigestKind::sha256};  ///< that names the blob; sha256 is computed in any case
};

struct HashResults {
  std::vector<HashResult>
      answers;  ///< in the order of the orders; those that were not reached are empty
  std::optional<int> signal{};  ///< that ended it
  bool out_of_time{false};
};

HashResults hash_files(std::span<const HashRequest> orders, const SignalFd& signals,
                       Observer& observer, TimePoint deadline);

}  // namespace model_prep
