// SPDX-License-Identifier: Apache-2.0
// How long the headers of a response may be, including interim responses and a proxy's. The Hub
// sends 3 KiB in 40 lines. libcurl has a limit of its own only since 8.3.
#pragma once

#include <cstddef>
#include <optional>

#include "model_prep/base/error.h"

namespace model_prep {

class HeaderLimit {
 public:
  static constexpr std::size_t kMaxBytes = 256 * 1024;
  static constexpr int kMaxLines = 1000;

  /// Counts one more line. An error if the response must not be read any further.
  std::optional<Error> on_line(std::size_t bytes);

  /// Whether the last line was the empty one, which ends a head.
  bool ended() const { return last_bytes_ == 1 || last_bytes_ == 2; }

 private:
  std::size_t bytes_{0};
  int lines_{0};
  std::size_t last_bytes_{0};
};

}  // namespace model_prep
