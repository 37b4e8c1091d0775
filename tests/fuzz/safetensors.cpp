// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/safetensors.h"

#include <algorithm>

#include "fuzz/targets.h"
#include "model_prep/core/shard_index.h"

namespace model_prep::fuzz {

void safetensors(std::string_view input) {
  const Safetensors read = read_safetensors(range_of(input));
  check_format(read.check);
  require(std::ranges::is_sorted(read.tensors), "the tensors are sorted");
  if (read.check.format == Format::sound) {
    require(input.size() >= 10, "a sound file has a header");
    const std::string longer = std::string(input) + "x";
    require(read_safetensors(range_of(longer)).check.format == Format::malformed,
            "a sound file ends with its last tensor");
    require(read_safetensors(range_of(input.substr(0, input.size() - 1))).check.format ==
                Format::malformed,
            "a sound file has all of its last tensor");
  }

  const Shards shards = {{"a/b", read}};
  if (const auto fault = shard_index_fault(input, "a/model.safetensors.index.json", shards))
    check_message({ErrorKind::malformed, *fault});
}

}  // namespace model_prep::fuzz
