// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/gguf.h"

#include "fuzz/targets.h"

namespace model_prep::fuzz {

void gguf(std::string_view input) {
  const FormatCheck check = check_gguf(range_of(input));
  check_format(check);
  if (check.format == Format::sound)
    require(input.starts_with("GGUF") && input.size() >= 24, "a sound file has a header");
}

}  // namespace model_prep::fuzz
