// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/variant.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model_prep/base/suggestions.h"
#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::size_t kMaxName = 255;

/// What file stems and quantisations consist of. A name becomes part of messages and of keys.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName && std::ranges::all_of(text, [](char c) {
    return kWordCharacters.find(c) != std::string_view::npos || c == '-' || c == '.' || c == '/';
  });
}

}  // namespace

bool has_names(Build build) {
  return build == Build::onnx || build == Build::openvino || build == Build::gguf;
}

Result<Variant> Variant::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view word = text.substr(0, colon);
  const auto build = value_of<Build>(word);
  if (!build)
    return Error{
        ErrorKind::usage, fmt::format("unknown build '{}'", truncated(word)),
        fmt::format("{}known builds are {}; onnx, openvino and gguf may have a name, as in "
                    "onnx:model_quantized or gguf:Q4_K_M",
                    did_you_mean(word, {std::begin(kNames<Build>), std::end(kNames<Build>)}),
                    fmt::join(kNames<Build>, ", "))};
  if (colon == std::string_view::npos) return Variant(*build);

  const std::string_view name = text.substr(colon + 1);
  if (!has_names(*build))
    return Error{ErrorKind::usage, fmt::format("'{}': {} takes no name", truncated(text), word),
                 fmt::format("write {} alone; only onnx, openvino and gguf take a name", word)};
  if (!is_name(name))
    return Error{ErrorKind::usage, fmt::format("'{}' is not the name of a build", truncated(name)),
                 "write the stem of the file, as in onnx:model_quantized, or a quantisation, as in "
                 "gguf:Q4_K_M; model-prep list --builds shows them"};
  return Variant(*build, std::string(name));
}

std::string Variant::text() const {
  return std::string(to_string(build)) + (name.empty() ? "" : ":" + name);
}

}  // namespace model_prep
