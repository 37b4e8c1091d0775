// SPDX-License-Identifier: Apache-2.0
// How long an answer's headers may be, interim answers and a proxy's included. The Hub sends 3 KiB
// in 40 lines; libcurl before 8.3 would keep whatever comes.
#pragma once

#include <cstddef>
#include <optional>

#include "model_prep/base/error.h"

namespace model_prep {

class HeaderLimit {
 public:
  static constexpr std::size_t kBytes = 256 * 1024;
  static constexpr int kLines = 1000;

  /// One more line; why the answer is not read any further, or nothing.
  std::optional<Error> take(std::size_t bytes);

 private:
  std::size_t bytes_{0};
  int lines_{0};
};

}  // namespace model_prep
