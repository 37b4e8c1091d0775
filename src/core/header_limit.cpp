// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/header_limit.h"

#include <fmt/format.h>

namespace model_prep {

std::optional<Error> HeaderLimit::take(std::size_t bytes) {
  bytes_ += bytes;
  ++lines_;
  if (bytes_ <= kBytes && lines_ <= kLines) return std::nullopt;
  return Error{ErrorKind::protocol,
               fmt::format("the answer's headers do not end within {} KiB or {} lines",
                           kBytes / 1024, kLines),
               {}};
}

}  // namespace model_prep
