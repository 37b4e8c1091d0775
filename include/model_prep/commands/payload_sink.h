// SPDX-License-Identifier: Apache-2.0
// Writes the body of one transfer into its range of a staging file.
#pragma once

#include <memory>

#include "model_prep/core/scheduler.h"
#include "model_prep/io/http.h"
#include "model_prep/io/staging.h"

namespace model_prep {

/// Bytes are gathered into aligned blocks and reported to the scheduler once they are on disk. No
/// byte is written before the head of the response was checked, and none outside of the range. All
/// three arguments outlive the sink, or the transfer is cancelled first.
std::unique_ptr<BodySink> make_payload_sink(Scheduler& scheduler, Staging& staging,
                                            TransferId transfer);

}  // namespace model_prep
