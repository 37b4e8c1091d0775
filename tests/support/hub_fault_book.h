// SPDX-License-Identifier: Apache-2.0
// The faults a hub still has to commit, and what they make of an answer.
#pragma once

#include <optional>
#include <vector>

#include "support/hub_fault.h"
#include "support/hub_http.h"

namespace model_prep::testing {

/// How the writer brings an answer to the wire.
struct Delivery {
  enum class Framing { content_length, until_close, chunked };

  Framing framing = Framing::content_length;
  std::int64_t cut = 0;                 ///< bytes of the body that never come
  std::int64_t extra = 0;               ///< bytes behind the body
  std::optional<std::int64_t> flipped;  ///< position in the body
  std::optional<Reset> reset;
  std::optional<Stall> stall;
  std::optional<Drip> drip;
};

/// Not locked: the hub that owns it does that.
class FaultBook {
 public:
  void add(Fault fault);
  void clear() { entries_.clear(); }

  /// Lets the first fault that matches have its way with the answer.
  Delivery apply(const HttpRequest& request, Answer& answer);

 private:
  struct Entry {
    Fault fault;
    int left;  ///< times; negative for ever
    int to_skip;
  };
  std::vector<Entry> entries_;
};

}  // namespace model_prep::testing
