// SPDX-License-Identifier: Apache-2.0
// Which files of a repository belong to a build, on listings of real repositories.
#include "model_prep/core/builds.h"

#include <algorithm>
#include <chrono>

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

namespace {

using Names = std::vector<std::string>;

/// Each of ten megabytes.
std::vector<ListedFile> listed(const Names& names) {
  std::vector<ListedFile> all;
  for (const std::string& name : names) all.push_back({path(name), 10'000'000});
  return all;
}

DecidingFacts naming(const std::string& index, const Names& shards) {
  DecidingFacts facts;
  for (const std::string& shard : shards) facts.shards[path(index)].insert(path(shard));
  return facts;
}

/// What these deciding files say.
DecidingFacts saying(const Names& all,
                     const std::vector<std::pair<std::string, std::string>>& texts) {
  DecidingFacts facts;
  for (const auto& [name, text] : texts)
    CHECK(read_deciding_file(facts, path(name), text, listed(all), "org/name"));
  return facts;
}

Names texts_of(const std::set<RepoPath>& paths) {
  Names names;
  for (const RepoPath& one : paths) names.push_back(one.text());
  return names;
}

Names chosen(const Names& all, const Variant& variant = Build::fp32,
             const DecidingFacts& facts = {}) {
  const auto selected = select_build(listed(all), variant, facts, "org/name");
  if (!selected) return {"error: " + selected.error().message};
  return texts_of(selected->files);
}

Names deciding(const Names& all, const Variant& variant = Build::fp32) {
  return texts_of(select_build(listed(all), variant, {}, "org/name")->deciding);
}

std::string variant_of(const Names& all, const Variant& wanted) {
  const auto selected = select_build(listed(all), wanted, {}, "org/name");
  return selected ? selected->variant.text() : "error: " + selected.error().message;
}

std::string hint_of(const Names& all, const Variant& wanted) {
  return select_build(listed(all), wanted, {}, "org/name").error().hint;
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
  CHECK(chosen({"encoder.proj.safetensors", "encoder.safetensors"}) ==
        Names{"encoder.proj.safetensors", "encoder.safetensors"});
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
        Names{"model-00001-of-00001.safetensors"});
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

TEST_CASE("what config.json names is selected, although its name is that of a second choice") {
  const Names all = {"config.json", "model.fp8.safetensors", "model.safetensors"};
  CHECK(deciding(all) == Names{"config.json"});
  const auto facts =
      saying(all, {{"config.json", R"({"transformers_weights": "model.fp8.safetensors"})"}});
  CHECK(chosen(all, Build::fp32, facts) == all);
}

TEST_CASE("config.json is read first only if it can matter") {
  CHECK(deciding({"config.json", "model.safetensors", "pytorch_model.bin"}).empty());
  CHECK(deciding({"config.json", "model.bin", "model.safetensors"}) == Names{"config.json"});
  CHECK(deciding({"config.json", "model.bin", "model.safetensors", "vocabulary.txt"}).empty());
}

TEST_CASE("CTranslate2's model.bin is no copy of model.safetensors") {
  const Names by_name = {"config.json", "model.bin", "model.safetensors", "vocabulary.json"};
  CHECK(chosen(by_name) == by_name);
  CHECK(chosen({"ct2/model.bin", "ct2/shared_vocabulary.txt", "model.safetensors"}).size() == 3);

  const Names by_config = {"config.json", "model.bin", "model.safetensors"};
  const auto facts = [&](const std::string& text) {
    return saying(by_config, {{"config.json", text}});
  };
  CHECK(chosen(by_config, Build::fp32, facts(R"({"alignment_heads": [], "lang_ids": []})")) ==
        by_config);
  CHECK(chosen(by_config, Build::fp32, facts(R"({"model_type": "bert", "unk_token": "x"})")) ==
        Names{"config.json", "model.safetensors"});
}

TEST_CASE("a directory that holds the model in the vendor's own form is left out") {
  CHECK(chosen({"config.json", "metal/model.bin", "model-00000-of-00001.safetensors",
                "original/config.json", "original/dtypes.json", "original/model.safetensors"}) ==
        Names{"config.json", "model-00000-of-00001.safetensors"});
  CHECK(chosen({"original/consolidated.00.pth", "original/params.json"}).size() == 2);
}

TEST_CASE("of a pipeline only the directories that model_index.json names have weights") {
  const Names all = {"model_index.json", "text_encoder/model.safetensors",
                     "text_encoders/t5xxl_fp16.safetensors", "vae/config.json",
                     "vae/diffusion_pytorch_model.safetensors"};
  CHECK(deciding(all) == Names{"model_index.json"});
  const auto facts = saying(all, {{"model_index.json", R"({"_class_name": "P",
      "text_encoder": ["transformers", "CLIPTextModel"], "text_encoders": null,
      "vae": ["diffusers", "AutoencoderKL"]})"}});
  CHECK(chosen(all, Build::fp32, facts) ==
        Names{"model_index.json", "text_encoder/model.safetensors", "vae/config.json",
              "vae/diffusion_pytorch_model.safetensors"});
  CHECK(chosen(all).size() == all.size());
}

TEST_CASE("fp16 takes the weights in half precision where there are any") {
  const Names all = {"model_index.json",
                     "scheduler/scheduler_config.json",
                     "unet/diffusion_pytorch_model.fp16.safetensors",
                     "unet/diffusion_pytorch_model.non_ema.fp16.safetensors",
                     "unet/diffusion_pytorch_model.safetensors",
                     "vae/diffusion_pytorch_model.safetensors"};
  CHECK(chosen(all, Build::fp16) == Names{"model_index.json", "scheduler/scheduler_config.json",
                                          "unet/diffusion_pytorch_model.fp16.safetensors",
                                          "vae/diffusion_pytorch_model.safetensors"});
  const Names sharded = {"model-00001-of-00002.safetensors",
                         "model.fp16-00001-of-00002.safetensors",
                         "model.fp16-00002-of-00002.safetensors",
                         "model.safetensors.index.fp16.json", "model.safetensors.index.json"};
  CHECK(deciding(sharded, Build::fp16) == Names{"model.safetensors.index.fp16.json"});
  CHECK(chosen(sharded, Build::fp16) == Names{"model.fp16-00001-of-00002.safetensors",
                                              "model.fp16-00002-of-00002.safetensors",
                                              "model.safetensors.index.fp16.json"});
  CHECK(chosen({"config.json", "model.safetensors"}, Build::fp16) ==
        Names{"error: org/name: there is no build fp16"});
}

TEST_CASE("mistral is the vendor's own format, from the root") {
  const Names all = {"config.json",
                     "consolidated.safetensors",
                     "model-00001-of-00001.safetensors",
                     "model.safetensors.index.json",
                     "params.json",
                     "tekken.json"};
  CHECK(chosen(all, Build::mistral) ==
        Names{"config.json", "consolidated.safetensors", "params.json", "tekken.json"});
  CHECK(chosen(all) == Names{"config.json", "model-00001-of-00001.safetensors",
                             "model.safetensors.index.json", "params.json", "tekken.json"});
  const Names shards = {"consolidated-00001-of-00002.safetensors",
                        "consolidated-00002-of-00002.safetensors",
                        "consolidated.safetensors.index.json", "params.json"};
  CHECK(chosen(shards, Build::mistral) == shards);
  CHECK(deciding(shards, Build::mistral) == Names{"consolidated.safetensors.index.json"});
  CHECK(chosen({"consolidated.safetensors"}, Build::mistral) ==
        Names{"error: org/name: there is no build mistral"});
}

TEST_CASE(".gitattributes comes along if the selection is the whole commit otherwise") {
  CHECK(chosen({".gitattributes", "config.json", "model.safetensors"}).size() == 3);
  CHECK(chosen({".gitattributes", "config.json", "model.safetensors", "tf_model.h5"}) ==
        Names{"config.json", "model.safetensors"});
  CHECK(chosen({".gitattributes", "config.json", "onnx/model.onnx"}, Build::onnx).size() == 3);
}

// ---- exports
// -------------------------------------------------------------------------------------

TEST_CASE("onnx is one model with its external data, and the small files") {
  CHECK(chosen(with({"model.onnx", "model.safetensors", "onnx/config.json", "onnx/model.onnx",
                     "onnx/model.onnx_data", "onnx/model.onnx_data_1", "onnx/model_O4.onnx",
                     "openvino/config.json", "pytorch_model.bin"}),
               Build::onnx) == with({"onnx/config.json", "onnx/model.onnx", "onnx/model.onnx_data",
                                     "onnx/model.onnx_data_1"}));
  CHECK(chosen(with({"model.onnx", "model.onnx.data", "model_fp16.onnx", "tf_model.h5"}),
               Build::onnx) == with({"model.onnx", "model.onnx.data"}));
}

TEST_CASE("an export is chosen by the stem of its file") {
  const Names all = {"config.json", "onnx/model.onnx", "onnx/model_quantized.onnx",
                     "onnx/model_quantized.onnx_data"};
  CHECK(chosen(all, {Build::onnx, "model_quantized"}) ==
        Names{"config.json", "onnx/model_quantized.onnx", "onnx/model_quantized.onnx_data"});
  CHECK(chosen(all, {Build::onnx, "onnx/model"}) == Names{"config.json", "onnx/model.onnx"});
  CHECK(chosen(all, {Build::onnx, "model_q4"}) ==
        Names{"error: org/name: there is no build onnx:model_q4"});
  CHECK(hint_of(all, {Build::onnx, "model_q4"}) ==
        "choose one of its builds with --variant or org/name:BUILD: onnx (10.0 MB), "
        "onnx:model_quantized (20.0 MB); or select files with --include");
}

TEST_CASE("the only export is taken, whatever its name; of several, the error lists them") {
  CHECK(chosen({"config.json", "model_optimized.onnx", "pytorch_model.bin"}, Build::onnx) ==
        Names{"config.json", "model_optimized.onnx"});
  const Names several = {"config.json", "onnx/model_fp16.onnx", "onnx/model_q4.onnx",
                         "pytorch_model.bin"};
  CHECK(chosen(several, Build::onnx) ==
        Names{"error: org/name: there are 2 builds that onnx could mean"});
  CHECK(hint_of(several, Build::onnx) ==
        "choose one with --variant or org/name:BUILD: onnx:model_fp16 (10.0 MB), "
        "onnx:model_q4 (10.0 MB)");
}

TEST_CASE("the parts of an exported model are one build") {
  const Names all = {"config.json",
                     "onnx/decoder_model_merged.onnx",
                     "onnx/decoder_model_merged_quantized.onnx",
                     "onnx/decoder_with_past_model_quantized.onnx",
                     "onnx/encoder_model.onnx",
                     "onnx/encoder_model_quantized.onnx"};
  const Names quantized = {"config.json", "onnx/decoder_model_merged_quantized.onnx",
                           "onnx/decoder_with_past_model_quantized.onnx",
                           "onnx/encoder_model_quantized.onnx"};
  CHECK(chosen(all, {Build::onnx, "encoder_model_quantized"}) == quantized);
  CHECK(chosen(all, {Build::onnx, "decoder_model_merged_quantized"}) == quantized);
  CHECK(chosen({"text_model.onnx", "vision_model.onnx"}, Build::onnx).size() == 2);
}

TEST_CASE("a part of a model may be told from its precision by a dot or a dash") {
  const Names all = {"config.json",
                     "decoder_joint-model.int8.onnx",
                     "encoder-model.int8.onnx",
                     "decoder_joint-model.onnx",
                     "encoder-model.onnx",
                     "encoder-model.onnx.data",
                     "nemo128.onnx",
                     "vocab.txt"};
  CHECK(chosen(all, {Build::onnx, "encoder-model.int8"}) ==
        Names{"config.json", "decoder_joint-model.int8.onnx", "encoder-model.int8.onnx",
              "vocab.txt"});
  const Names plain = {"config.json", "decoder_joint-model.onnx", "encoder-model.onnx",
                       "encoder-model.onnx.data", "vocab.txt"};
  CHECK(chosen(all, {Build::onnx, "encoder-model"}) == plain);
  // What else there is may be a part whose name nobody knows.
  CHECK(chosen(all, Build::onnx) ==
        Names{"error: org/name: there are 3 builds that onnx could mean"});

  const Names spoken = {"decoder-model.int8.onnx", "decoder-model.onnx", "encoder-model.int8.onnx",
                        "encoder-model.onnx"};
  CHECK(chosen(spoken, Build::onnx) == Names{"decoder-model.onnx", "encoder-model.onnx"});
  CHECK(chosen(spoken, {Build::onnx, "encoder-model.int8"}) ==
        Names{"decoder-model.int8.onnx", "encoder-model.int8.onnx"});
  CHECK(chosen({"onnx/decoder.onnx", "onnx/decoder_q4.onnx", "onnx/embed_images.onnx",
                "onnx/embed_images_q4.onnx", "onnx/embed_tokens.onnx", "onnx/embed_tokens_q4.onnx"},
               Build::onnx)
            .size() == 3);

  const Names transducer = {"decoder-epoch-99.onnx", "encoder-epoch-99.int8.onnx",
                            "encoder-epoch-99.onnx", "joiner-epoch-99.int8.onnx",
                            "joiner-epoch-99.onnx"};
  CHECK(chosen(transducer, {Build::onnx, "encoder-epoch-99.int8"}) ==
        Names{"decoder-epoch-99.onnx", "encoder-epoch-99.int8.onnx", "joiner-epoch-99.int8.onnx"});
  CHECK(chosen({"decoder_joint-parakeet.onnx", "encoder-parakeet.onnx"}, Build::onnx).size() == 2);
  CHECK(chosen({"onnx/duration_predictor.onnx", "onnx/text_encoder.onnx",
                "onnx/vector_estimator.onnx", "onnx/vocoder.onnx"},
               Build::onnx)
            .size() == 4);
  CHECK(chosen({"onnx/gen_head_q4.onnx", "onnx/gen_img_embeds_q4.onnx", "onnx/image_decode_q4.onnx",
                "onnx/conditional_decoder_q4.onnx"},
               Build::onnx)
            .size() == 4);
}

TEST_CASE("without a model.onnx, the parts without a suffix are the plain export") {
  const Names all = {"config.json",
                     "onnx/decoder_model_merged.onnx",
                     "onnx/decoder_model_merged_q4.onnx",
                     "onnx/encoder_model.onnx",
                     "onnx/encoder_model_q4.onnx",
                     "pytorch_model.bin"};
  CHECK(chosen(all, Build::onnx) ==
        Names{"config.json", "onnx/decoder_model_merged.onnx", "onnx/encoder_model.onnx"});

  const std::string whole = GENERATE(as<std::string>{}, "model.onnx", "onnx/model.onnx");
  Names with_whole = all;
  with_whole.push_back(whole);
  CHECK(chosen(with_whole, Build::onnx).size() == 2);
  CHECK(chosen({"onnx/encoder_model_fp16.onnx", "onnx/encoder_model_q4.onnx"}, Build::onnx) ==
        Names{"error: org/name: there are 2 builds that onnx could mean"});

  // Half a model is none: a part in several other forms, or a file beside the parts.
  const std::string more =
      GENERATE(as<std::string>{}, "onnx/generator.onnx", "onnx/vocoder_q4.onnx");
  Names with_more = {"onnx/encoder.onnx", "onnx/vocoder_fp16.onnx"};
  with_more.push_back(more);
  CHECK(chosen(with_more, Build::onnx)[0].starts_with("error: org/name: there are "));
}

TEST_CASE("an ONNX model that is no export of the weights beside it goes with them") {
  const Names all = {"BlankEN/config.json",
                     "BlankEN/model.safetensors",
                     "campplus.onnx",
                     "campplus.onnx_data",
                     "cosyvoice2.yaml",
                     "flow.decoder.fp32.onnx",
                     "flow.onnx",
                     "flow.pt",
                     "llm.pt",
                     "speech_tokenizer.onnx"};
  CHECK(chosen(all) == Names{"BlankEN/config.json", "BlankEN/model.safetensors", "campplus.onnx",
                             "campplus.onnx_data", "cosyvoice2.yaml", "flow.pt", "llm.pt",
                             "speech_tokenizer.onnx"});

  CHECK(chosen({"campplus.onnx", "flow.decoder.fp32.onnx", "flow.pt", "llm.pt"}) ==
        Names{"campplus.onnx", "flow.pt", "llm.pt"});

  // Beside a whole model, under a usual name or in a directory of exports, it is one.
  CHECK(chosen({"bert.onnx", "config.json", "pytorch_model.bin"}) ==
        Names{"config.json", "pytorch_model.bin"});
  CHECK(chosen({"a/model.safetensors", "encoder_model.onnx", "llm.pt", "model_O2.onnx",
                "onnx/llm.pt", "onnx/other.onnx"}) == Names{"a/model.safetensors", "llm.pt"});
  CHECK(chosen({"a/model.safetensors", "b/other.onnx", "llm.pt"}) ==
        Names{"a/model.safetensors", "llm.pt"});
  CHECK(chosen({"model_index.json", "other.onnx", "sd.ckpt", "unet/model.safetensors"}) ==
        Names{"model_index.json", "unet/model.safetensors"});
}

TEST_CASE("the models of a pipeline's directories are one build") {
  const Names all = {"model_index.json", "unet/diffusion_pytorch_model.safetensors",
                     "unet/model.onnx", "unet/weights.pb", "vae_decoder/model.onnx"};
  CHECK(chosen(all, Build::onnx) ==
        Names{"model_index.json", "unet/model.onnx", "unet/weights.pb", "vae_decoder/model.onnx"});
}

TEST_CASE("an ONNX model whose data has any name is read first") {
  const Names all = {"config.json", "onnx/model.onnx", "onnx/weights.bin", "onnx/weights_q4.bin"};
  CHECK(deciding(all, Build::onnx) == Names{"onnx/model.onnx"});
  CHECK(chosen(all, Build::onnx).size() == 4);

  DecidingFacts facts;
  facts.external_data[path("onnx/model.onnx")] = {path("onnx/weights.bin")};
  CHECK(chosen(all, Build::onnx, facts) ==
        Names{"config.json", "onnx/model.onnx", "onnx/weights.bin"});
  facts.external_data[path("onnx/model.onnx")] = {path("onnx/other.bin")};
  CHECK(chosen(all, Build::onnx, facts) ==
        Names{"error: org/name: onnx/model.onnx lists onnx/other.bin, which does not exist"});

  CHECK(deciding({"model.onnx", "model.onnx_data", "pytorch_model.bin"}, Build::onnx).empty());
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

TEST_CASE("modules.json decides which directories are modules") {
  const Names all = {"adapter/model.safetensors", "dense/model.safetensors", "model.safetensors",
                     "modules.json", "onnx/model.onnx"};
  CHECK(deciding(all, Build::onnx) == Names{"modules.json"});
  const auto facts = saying(all, {{"modules.json", R"([{"idx": 0, "path": ""},
      {"idx": 1, "path": "1_Pooling"}, {"idx": 2, "path": "dense"}])"}});
  CHECK(chosen(all, Build::onnx, facts) ==
        Names{"dense/model.safetensors", "modules.json", "onnx/model.onnx"});
}

TEST_CASE("many modules and many files cost no more than their sum") {
  std::vector<ListedFile> all =
      listed({"modules.json", "model.onnx", "module-7/model.safetensors"});
  for (int i = 0; i < 100'000; ++i) all.push_back({path("weights/" + std::to_string(i) + ".h5")});
  DecidingFacts facts;
  facts.later_modules.emplace();
  for (int i = 0; i < 300'000; ++i)
    facts.later_modules->insert("module-" + std::to_string(i) + "/");

  const auto begun = std::chrono::steady_clock::now();
  const auto selected = select_build(all, Build::onnx, facts, "org/name");
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(20));
  REQUIRE(selected);
  CHECK(texts_of(selected->files) ==
        Names{"model.onnx", "module-7/model.safetensors", "modules.json"});
}

TEST_CASE("what macOS puts beside a file is no weights, and belongs to no build") {
  const Names all = {"._config.json",          "._model.gguf",
                     "._model.onnx",           "._model.safetensors",
                     "._openvino_model.bin",   "._openvino_model.xml",
                     "._pytorch_model.bin",    "__MACOSX/model.safetensors",
                     "a/__MACOSX/._model.bin", "config.json",
                     "model.safetensors"};
  CHECK(chosen(all) == Names{"config.json", "model.safetensors"});
  CHECK(variant_of(all, Build::onnx) == "fp32");
  CHECK(available_builds(listed(all), {}).size() == 1);
  CHECK(chosen({"._tokenizer.json", "tokenizer.json"}) == Names{"tokenizer.json"});
  CHECK(chosen(all, Build::all).size() == all.size());
}

TEST_CASE("what every build needs is taken, although its name is that of weights") {
  CHECK(chosen({"language_model/5gram.bin", "language_model/unigrams.txt", "model.safetensors",
                "model_head.pkl", "onnx/model.onnx", "vocab.bin"},
               Build::onnx) == Names{"language_model/5gram.bin", "language_model/unigrams.txt",
                                     "model_head.pkl", "onnx/model.onnx", "vocab.bin"});
}

TEST_CASE("openvino is full precision, and openvino-int8 the quantized model") {
  const Names all =
      with({"model.safetensors", "onnx/model.onnx", "openvino/openvino_model.bin",
            "openvino/openvino_model.xml", "openvino/openvino_model_qint8_quantized.bin",
            "openvino/openvino_model_qint8_quantized.xml", "pytorch_model.bin"});
  CHECK(chosen(all, Build::openvino_int8) == with({"openvino/openvino_model_qint8_quantized.bin",
                                                   "openvino/openvino_model_qint8_quantized.xml"}));
  CHECK(chosen(all, Build::openvino) ==
        with({"openvino/openvino_model.bin", "openvino/openvino_model.xml"}));
  CHECK(chosen(all, {Build::openvino, "openvino_model_qint8_quantized"}) ==
        chosen(all, Build::openvino_int8));
}

TEST_CASE("a repository for OpenVINO is one model, with its tokenizers") {
  const Names all = {"openvino_detokenizer.bin", "openvino_detokenizer.xml",
                     "openvino_model.bin",       "openvino_model.xml",
                     "openvino_tokenizer.bin",   "openvino_tokenizer.xml"};
  CHECK(chosen(with(all), Build::openvino_int8) == with(all));
  CHECK(chosen(with(all), Build::openvino) == with(all));
  CHECK(variant_of(all, Build::openvino_int8) == "openvino-int8");
  CHECK(chosen({"openvino_language_model.bin", "openvino_language_model.xml",
                "openvino_vision_embeddings_model.bin", "openvino_vision_embeddings_model.xml"},
               Build::openvino)
            .size() == 4);
}

TEST_CASE("gguf is one quantisation, in any case, with its splits and the projector") {
  const Names all = {"BF16/m-BF16-00001-of-00002.gguf",
                     "BF16/m-BF16-00002-of-00002.gguf",
                     "config.json",
                     "imatrix_unsloth.gguf",
                     "m-Q4_K_M.gguf",
                     "m-Q8_0.gguf",
                     "m-UD-Q4_K_XL.gguf",
                     "mmproj-BF16.gguf",
                     "mmproj-F16.gguf"};
  CHECK(chosen(all, {Build::gguf, "q4_k_m"}) ==
        Names{"config.json", "m-Q4_K_M.gguf", "mmproj-F16.gguf"});
  CHECK(chosen(all, {Build::gguf, "BF16"}) == Names{"BF16/m-BF16-00001-of-00002.gguf",
                                                    "BF16/m-BF16-00002-of-00002.gguf",
                                                    "config.json", "mmproj-F16.gguf"});
  CHECK(chosen(all, {Build::gguf, "Q4_K_XL"}) == chosen(all, {Build::gguf, "UD-Q4_K_XL"}));
  CHECK(chosen(all, Build::gguf) ==
        Names{"error: org/name: there are 4 builds that gguf could mean"});
  CHECK(hint_of(all, {Build::gguf, "Q5_0"}).find("gguf:Q4_K_M (20.0 MB), gguf:Q8_0") !=
        std::string::npos);
  CHECK(chosen({"config.json", "m.gguf"}, Build::gguf) == Names{"config.json", "m.gguf"});
}

TEST_CASE("what a repository does not have is replaced as the table says, or is an error") {
  CHECK(variant_of({"model.safetensors", "onnx/model.onnx"}, Build::onnx) == "onnx");
  CHECK(variant_of({"model.safetensors"}, Build::onnx) == "fp32");
  CHECK(variant_of(
            {"model.safetensors", "openvino/openvino_model.bin", "openvino/openvino_model.xml"},
            Build::openvino_int8) == "openvino");
  CHECK(variant_of({"model.safetensors"}, Build::openvino_int8) == "fp32");
  CHECK(variant_of({"model.safetensors"}, {Build::openvino, "x"}) ==
        "error: org/name: there is no build openvino:x");
  CHECK(variant_of({"model.safetensors"}, Build::gguf) ==
        "error: org/name: there is no build gguf");
}

TEST_CASE("the builds of a repository are listed with their sizes") {
  const auto builds = available_builds(
      listed({"config.json", "model.fp16.safetensors", "model.safetensors", "onnx/model.onnx",
              "onnx/model_q4.onnx", "openvino/openvino_model.bin", "openvino/openvino_model.xml",
              "openvino/openvino_model_qint8_quantized.bin",
              "openvino/openvino_model_qint8_quantized.xml", "m-Q8_0.gguf"}),
      {});
  Names texts;
  for (const AvailableBuild& build : builds)
    texts.push_back(build.variant.text() + " " + std::to_string(build.size / 1'000'000));
  CHECK(texts == Names{"fp32 10", "fp16 10", "openvino 20", "openvino-int8 20", "onnx 10",
                       "onnx:model_q4 10", "gguf 10"});
}

TEST_CASE("what is not for llama.cpp does not come along with a quantisation") {
  const Names all = {
      "README.md",      "m-Q4_K_M.gguf", "m-Q6_K.gguf-split-a", "m-Q8_0.gguf.part1of2",
      "m-imatrix.gguf", "m.imatrix",     "imatrix_unsloth.dat"};
  CHECK(chosen(all, Build::gguf) == Names{"README.md", "m-Q4_K_M.gguf"});
}

TEST_CASE("a quantisation is that of its exact name first") {
  const Names all = {"m-Q4_K_M.gguf", "m-UD-Q4_K_M.gguf"};
  CHECK(chosen(all, {Build::gguf, "Q4_K_M"}) == Names{"m-Q4_K_M.gguf"});
  CHECK(chosen(all, {Build::gguf, "UD-Q4_K_M"}) == Names{"m-UD-Q4_K_M.gguf"});
}

TEST_CASE("a missing split is an error with both names") {
  CHECK(
      chosen({"m-Q8_0-00001-of-00003.gguf", "m-Q8_0-00003-of-00003.gguf"}, {Build::gguf, "Q8_0"}) ==
      Names{"error: org/name: m-Q8_0-00001-of-00003.gguf is a part of a model, but "
            "m-Q8_0-00002-of-00003.gguf does not exist"});
}

TEST_CASE("data of a speech model goes with every build, and is no model for PyTorch") {
  const Names all = {"config.json", "onnx/model.onnx", "voices/af.bin"};
  CHECK(chosen(all, Build::onnx) == all);
  CHECK(chosen(all) ==
        Names{"error: org/name: there are no weights for PyTorch, only files such as "
              "onnx/model.onnx"});
}

TEST_CASE("a checkpoint of PyTorch is a model beside an export of the same name") {
  const std::string name = GENERATE(as<std::string>{}, "best.pt", "best.pth", "best.ckpt");
  CHECK(chosen({"best.onnx", "config.json", name}) == Names{name, "config.json"});
  CHECK(chosen({"best.onnx", "config.json", name}, Build::onnx) ==
        Names{"best.onnx", "config.json"});

  // One that is called otherwise than the export may be its data.
  const std::string data = "speakers" + name.substr(4);
  CHECK(chosen({"best.onnx", "config.json", data}).front().starts_with("error: "));
}

TEST_CASE("a part that is there in one form only belongs to all of them") {
  const Names all = {"decoder_model_merged_q4.onnx", "embed_tokens.onnx", "embed_tokens_q4.onnx",
                     "vision_encoder.onnx"};
  CHECK(chosen(all, {Build::onnx, "decoder_model_merged_q4"}) ==
        Names{"decoder_model_merged_q4.onnx", "embed_tokens_q4.onnx", "vision_encoder.onnx"});
  CHECK(chosen(all, {Build::onnx, "vision_encoder"}) ==
        Names{"decoder_model_merged_q4.onnx", "embed_tokens.onnx", "vision_encoder.onnx"});
  CHECK(chosen({"openvino_encoder_model.bin", "openvino_encoder_model.xml", "openvino_vocoder.bin",
                "openvino_vocoder.xml"},
               Build::openvino)
            .size() == 4);
}

TEST_CASE("every name that is listed chooses its build") {
  const Names all = {"m-Q4_K_M.gguf",      "m-UD-Q4_K_M.gguf",   "mmproj-F16.gguf",
                     "model.onnx",         "model.safetensors",  "onnx/int8/model.onnx",
                     "onnx/model.onnx",    "textual/model.onnx", "visual/model.onnx",
                     "openvino_model.bin", "openvino_model.xml"};
  const auto builds = available_builds(listed(all), {});
  CHECK(builds.size() == 9);
  for (const AvailableBuild& build : builds) {
    INFO(build.variant.text());
    const auto parsed = Variant::parse(build.variant.text());
    REQUIRE(parsed);
    const Names names = chosen(all, *parsed);
    for (const std::string& file : build.files)
      CHECK(std::find(names.begin(), names.end(), file) != names.end());
  }
  CHECK(chosen(all, Build::onnx) == Names{"onnx/model.onnx"});
}

TEST_CASE("an index that config.json names is selected with its shards") {
  const Names all = {"config.json", "model.bf16-00001-of-00002.safetensors",
                     "model.bf16-00002-of-00002.safetensors", "model.bf16.safetensors.index.json",
                     "model.safetensors"};
  CHECK(deciding(all) == Names{"config.json"});
  const auto facts = saying(
      all, {{"config.json", R"({"transformers_weights": "model.bf16.safetensors.index.json"})"}});
  CHECK(chosen(all, Build::fp32, facts) == all);
}

TEST_CASE("fp16 is there only if a directory of the pipeline has it") {
  CHECK(variant_of({"model_index.json", "root.fp16.safetensors", "unet/model.safetensors"},
                   Build::fp16) == "error: org/name: there is no build fp16");
}

TEST_CASE("an .xml that is no model of OpenVINO needs no other half") {
  CHECK(chosen({".idea/workspace.xml", "openvino_model.bin", "openvino_model.xml"}, Build::openvino)
            .size() == 3);
}
