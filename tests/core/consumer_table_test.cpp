// SPDX-License-Identifier: Apache-2.0
// What the libraries load, on the file names of real repositories. tests/consumers asks the
// libraries themselves.
#include "model_prep/core/consumer_table.h"

#include <algorithm>

#include "support/catch.h"

using namespace model_prep;

namespace {

SnapshotFacts facts(Strings files, std::string config = R"({"model_type": "bert"})") {
  std::ranges::sort(files);
  return {
      .repo = "org/name", .revision = "", .files = std::move(files), .config = std::move(config)};
}

/// `LOADS: LINE`
std::string verdict(const SnapshotFacts& of, const std::string& library) {
  const auto verdicts = judge_consumers(of, {library});
  REQUIRE(verdicts.size() == 1);
  return std::string(to_string(verdicts[0].loads)) + ": " + verdicts[0].write;
}

Strings listed_by(const SnapshotFacts& of) {
  Strings names;
  for (const ConsumerVerdict& each : judge_consumers(of, {}))
    names.push_back(each.library + " " + std::string(to_string(each.loads)));
  return names;
}

const Strings kSmall = {"1_Pooling/config.json", "config.json", "modules.json", "tokenizer.json",
                        "tokenizer_config.json"};

Strings strings_with(Strings more) {
  more.insert(more.end(), kSmall.begin(), kSmall.end());
  return more;
}

}  // namespace

TEST_CASE("weights of PyTorch are loaded by name") {
  CHECK(listed_by(facts(strings_with({"model.safetensors"}))) ==
        Strings{"transformers by name", "sentence-transformers by name"});
  CHECK(verdict(facts(strings_with({"model.safetensors"})), "sentence-transformers") ==
        R"(by name: SentenceTransformer("org/name"))");
  CHECK(verdict(facts({"config.json", "pytorch_model.bin"}), "transformers") ==
        R"(by name: AutoModel.from_pretrained("org/name"))");
  CHECK(verdict(facts({"config.json", "model.fp16.safetensors"}), "transformers") ==
        R"(by name: AutoModel.from_pretrained("org/name", variant="fp16"))");
  CHECK(verdict(facts({"config.json", "model.safetensors"}), "sentence-transformers") ==
        R"(by name: CrossEncoder("org/name"))");
}

TEST_CASE("weights under a name for which transformers does not look are loaded by none") {
  const std::string name =
      GENERATE(as<std::string>{}, "model.pth", "model.ckpt", "model.pt", "model.bin",
               "pytorch_model.safetensors", "pytorch_model.pt", "model.safetensors.index.json",
               "pytorch_model.bin.index.json", "model.fp16.safetensors.index.json");
  CAPTURE(name);
  const SnapshotFacts of = facts(strings_with({name}));
  CHECK(verdict(of, "transformers").starts_with("no: "));
  CHECK(verdict(of, "sentence-transformers").starts_with("no: "));
}

TEST_CASE("shards are weights") {
  const std::string name =
      GENERATE(as<std::string>{}, "model-00001-of-00002.safetensors",
               "pytorch_model-00001-of-00002.bin", "model.fp16-00001-of-00002.safetensors");
  CHECK(verdict(facts({"config.json", name}), "transformers").starts_with("by name: "));
}

TEST_CASE("sentence-transformers loads a build for another back-end by path only") {
  const SnapshotFacts int8 = facts(strings_with({"openvino/openvino_model_qint8_quantized.bin",
                                                 "openvino/openvino_model_qint8_quantized.xml"}));
  CHECK(listed_by(int8) == Strings{"sentence-transformers by path only", "optimum-intel by name",
                                   "openvino by path only"});
  CHECK(verdict(int8, "sentence-transformers") ==
        R"(by path only: SentenceTransformer(snapshot_download("org/name"), backend="openvino", )"
        R"(model_kwargs={"file_name": "openvino/openvino_model_qint8_quantized.xml"}))");
  CHECK(verdict(int8, "optimum-intel") ==
        R"(by name: OVModelFor….from_pretrained("org/name", subfolder="openvino", )"
        R"(file_name="openvino_model_qint8_quantized.xml"))");
  CHECK(
      verdict(int8, "transformers") ==
      "no: it needs config.json with a model_type, which transformers 4 may guess from the name, and weights of PyTorch in the root");
}

TEST_CASE("the weights of a later module are not enough for sentence-transformers") {
  const SnapshotFacts onnx = facts(strings_with({"2_Dense/model.safetensors", "onnx/model.onnx"}));
  CHECK(verdict(onnx, "sentence-transformers").starts_with("by path only: "));
  CHECK(verdict(facts(strings_with({"2_Dense/model.safetensors"})), "sentence-transformers")
            .starts_with("no: "));
  CHECK(
      verdict(facts(strings_with({"0_StaticEmbedding/model.safetensors"})), "sentence-transformers")
          .starts_with("by name: "));
}

TEST_CASE("an ONNX model is loaded from its root, from onnx/, or under a name of its own") {
  CHECK(verdict(facts({"config.json", "model.onnx"}), "optimum-onnx") ==
        R"(by name: ORTModelFor….from_pretrained("org/name", file_name="model.onnx"))");
  CHECK(verdict(facts({"onnx/model.onnx", "onnx/model_O3.onnx"}), "onnxruntime") ==
        R"(by path only: InferenceSession(hf_hub_download("org/name", "onnx/model.onnx")))");
  CHECK(
      verdict(facts(strings_with({"onnx/model_quantized.onnx"})), "onnxruntime") ==
      R"(by path only: InferenceSession(hf_hub_download("org/name", "onnx/model_quantized.onnx")))");
  CHECK(
      verdict(facts(strings_with({"onnx/model.onnx"})), "fastembed") ==
      R"(by name: TextEmbedding("org/name")  # with FASTEMBED_CACHE_PATH=$HF_HOME/hub; before it, )"
      R"(TextEmbedding.add_custom_model("org/name", …, model_file="onnx/model.onnx"), )"
      R"(unless fastembed's list has the model)");
}

TEST_CASE("an .xml without its .bin is no OpenVINO model") {
  CHECK(verdict(facts({"config.json", "openvino_other.xml"}), "openvino").starts_with("no: "));
}

TEST_CASE("a model.bin next to a vocabulary belongs to faster-whisper, not to PyTorch") {
  const SnapshotFacts whisper =
      facts({"config.json", "model.bin", "tokenizer.json", "vocabulary.json"});
  CHECK(listed_by(whisper) == Strings{"faster-whisper by name"});
  CHECK(verdict(whisper, "faster-whisper") == R"(by name: WhisperModel("org/name"))");
  CHECK(verdict(whisper, "transformers").starts_with("no: "));
}

TEST_CASE("faster-whisper loads no translation model, and none without a tokenizer") {
  const std::string config = R"({"alignment_heads": [[0, 1]], "lang_ids": [1]})";
  const std::string needs = "no: it needs CTranslate2's model.bin of a Whisper model";
  CHECK(verdict(facts({"config.json", "model.bin", "tokenizer.json", "vocabulary.txt"}, config),
                "faster-whisper")
            .starts_with("by name: "));
  CHECK(verdict(facts({"config.json", "model.bin", "vocabulary.txt"}, config), "faster-whisper")
            .starts_with(needs));

  const std::string of_text = R"({"bos_token": "<s>", "unk_token": "<unk>"})";
  for (const std::string vocabulary :
       {"shared_vocabulary.json", "source_vocabulary.json", "vocabulary.json"})
    CHECK(verdict(facts({"config.json", "model.bin", "tokenizer.json", vocabulary}, of_text),
                  "faster-whisper")
              .starts_with(needs));
  CHECK(verdict(
            facts({"config.json", "model.bin", "shared_vocabulary.json", "tokenizer.json"}, config),
            "faster-whisper")
            .starts_with(needs));
}

TEST_CASE("without a type, code or timm's word in config.json, transformers has no class for it") {
  const auto loads = [](const std::string& config, const std::string& weights) {
    const SnapshotFacts of = facts({"config.json", weights}, config);
    return !verdict(of, "transformers").starts_with("no: ");
  };
  const std::string mixin = R"({"depth": 24, "embed_dim": 1024})";
  CHECK_FALSE(loads(mixin, "model.safetensors"));
  CHECK_FALSE(loads(mixin, "model.fp16.safetensors"));
  CHECK_FALSE(loads("not JSON", "model.safetensors"));
  CHECK(verdict(facts({"config.json", "model.safetensors"}, mixin), "sentence-transformers")
            .starts_with("no: "));
  CHECK(loads(R"({"architecture": "resnet18", "pretrained_cfg": {}})", "model.safetensors"));
  CHECK(loads(R"({"auto_map": {"AutoConfig": "own.Config"}})", "model.safetensors"));
}

TEST_CASE("a pipeline that is there in half precision only is asked for as such") {
  const Strings half = {"model_index.json", "unet/diffusion_pytorch_model.fp16.safetensors"};
  CHECK(verdict(facts(half, ""), "diffusers") ==
        R"(by name: DiffusionPipeline.from_pretrained("org/name", variant="fp16"))");
  CHECK(verdict(facts({half[0], half[1], "unet/diffusion_pytorch_model.safetensors"}, ""),
                "diffusers") == R"(by name: DiffusionPipeline.from_pretrained("org/name"))");
}

TEST_CASE("a pipeline without weights of PyTorch in a folder is not loaded by diffusers") {
  const Strings other = GENERATE(Strings{"unet/model.onnx", "unet/weights.pb"},
                                 Strings{"unet/openvino_model.bin", "unet/openvino_model.xml"},
                                 Strings{"sd.safetensors"},
                                 Strings{"unet/diffusion_pytorch_model.safetensors.index.json"},
                                 Strings{"unet/diffusion_pytorch_model.non_ema.safetensors"});
  Strings files = {"model_index.json", "unet/config.json"};
  files.insert(files.end(), other.begin(), other.end());
  CHECK(verdict(facts(files, ""), "diffusers") ==
        "no: it needs model_index.json and weights of PyTorch in folders of the pipeline");

  for (const std::string more :
       {"unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.bin",
        "text_encoder/model-00001-of-00002.safetensors", "text_encoder/pytorch_model.bin"}) {
    Strings whole = files;
    whole.push_back(more);
    CHECK(verdict(facts(whole, ""), "diffusers").starts_with("by name: "));
  }
}

TEST_CASE("config.json tells static embeddings from a transformer") {
  const SnapshotFacts potion = facts({"config.json", "model.safetensors", "tokenizer.json"},
                                     R"({"model_type": "model2vec"})");
  CHECK(listed_by(potion) == Strings{"model2vec by name"});
  CHECK(verdict(facts({"config.json", "model.safetensors", "tokenizer.json"}), "model2vec")
            .starts_with("no: "));
}

TEST_CASE("formats of their own are loaded by their own libraries") {
  CHECK(verdict(facts({"consolidated.safetensors", "params.json", "tekken.json"}),
                "mistral-common") == R"(by name: MistralTokenizer.from_hf_hub("org/name"))");
  CHECK(verdict(facts({"a-Q4_K_M.gguf", "mmproj-a.gguf"}), "gguf") ==
        R"(by path only: GGUFReader(hf_hub_download("org/name", "a-Q4_K_M.gguf")))");
  CHECK(verdict(facts({"adapter_config.json", "adapter_model.safetensors"}), "peft") ==
        R"(by name: PeftModel.from_pretrained(base, "org/name"))");
}

TEST_CASE("another ref than main is part of the line, and a library that reads only main fails") {
  SnapshotFacts tagged = facts(strings_with({"onnx/model.onnx"}));
  tagged.revision = "v2";
  CHECK(verdict(tagged, "onnxruntime") ==
        R"(by path only: InferenceSession(hf_hub_download("org/name", "onnx/model.onnx", )"
        R"(revision="v2")))");
  CHECK(verdict(tagged, "fastembed").starts_with("no: "));

  tagged = facts({"config.json", "model.safetensors", "tokenizer.json"},
                 R"({"model_type": "model2vec"})");
  tagged.revision = "v2";
  CHECK(verdict(tagged, "model2vec").starts_with("by path only: "));
}

TEST_CASE("code of the model's own needs a writable directory") {
  const SnapshotFacts own =
      facts({"config.json", "model.safetensors"}, R"({"auto_map": {"AutoModel": "modeling.Own"}})");
  CHECK(verdict(own, "transformers") ==
        R"(by name: AutoModel.from_pretrained("org/name", trust_remote_code=True))"
        "  # with HF_MODULES_CACHE=(a writable directory)");

  const SnapshotFacts endless =
      facts({"config.json", "model.safetensors"},
            R"({"time_step_limit": [0.0, Infinity], "auto_map": {"AutoModel": "modeling.Own"}})");
  CHECK(verdict(endless, "transformers") == verdict(own, "transformers"));
}

TEST_CASE("a library that a model is made for is listed even if it does not load it") {
  CHECK(listed_by(facts({"modules.json", "config.json"})) == Strings{"sentence-transformers no"});
}

TEST_CASE(
    "without another repository that the model needs, a library of PyTorch does not load it") {
  SnapshotFacts needy = facts({"config.json", "model.safetensors", "onnx/model.onnx"});
  needy.missing = {"org/code"};
  const auto verdicts = judge_consumers(needy, {"transformers", "onnxruntime"});
  REQUIRE(verdicts.size() == 2);
  CHECK(verdicts[0].loads == Loads::no);
  CHECK(verdicts[0].write == "it needs org/code, which is not in the cache");
  CHECK(verdicts[0].hint == "model-prep --dependencies fetch downloads it");
  CHECK(verdicts[1].loads == Loads::by_path);
}
