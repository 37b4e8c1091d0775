// SPDX-License-Identifier: Apache-2.0
// Writes the body of one transfer into its range of a staging file.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "model_prep/core/scheduler.h"
#include "model_prep/io/http.h"
#include "model_prep/io/staging.h"

namespace model_prep {

/// Bytes are gathered into aligned blocks and reported to the scheduler once they are on disk. No
/// byte is written before the head of the response was checked, and none outside of the range.
class PayloadSink : public BodySink {
 public:
  /// All three outlive the sink, or the transfer is cancelled first.
  PayloadSink(Scheduler& scheduler, Staging& staging, TransferId transfer);

  Body on_head(const ResponseHead& head) override;
  std::optional<Error> on_data(std::span<const char> bytes) override;
  /// Writes what was gathered.
  std::optional<Error> on_pause() override;

 private:
  Scheduler& scheduler_;
  Staging& staging_;
  TransferId transfer_;
  ByteRange range_;           // still to be written
  std::vector<char> buffer_;  // its beginning
};

}  // namespace model_prep
