// SPDX-License-Identifier: Apache-2.0
// libFuzzer's entry point; MODEL_PREP_FUZZ_TARGET names the target.
#include <cstddef>
#include <cstdint>

#include "fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  model_prep::fuzz::MODEL_PREP_FUZZ_TARGET({reinterpret_cast<const char*>(data), size});
  return 0;
}
