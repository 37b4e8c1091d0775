// SPDX-License-Identifier: Apache-2.0
// Which build of a model to fetch, as the user names it (docs/variants.md).
//
// Manifest, command line and summary spell it alike: `fp32`, `onnx`, or with a name,
// `onnx:model_quantized`. core/build_table.h says what each build consists of.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "model_prep/base/enum_names.h"
#include "model_prep/base/error.h"

namespace model_prep {

/// The forms in which models are published. Other repositories than models have only `all`.
enum class Build : std::uint8_t { fp32, fp16, openvino, openvino_int8, onnx, mistral, gguf, all };

template <>
inline constexpr std::string_view kNames<Build>[] = {"fp32", "fp16",    "openvino", "openvino-int8",
                                                     "onnx", "mistral", "gguf",     "all"};

/// Whether a repository can have several of these, which names tell apart.
bool has_names(Build build);

struct Variant {
  Build build{Build::fp32};

  /// The stem of an ONNX or OpenVINO file, or a quantisation of GGUF; empty: the default one.
  std::string name{};

  Variant() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): a build is the variant without a name.
  Variant(Build of_build, std::string of_name = {}) : build(of_build), name(std::move(of_name)) {}

  /// Refused as `usage`; the hint lists the builds.
  static Result<Variant> parse(std::string_view text);

  std::string text() const;

  friend auto operator<=>(const Variant&, const Variant&) = default;
};

}  // namespace model_prep
