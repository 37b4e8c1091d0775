// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/shard_index.h"

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/core/json_reader.h"
#include "model_prep/core/weight_names.h"

namespace model_prep {

bool is_shard_index(std::string_view path) {
  const auto weights = parse_weights(name_of(path));
  return weights && weights->part == Part::index && weights->safetensors;
}

std::optional<std::string> shard_index_fault(std::string_view text, std::string_view path,
                                             const Shards& shards) {
  constexpr std::string_view kWeightMap[] = {"weight_map"};
  std::size_t missing = 0;
  std::string first;
  const auto on_entry = [&](const JsonEntry& entry) {
    const auto shard = shards.find(std::string(folder_of(path)) + entry.text);
    if (shard == shards.end() || shard->second.has(entry.name)) return ok();
    if (missing++ == 0)
      first = fmt::format("{} is not in {}", truncated(entry.name), truncated(entry.text));
    return ok();
  };

  const auto read = read_python_json(text, {.texts_in = kWeightMap}, on_entry);
  if (!read) return "it is no index of shards: " + read.error().message;
  if (missing == 0) return std::nullopt;
  return missing == 1 ? first : fmt::format("{}, and {} more", first, missing - 1);
}

}  // namespace model_prep
