// SPDX-License-Identifier: Apache-2.0
// The automatic selection of weights, on listings of real repositories.
#include "model_prep/core/weight_selection.h"

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

namespace {

using Names = std::vector<std::string>;

std::vector<RepoPath> paths(const Names& names) {
  std::vector<RepoPath> all;
  for (const std::string& name : names) all.push_back(path(name));
  return all;
}

ShardIndexes naming(const std::string& index, const Names& shards) {
  ShardIndexes indexes;
  for (const std::string& shard : shards) indexes[path(index)].insert(path(shard));
  return indexes;
}

Names chosen(const Names& all, Variant variant = Build::fp32, const ShardIndexes& indexes = {}) {
  const auto ruled = select_weights(paths(all), variant, indexes, "org/name");
  if (!ruled) return {"error: " + ruled.error().message};
  Names names;
  for (const RepoPath& one : ruled->files) names.push_back(one.text());
  return names;
}

Names deciding(const Names& all) {
  const auto ruled = select_weights(paths(all), Build::fp32, {}, "org/name");
  Names names;
  for (const RepoPath& one : ruled->indexes) names.push_back(one.text());
  return names;
}

Variant variant_of(const Names& all, Variant wanted) {
  return available_variant(paths(all), wanted);
}

const Names kSentences = {
    "1_Pooling/config.json", "2_Normalize/config.json",   "README.md",      "config.json",
    "modules.json",          "sentence_bert_config.json", "tokenizer.json", "vocab.txt"};

Names with(Names more) {
  more.insert(more.end(), kSentences.begin(), kSentences.end());
  std::sort(more.begin(), more.end());
  return more;
}

}  // namespace

TEST_CASE("a pickle is replaced by the same weights as safetensors, only in its own directory") {
  CHECK(chosen({"2_Dense/config.json", "2_Dense/pytorch_model.bin", "3_Dense/model.safetensors",
                "3_Dense/pytorch_model.bin", "config.json", "model.safetensors",
                "pytorch_model.bin"}) == Names{"2_Dense/config.json", "2_Dense/pytorch_model.bin",
                                               "3_Dense/model.safetensors", "config.json",
                                               "model.safetensors"});
  CHECK(chosen({"2_Dense/model.safetensors", "config.json", "pytorch_model.bin"}) ==
        Names{"2_Dense/model.safetensors", "config.json", "pytorch_model.bin"});
}

TEST_CASE("a pickle stays if the safetensors next to it hold other weights") {
  CHECK(chosen({"colbert_linear.pt", "model.safetensors", "pytorch_model.bin"}) ==
        Names{"colbert_linear.pt", "model.safetensors"});
  CHECK(chosen({"adapter_model.safetensors", "pytorch_model.bin"}) ==
        Names{"adapter_model.safetensors", "pytorch_model.bin"});
}

TEST_CASE("sharded pickles are replaced by safetensors, however those are sharded") {
  CHECK(chosen({"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                "model-00003-of-00003.safetensors", "model.safetensors.index.json",
                "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin",
                "pytorch_model.bin.index.json"})
            .size() == 4);
}

TEST_CASE("exactly the shards that the index names are selected") {
  const Names all = {"config.json", "model-00001-of-00002.safetensors",
                     "model-00001-of-00003.safetensors", "model-00002-of-00002.safetensors",
                     "model.safetensors.index.json"};
  CHECK(deciding(all) == Names{"model.safetensors.index.json"});
  CHECK(chosen(all, Build::fp32,
               naming("model.safetensors.index.json",
                      {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"})) ==
        Names{"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
              "model.safetensors.index.json"});
}

TEST_CASE("an index's shards may have any name") {
  const Names all = {"model-a.safetensors", "model-b.safetensors", "model.safetensors.index.json",
                     "pytorch_model-00001-of-00001.safetensors"};
  CHECK(chosen(all, Build::fp32,
               naming("model.safetensors.index.json",
                      {"model-a.safetensors", "model-b.safetensors",
                       "pytorch_model-00001-of-00001.safetensors"})) == all);
}

TEST_CASE("a missing shard that the index names is an error with both names") {
  CHECK(
      chosen({"model-00001-of-00002.safetensors", "model.safetensors.index.json"}, Build::fp32,
             naming("model.safetensors.index.json",
                    {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"})) ==
      Names{
          "error: org/name: model.safetensors.index.json lists model-00002-of-00002.safetensors, which does not "
          "exist"});
}

TEST_CASE("without safetensors the index of pickles decides") {
  const Names all = {"config.json", "pytorch_model-00001-of-00002.bin",
                     "pytorch_model-00001-of-00009.bin", "pytorch_model-00002-of-00002.bin",
                     "pytorch_model.bin.index.json"};
  CHECK(deciding(all) == Names{"pytorch_model.bin.index.json"});
  CHECK(chosen(all, Build::fp32,
               naming("pytorch_model.bin.index.json",
                      {"pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"})) ==
        Names{"config.json", "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin",
              "pytorch_model.bin.index.json"});
}

TEST_CASE("if no index is read, the names of the shards decide") {
  CHECK(chosen({"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                "model.safetensors.index.json", "other-00001-of-00002.safetensors"}) ==
        Names{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
              "model.safetensors.index.json"});
  const Names without = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
  CHECK(chosen(without) == without);
}

TEST_CASE("a single file is preferred to shards of the same weights, and no index is read") {
  const Names all = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                     "model.safetensors", "model.safetensors.index.json"};
  CHECK(chosen(all) == Names{"model.safetensors"});
  CHECK(deciding(all).empty());
}

TEST_CASE("a second precision is selected only without the plain weights") {
  CHECK(chosen({"model.fp16.safetensors", "model.safetensors"}) == Names{"model.safetensors"});
  CHECK(chosen({"model.fp16-00001-of-00002.safetensors", "model-00001-of-00002.fp16.safetensors",
                "model.safetensors.index.fp16.json", "pytorch_model.bin",
                "pytorch_model.fp16.bin"}) == Names{"pytorch_model.bin"});
  CHECK(chosen({"model.fp16.safetensors"}) == Names{"model.fp16.safetensors"});
  CHECK(chosen({"sd_1.0.safetensors", "sd_1.safetensors"}) ==
        Names{"sd_1.0.safetensors", "sd_1.safetensors"});
}

TEST_CASE("a diffusers pipeline is its directories, each with its own weights") {
  CHECK(chosen({"model_index.json", "sd-v1.ckpt", "sd-v1.safetensors", "text_encoder/config.json",
                "text_encoder/model.fp16.safetensors", "text_encoder/model.safetensors",
                "text_encoder/pytorch_model.bin", "unet/diffusion_pytorch_model.bin",
                "unet/diffusion_pytorch_model.safetensors", "unet/model.onnx",
                "unet/openvino_model.bin", "unet/openvino_model.xml", "unet/weights.pb",
                "vae/config.json", "vae/diffusion_pytorch_model.bin"}) ==
        Names{"model_index.json", "text_encoder/config.json", "text_encoder/model.safetensors",
              "unet/diffusion_pytorch_model.safetensors", "vae/config.json",
              "vae/diffusion_pytorch_model.bin"});
}

TEST_CASE("training state and vendor duplicates are not selected") {
  CHECK(chosen({"config.json", "model.safetensors", "optimizer.pt", "rng_state_0.pth",
                "scheduler.pt", "training_args.bin"}) == Names{"config.json", "model.safetensors"});
  CHECK(chosen({"consolidated.safetensors", "model-00001-of-00001.safetensors",
                "original/consolidated.00.pth", "original/params.json"}) ==
        Names{"model-00001-of-00001.safetensors", "original/params.json"});
  CHECK(chosen({"consolidated.safetensors", "params.json"}) ==
        Names{"consolidated.safetensors", "params.json"});
}

TEST_CASE("weights of other frameworks are not selected") {
  CHECK(chosen(with({".gitattributes",
                     "bert.ckpt.data-00000-of-00001",
                     "coreml/model.mlpackage/weights.bin",
                     "coreml/config.json",
                     "flax_model.msgpack",
                     "ggml-model.bin",
                     "model.Q4_K_M.gguf",
                     "model.onnx",
                     "model.onnx.data",
                     "model.onnx_data_1",
                     "model.safetensors",
                     "model.tflite",
                     "onnx/config.json",
                     "onnx/model.onnx",
                     "openvino/openvino_model.bin",
                     "openvino/openvino_model.xml",
                     "openvino_model.bin",
                     "openvino_model.xml",
                     "rust_model.ot",
                     "tf_model.h5"})) == with({"model.safetensors"}));
}

TEST_CASE("a .bin in another framework's directory, or of OpenVINO, is not selected as a pickle") {
  CHECK(chosen({"config.json", "onnx/pytorch_model.bin", "openvino_model.bin",
                "pytorch_model.bin"}) == Names{"config.json", "pytorch_model.bin"});
}

TEST_CASE("a repository with only other frameworks' weights has nothing for PyTorch") {
  CHECK(
      chosen({"README.md", "model.Q4_K_M.gguf"}) ==
      Names{
          "error: org/name: there are no weights for PyTorch, only files such as model.Q4_K_M.gguf"});
  CHECK(chosen({"tokenizer.json"}) == Names{"tokenizer.json"});
}

TEST_CASE("the hint names only builds that the repository has") {
  const auto hint = [](const Names& all) {
    return select_weights(paths(all), Build::fp32, {}, "org/name").error().hint;
  };
  CHECK(hint({"onnx/model_quantized.onnx"}) == "select files with --include, or use --variant all");
  CHECK(hint({"onnx/model.onnx"}) == "select files with --include, or use --variant onnx or all");
  CHECK(hint({"onnx/model.onnx", "openvino_model.bin", "openvino_model.xml"}) ==
        "select files with --include, or use --variant onnx or openvino-int8 or all");
}

TEST_CASE("onnx is one model with its external data, and the small files") {
  CHECK(chosen(with({"model.onnx", "model.safetensors", "onnx/config.json", "onnx/model.onnx",
                     "onnx/model.onnx_data", "onnx/model.onnx_data_1", "onnx/model_O4.onnx",
                     "openvino/config.json", "pytorch_model.bin"}),
               Build::onnx) == with({"onnx/config.json", "onnx/model.onnx", "onnx/model.onnx_data",
                                     "onnx/model.onnx_data_1"}));
  CHECK(chosen(with({"model.onnx", "model.onnx.data", "model_fp16.onnx", "tf_model.h5"}),
               Build::onnx) == with({"model.onnx", "model.onnx.data"}));
}

TEST_CASE("the later modules of sentence-transformers keep their weights in every variant") {
  const Names all =
      with({"0_Model/pytorch_model.bin", "2_Dense/config.json", "2_Dense/model.safetensors",
            "2_Dense/pytorch_model.bin", "3_Dense/pytorch_model.bin", "model.safetensors",
            "onnx/model.onnx", "openvino/openvino_model_qint8_quantized.bin",
            "openvino/openvino_model_qint8_quantized.xml"});
  CHECK(chosen(all, Build::onnx) == with({"2_Dense/config.json", "2_Dense/model.safetensors",
                                          "3_Dense/pytorch_model.bin", "onnx/model.onnx"}));
  CHECK(chosen(all, Build::openvino_int8) ==
        with({"2_Dense/config.json", "2_Dense/model.safetensors", "3_Dense/pytorch_model.bin",
              "openvino/openvino_model_qint8_quantized.bin",
              "openvino/openvino_model_qint8_quantized.xml"}));
  CHECK(chosen({"2_Dense/model.safetensors", "config.json", "onnx/model.onnx"}, Build::onnx) ==
        Names{"config.json", "onnx/model.onnx"});
}

TEST_CASE("openvino-int8 is the quantized model, or the model of a repository for OpenVINO") {
  CHECK(chosen(with({"model.safetensors", "onnx/model.onnx", "openvino/openvino_model.bin",
                     "openvino/openvino_model.xml", "openvino/openvino_model_qint8_quantized.bin",
                     "openvino/openvino_model_qint8_quantized.xml", "pytorch_model.bin"}),
               Build::openvino_int8) == with({"openvino/openvino_model_qint8_quantized.bin",
                                              "openvino/openvino_model_qint8_quantized.xml"}));
  CHECK(chosen(with({"openvino_detokenizer.bin", "openvino_detokenizer.xml", "openvino_model.bin",
                     "openvino_model.xml", "openvino_tokenizer.bin", "openvino_tokenizer.xml",
                     "pytorch_model.bin"}),
               Build::openvino_int8) ==
        with({"openvino_detokenizer.bin", "openvino_detokenizer.xml", "openvino_model.bin",
              "openvino_model.xml", "openvino_tokenizer.bin", "openvino_tokenizer.xml"}));
}

TEST_CASE("a variant that the repository does not have becomes fp32") {
  CHECK(variant_of({"model.safetensors", "onnx/model.onnx"}, Build::onnx) == Build::onnx);
  CHECK(variant_of({"model.safetensors", "onnx/model_quantized.onnx"}, Build::onnx) == Build::fp32);
  CHECK(variant_of({"model.safetensors", "openvino/openvino_model.xml"}, Build::openvino_int8) ==
        Build::fp32);
  CHECK(variant_of({"openvino_model.bin"}, Build::openvino_int8) == Build::openvino_int8);
  CHECK(variant_of({"model.safetensors"}, Build::fp32) == Build::fp32);
}

TEST_CASE("an index names shards relative to itself") {
  const auto shards = parse_shard_index(
      R"({"metadata":{"total_size":1},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors",
                      "c":"m-1.safetensors"}})",
      path("unet/m.safetensors.index.json"), "org/name");
  REQUIRE(shards);
  CHECK(*shards == std::set<RepoPath>{path("unet/m-1.safetensors"), path("unet/m-2.safetensors")});
}

TEST_CASE("an invalid index is refused with its path") {
  const char* text =
      GENERATE("", "[]", "{}", R"({"weight_map":{}})", R"({"weight_map":[1]})",
               R"({"weight_map":{"a":{"b":"c"}}})", R"({"weight_map":{"a":"../../x"}})",
               R"({"weight_map":{"a":7}})", R"({"weight_map":"x"})");
  INFO(text);
  const auto shards = parse_shard_index(text, path("m.safetensors.index.json"), "org/name");
  REQUIRE_FALSE(shards);
  CHECK(shards.error().kind == ErrorKind::protocol);
  CHECK(shards.error().message.starts_with("org/name m.safetensors.index.json: "));
}

TEST_CASE("the hint names only variants that the repository has") {
  const auto hint = [](const Names& names) {
    std::vector<RepoPath> all;
    for (const std::string& name : names) all.push_back(path(name));
    return select_weights(all, Build::fp32, {}, "org/name").error().hint;
  };
  CHECK(hint({"onnx/model_q4.onnx"}).ends_with("--variant all"));
  CHECK(hint({"onnx/model.onnx"}).ends_with("--variant onnx or all"));
}
