// SPDX-License-Identifier: Apache-2.0
// What the small files of a model say about other repositories.
#include "model_prep/core/dependencies.h"

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;
using testing::path;
using testing::spec;

namespace {

using Texts = std::map<std::string, std::string>;

std::vector<Dependency> found_in(const Texts& texts, const ModelSpec& model = spec("m", "org/m")) {
  FileTexts all;
  std::vector<RemoteFile> files;
  for (const auto& [name, text] : texts) {
    all.emplace(path(name), text);
    files.push_back(plain_file(name, 1, 'a'));
  }
  return find_dependencies(all, model, files);
}

/// The keys of what a file names; those of code in brackets.
Strings names_in(const std::string& file, const std::string& text) {
  Strings names;
  for (const Dependency& each : found_in({{file, text}}))
    names.push_back(each.code ? "[" + each.key() + "]" : each.key());
  return names;
}

const std::string kAutoMap = R"({"auto_map": {"AutoModel": "org/code--modeling.Model"}})";

}  // namespace

TEST_CASE(
    "auto_map names the repository of Python code, in each of the four files and any folder") {
  const std::string file =
      GENERATE(as<std::string>{}, "config.json", "tokenizer_config.json", "processor_config.json",
               "preprocessor_config.json", "0_Transformer/config.json");
  const auto found = found_in({{file, kAutoMap}});
  REQUIRE(found.size() == 1);
  CHECK(found[0].repo.text() == "org/code");
  CHECK(found[0].revision.text() == "main");
  CHECK(found[0].file.text() == file);
  CHECK(found[0].code);
  CHECK(found[0].needed == std::set{path("modeling.py")});
}

TEST_CASE("the classes of one repository are one dependency, which needs all their modules") {
  const auto found = found_in(
      {{"config.json",
        R"({"auto_map": {"AutoConfig": "org/code--configuration.C", "AutoModel": "org/code--modeling.M"}})"},
       {"tokenizer_config.json",
        R"({"auto_map": {"AutoTokenizer": ["org/code--tokenization.T", null]}})"}});
  REQUIRE(found.size() == 1);
  CHECK(found[0].file.text() == "config.json");
  CHECK(found[0].needed ==
        std::set{path("configuration.py"), path("modeling.py"), path("tokenization.py")});
}

TEST_CASE("classes of the model's own repository are no dependency") {
  CHECK(names_in("config.json", R"({"auto_map": {"AutoModel": "modeling.M"}})").empty());
  CHECK(names_in("config.json", R"({"auto_map": {"AutoModel": "org/m--modeling.M"}})").empty());
}

TEST_CASE("auto_map counts only as a member of the document") {
  CHECK(names_in("config.json", R"({"x": )" + kAutoMap + "}").empty());
  CHECK(names_in("config.json", "[" + kAutoMap + "]").empty());
}

TEST_CASE("auto_map counts beside the infinite numbers that Python writes") {
  const std::string text =
      R"({"time_step_limit": [0.0, Infinity], "low": -Infinity, "x": NaN, )" + kAutoMap.substr(1);
  CHECK(names_in("config.json", text) == Strings{"[org/code]"});
  CHECK(names_in("adapter_config.json", R"({"base_model_name_or_path": "org/base", "r": NaN})") ==
        Strings{"org/base"});
}

TEST_CASE("a build that runs no Python needs no code") {
  ModelSpec model = spec("m", "org/m");
  model.variant = GENERATE(Build::onnx, Build::openvino, Build::openvino_int8, Build::gguf);
  CHECK(found_in({{"config.json", kAutoMap}}, model).empty());
  CHECK(found_in({{"adapter_config.json", R"({"base_model_name_or_path": "org/base"})"}}, model)
            .size() == 1);
}

TEST_CASE("an adapter needs its base model, at the revision that it names") {
  const auto [text, key] = GENERATE(table<std::string, std::string>({
      {R"({"base_model_name_or_path": "org/base"})", "org/base"},
      {R"({"base_model_name_or_path": "org/base", "revision": null})", "org/base"},
      {R"({"base_model_name_or_path": "org/base", "revision": "v1"})", "org/base@v1"},
      {R"({"base_model_name_or_path": "gpt2", "revision": "main"})", "gpt2"},
  }));
  CHECK(names_in("adapter_config.json", text) == Strings{key});
}

TEST_CASE("an adapter in a folder counts only where the root has no whole model") {
  const std::string file = "adapters/a/adapter_config.json";
  const Texts in_folder = {{file, R"({"base_model_name_or_path": "TBA"})"}};
  const auto found_with = [&](const Strings& others) {
    std::vector<RemoteFile> files = {plain_file(file, 1, 'a')};
    for (const std::string& other : others) files.push_back(plain_file(other, 1, 'a'));
    return find_dependencies({{path(file), in_folder.at(file)}}, spec("m", "org/m"), files).size();
  };
  CHECK(found_with({"config.json", "model.safetensors"}) == 0);
  CHECK(found_with({"config.json", "onnx/model.onnx"}) == 0);
  CHECK(found_with({"config.json", "adapters/a/adapter_model.safetensors"}) == 1);
  CHECK(found_with({"model.safetensors"}) == 1);
  CHECK(found_with({"config.json", "adapter_model.safetensors"}) == 1);

  // In the root, transformers loads the base model instead of what is beside the adapter.
  CHECK(found_in({{"adapter_config.json", R"({"base_model_name_or_path": "org/base"})"},
                  {"config.json", "{}"},
                  {"model.safetensors", ""}})
            .size() == 1);
}

TEST_CASE("config.json names the models of which another one consists") {
  const auto clip =
      found_in({{"config.json",
                 R"({"text_config": {"a": [{"hf_model_name_or_path": "org/text"}]}, "b": 1})"}});
  REQUIRE(clip.size() == 1);
  CHECK(clip[0].key() == "org/text");
  CHECK_FALSE(clip[0].code);
  CHECK(clip[0].needed == std::set{path("config.json")});
  CHECK_FALSE(clip[0].include.empty());

  const auto speech = found_in(
      {{"config.json",
        R"({"model_type": "ultravox", "text_model_id": "org/llama", "audio_model_id": "org/whisper"})"}});
  REQUIRE(speech.size() == 2);
  CHECK(speech[0].key() == "org/llama");
  CHECK(speech[1].key() == "org/whisper");
  CHECK(speech[0].include.empty());

  for (const std::string value : {"null", R"("")", R"("/data/llama")", R"("gpt2")", "7", "{}"})
    CHECK(names_in("config.json", R"({"model_type": "ultravox", "text_model_id": )" + value + "}")
              .empty());
  for (const std::string other : {R"("bert", "text_model_id": "runs/1")",
                                  R"("ultravox", "training": {"text_model_id": "runs/1"})"})
    CHECK(names_in("config.json", R"({"model_type": )" + other + "}").empty());
  CHECK(names_in("tokenizer_config.json", R"({"text_model_id": "org/llama"})").empty());
  CHECK(names_in("config.json", R"({"text_model_id": "org/llama", )").empty());
}

TEST_CASE("a base model in a folder of somebody's machine is no dependency") {
  const std::string name = GENERATE(as<std::string>{}, "/data/base", "./base", "../base",
                                    "out/run/checkpoint-9", "C:\\\\base", "", "datasets/org/x");
  CHECK(
      names_in("adapter_config.json", R"({"base_model_name_or_path": ")" + name + R"("})").empty());
}

TEST_CASE("a GLiNER model needs the tokenizer of another, without its weights") {
  const auto found = found_in({{"gliner_config.json", R"({"model_name": "org/deberta"})"}});
  REQUIRE(found.size() == 1);
  CHECK_FALSE(found[0].code);
  CHECK(dependency_spec(found[0], spec("m", "org/m")).filter.include == found[0].include);
  CHECK_FALSE(found[0].include.empty());
}

TEST_CASE("a GLiNER model with a tokenizer and an encoder's config of its own needs no other") {
  const std::string with_config = R"({"model_name": "org/deberta", "encoder_config": {"a": 1}})";
  const Texts whole = {{"gliner_config.json", with_config}, {"tokenizer_config.json", "{}"}};
  CHECK(found_in(whole).empty());
  CHECK(found_in({{"gliner_config.json", with_config}}).size() == 1);
  CHECK(found_in({{"gliner_config.json", R"({"model_name": "org/deberta"})"},
                  {"tokenizer_config.json", "{}"}})
            .size() == 1);
  CHECK(
      found_in({{"gliner_config.json", R"({"model_name": "org/deberta", "encoder_config": null})"},
                {"tokenizer_config.json", "{}"}})
          .size() == 1);
}

TEST_CASE("a GLiNER model with a second encoder needs its tokenizer for the labels") {
  const std::string both =
      R"({"model_name": "org/deberta", "labels_encoder": "org/bge", "encoder_config": {"a": 1}})";
  CHECK(names_in("gliner_config.json", both) == Strings{"org/deberta", "org/bge"});

  const auto found = found_in({{"gliner_config.json", both}, {"tokenizer_config.json", "{}"}});
  REQUIRE(found.size() == 1);
  CHECK(found[0].repo.text() == "org/bge");
  CHECK(found[0].needed == std::set{path("config.json")});
  CHECK_FALSE(found[0].include.empty());
}

TEST_CASE("a GLiNER model whose own tokenizer could not have a path needs that of another model") {
  const std::string name = "gliner_config.json";
  const std::string folder = std::string(200, 'a') + "/";
  std::string path = folder + folder + folder + folder;
  path += std::string(1024 - path.size() - name.size() - 1, 'b') + "/" + name;
  REQUIRE(path.size() == 1024);
  CHECK(found_in({{path, R"({"model_name": "org/deberta", "encoder_config": {}})"}}).size() == 1);
}

TEST_CASE("a pyannote pipeline needs its segmentation and embedding models") {
  const std::string params =
      "  params:\n    embedding: 'org/embedding@v2'  # pinned\n    embedding_batch_size: 32\n"
      "    segmentation: org/segmentation-3.0\r\n    plda: $model/plda\n";
  CHECK(names_in("config.yaml", "pipeline:\n  name: pyannote.audio.pipelines.X\n" + params) ==
        Strings{"org/embedding@v2", "org/segmentation-3.0"});
  CHECK(names_in("config.yaml", "pipeline:\n  name: another\n" + params).empty());
  CHECK(
      names_in("config.yaml", "name: pyannote\nembedding: 512\nsegmentation: $model/s\n").empty());
}

TEST_CASE("a text that is not in the format of its file names nothing") {
  const std::string file =
      GENERATE(as<std::string>{}, "config.json", "adapter_config.json", "gliner_config.json");
  const std::string text = GENERATE(
      as<std::string>{}, "", "{", "[]", R"({"auto_map": "org/code", "model_name": 1})",
      R"({"auto_map": {"A": "org/code--m.C"}, "base_model_name_or_path": "o/b", "model_name": "o/n")",
      R"({"auto_map": {"A": "--", "B": "--m.C", "C": "a b--m.C", "D": 7, "E": {"F": []}}})");
  CHECK(names_in(file, text).empty());
}

TEST_CASE("other files are not read, and a dataset has no dependencies") {
  CHECK(names_in("generation_config.json", kAutoMap).empty());
  CHECK(found_in({{"config.json", kAutoMap}}, spec("d", "datasets/org/d")).empty());
}

TEST_CASE("a model cannot name an unlimited number of dependencies") {
  std::string map;
  for (int i = 0; i < 100; ++i)
    map += (i == 0 ? "\"" : ", \"") + std::to_string(i) + R"(": "org/c)" + std::to_string(i) +
           "--m.C\"";
  CHECK(found_in({{"config.json", R"({"auto_map": {)" + map + "}}"}}).size() == kMaxDependencies);
}

TEST_CASE("a dependency becomes a model in the variant of the one that needs it") {
  ModelSpec adapter = spec("lora", "org/lora");
  adapter.variant_requested = Build::onnx;
  const auto found = found_in(
      {{"adapter_config.json", R"({"base_model_name_or_path": "gpt2", "revision": "v1"})"}},
      adapter);
  REQUIRE(found.size() == 1);
  const ModelSpec base = dependency_spec(found[0], adapter);
  CHECK(base.key == "gpt2@v1");
  CHECK(base.repo.text() == "gpt2");
  CHECK(base.revision.text() == "v1");
  CHECK(base.ref == "v1");
  CHECK(base.variant_requested == Build::onnx);
  CHECK(base.filter.select_weights_automatically);
}

TEST_CASE("a dependency that the manifest describes has that model's pin, signer and policy") {
  const std::string commit(40, 'c');
  const auto manifest = parse_manifest(
      R"({"version": 1, "models": {"base": {"repo": "org/base", "revision": ")" + commit +
          R"(", "signature": {"key": "author.pem"}, "policy": {"scan": "required"}},
           "other": {"repo": "org/base", "revision": "v1", "ref": "v1"}}})",
      "models.json");
  REQUIRE(manifest);
  const auto needs = [&](const std::string& revision) {
    const auto found = found_in(
        {{"adapter_config.json", R"({"base_model_name_or_path": "org/base")" + revision + "}"}},
        spec("lora", "org/lora"));
    REQUIRE(found.size() == 1);
    return dependency_spec(found[0], spec("lora", "org/lora"), *manifest);
  };

  const ModelSpec base = needs("");
  CHECK(base.key == "org/base");
  CHECK(base.revision.text() == commit);
  CHECK(base.ref == "main");
  CHECK(base.signer);
  CHECK(base.policy.scan_policy() == ScanPolicy::required);

  const ModelSpec tagged = needs(R"(, "revision": "v1")");
  CHECK(tagged.revision.text() == "v1");
  CHECK_FALSE(tagged.signer);
  CHECK(needs(R"(, "revision": "v2")").revision.text() == "v2");
}

TEST_CASE("code becomes a model of which only the code is fetched") {
  const auto found = found_in({{"config.json", kAutoMap}});
  REQUIRE(found.size() == 1);
  const ModelSpec code = dependency_spec(found[0], spec("m", "org/m"));
  CHECK(code.key == "org/code");
  CHECK(code.ref == "main");
  CHECK_FALSE(code.ref_if_unset);
  CHECK(code.filter.include == Strings{"*.py"});
}
