// SPDX-License-Identifier: Apache-2.0
// Writes the body of one transfer into its range of a staging file.
#pragma once

#include <memory>

#include "model_prep/core/scheduler.h"
#include "model_prep/io/hasher.h"
#include "model_prep/io/http.h"
#include "model_prep/io/staging.h"

namespace model_prep {

/// Where the hash of the file takes blocks; nowhere if they must be read back.
struct HashInput {
  Hasher* hasher{nullptr};
  HashJobId job{0};
};

/// Bytes are gathered into aligned blocks, and reported to the scheduler once they are on disk. A
/// whole block that the hash will need next is handed over to it. No byte is written before the
/// head of the response was checked, and none outside of the range. Scheduler, staging and hasher
/// outlive the sink, or the transfer is cancelled first.
std::unique_ptr<BodySink> make_payload_sink(Scheduler& scheduler, Staging& staging,
                                            TransferId transfer, HashInput hash);

}  // namespace model_prep
