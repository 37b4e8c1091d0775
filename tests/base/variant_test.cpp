// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/variant.h"

#include "support/catch.h"

using namespace model_prep;

TEST_CASE("a build is read as it is written, with its name if it has one") {
  const auto [text, variant] = GENERATE(table<std::string, Variant>({
      {"fp32", Build::fp32},
      {"openvino-int8", Build::openvino_int8},
      {"onnx:model_quantized", {Build::onnx, "model_quantized"}},
      {"onnx:unet/model", {Build::onnx, "unet/model"}},
      {"openvino:openvino_model", {Build::openvino, "openvino_model"}},
      {"gguf:Q4_K_M", {Build::gguf, "Q4_K_M"}},
  }));
  const auto parsed = Variant::parse(text);
  REQUIRE(parsed);
  CHECK(*parsed == variant);
  CHECK(parsed->text() == text);
}

TEST_CASE("a text that is no build is refused, with the builds that there are") {
  const std::string text =
      GENERATE(as<std::string>{}, "", "int4", "FP32", "onnx:", "onnx:a b", "fp32:x", "all:x",
               "gguf:Q4,Q5", "gguf:" + std::string(300, 'Q'));
  INFO(text);
  const auto parsed = Variant::parse(text);
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().kind == ErrorKind::usage);
  CHECK_FALSE(parsed.error().hint.empty());
}

TEST_CASE("for a mistyped build the nearest one is suggested") {
  CHECK(Variant::parse("openvino_int8").error().hint.find("did you mean 'openvino-int8'?") !=
        std::string::npos);
}
