// SPDX-License-Identifier: Apache-2.0
// What a look into the header of a file says about it. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace model_prep {

enum class Format : std::uint8_t {
  sound,
  malformed,

  /// The file cannot be read, or its header is beyond the bounds of the parser.
  unknown,
};

struct FormatCheck {
  Format format{Format::sound};

  /// What is wrong, in lower case: `the header ends beyond the file`.
  std::string why{};
};

}  // namespace model_prep
