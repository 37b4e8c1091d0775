// SPDX-License-Identifier: Apache-2.0
// Short names for two types that are everywhere.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace model_prep {

/// A size in bytes, or an offset in a file. Signed, so that a difference is never a huge number.
using Bytes = std::int64_t;

using Strings = std::vector<std::string>;

}  // namespace model_prep
