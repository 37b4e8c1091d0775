// SPDX-License-Identifier: Apache-2.0
// The pending faults of a hub, and how they change a response.
#pragma once

#include <optional>
#include <vector>

#include "support/hub_fault.h"
#include "support/hub_http.h"

namespace model_prep::testing {

/// How the connection sends a response.
struct Delivery {
  enum class Framing { content_length, until_close, chunked };

  Framing framing = Framing::content_length;
  std::int64_t cut = 0;                 ///< bytes at the end of the body that are not sent
  std::int64_t extra = 0;               ///< bytes after the body
  std::optional<std::int64_t> flipped;  ///< position in the body
  std::optional<Reset> reset;
  std::optional<Stall> stall;
  std::optional<Drip> drip;
};

/// Not thread-safe: the hub that owns it has the lock.
class FaultBook {
 public:
  void add(Fault fault);
  void clear() { entries_.clear(); }

  /// Applies the first matching fault to the response.
  Delivery apply(const HttpRequest& request, Answer& answer);

 private:
  struct Entry {
    Fault fault;
    int left;  ///< times; negative: permanently
    int to_skip;
  };
  std::vector<Entry> entries_;
};

}  // namespace model_prep::testing
