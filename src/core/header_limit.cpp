// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/header_limit.h"

#include <fmt/format.h>

namespace model_prep {

std::optional<Error> HeaderLimit::on_line(std::size_t bytes) {
  bytes_ += bytes;
  last_bytes_ = bytes;
  ++lines_;
  if (bytes_ <= kMaxBytes && lines_ <= kMaxLines) return std::nullopt;

  return Error{ErrorKind::protocol, fmt::format("the response headers exceed {} KiB or {} lines",
                                                kMaxBytes / 1024, kMaxLines)};
}

}  // namespace model_prep
