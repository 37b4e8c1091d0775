// SPDX-License-Identifier: Apache-2.0
// Selecting weights, with real indexes: variants that a repository has or lacks.
#include <algorithm>

#include "support/catch.h"
#include "support/hub_spec.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

const std::string kIndex = "model.safetensors.index.json";

std::string index_of(const std::vector<std::string>& shards) {
  nlohmann::json index = {{"metadata", {{"total_size", 3000}}},
                          {"weight_map", nlohmann::json::object()}};
  for (const std::string& shard : shards) index["weight_map"]["layer of " + shard] = shard;
  return index.dump();
}

const std::vector<std::string> kShards = {"model-00001-of-00002.safetensors",
                                          "model-00002-of-00002.safetensors"};
const std::vector<std::string> kWanted = {"config.json", kShards[0], kShards[1], kIndex};

/// A pickle of this many bytes, at least 264: a text.
std::string pickle(std::size_t size) {
  const std::size_t text = size - 8;
  const std::string length = {static_cast<char>(text & 0xffU), static_cast<char>(text >> 8U), 0, 0};
  return "\x80\x02X" + length + std::string(text, 'p') + ".";
}

/// Two shards and their index, a shard of an earlier cut, and the same weights as pickles.
HubRepo sharded_repo(const std::string& index = index_of(kShards)) {
  return make_repo("org/sharded", {{"config.json", "{}"},
                                   {kIndex, index},
                                   {kShards[0], MadeUpBytes{2000, 1}, true},
                                   {kShards[1], MadeUpBytes{1000, 2}, true},
                                   {"model-00001-of-00003.safetensors", MadeUpBytes{900, 3}, true},
                                   {"pytorch_model.bin", pickle(3000), true}});
}

HubRepo converted_repo() {
  return make_repo("org/converted",
                   {{"1_Pooling/config.json", "{}"},
                    {"config.json", "{\"a\":1}"},
                    {"model.safetensors", MadeUpBytes{3000, 1}, true},
                    {"onnx/model.onnx", MadeUpBytes{2000, 2}, true},
                    {"onnx/model.onnx_data", MadeUpBytes{2500, 3}, true},
                    {"onnx/model_O4.onnx", MadeUpBytes{1500, 4}, true},
                    {"openvino/openvino_model_qint8_quantized.bin", MadeUpBytes{1000, 5}, true},
                    {"openvino/openvino_model_qint8_quantized.xml", "<net/>"},
                    {"tokenizer.json", "{\"b\":1}"}});
}

/// The built-in manifest without its locks: the demo's files have the real names but other bytes.
std::string unlocked_manifest() {
  nlohmann::json manifest = nlohmann::json::parse(
      read_text(MODEL_PREP_SOURCE_DIR "/src/commands/built_in_manifest.json"));
  for (nlohmann::json& model : manifest["models"]) {
    model.erase("locked");
    model.erase("files");
  }
  return manifest.dump();
}

HubRepo reranker_for_openvino() {
  std::vector<HubFile> files;
  for (const char* name :
       {".gitattributes", "README.md", "config.json", "openvino_model.bin", "openvino_model.xml",
        "openvino_tokenizer.bin", "openvino_tokenizer.xml", "sentencepiece.bpe.model",
        "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"})
    files.push_back({name, std::string("of ") + name, std::string(name).ends_with(".bin")});
  return make_repo("OpenVINO/bge-reranker-base-int8-ov", files);
}

using Names = std::vector<std::string>;

Names plus(Names names, const Names& more) {
  names.insert(names.end(), more.begin(), more.end());
  std::sort(names.begin(), names.end());
  return names;
}

const Names kMiniLm = {"1_Pooling/config.json",
                       "config.json",
                       "config_sentence_transformers.json",
                       "data_config.json",
                       "modules.json",
                       "sentence_bert_config.json",
                       "special_tokens_map.json",
                       "tokenizer.json",
                       "tokenizer_config.json",
                       "vocab.txt"};
const Names kReranker = {"config.json", "sentencepiece.bpe.model", "special_tokens_map.json",
                         "tokenizer.json", "tokenizer_config.json"};
const Names kFlan = {
    "config.json",  "generation_config.json", "model.safetensors",    "special_tokens_map.json",
    "spiece.model", "tokenizer.json",         "tokenizer_config.json"};

struct BuiltIn {
  const char* variant;
  Names minilm;
  Names reranker;
};

}  // namespace

TEST_CASE("each variant of the built-in manifest fetches its real files") {
  const BuiltIn row = GENERATE(
      BuiltIn{"fp32", plus(kMiniLm, {"model.safetensors"}), plus(kReranker, {"model.safetensors"})},
      BuiltIn{"onnx", plus(kMiniLm, {"onnx/model.onnx"}), plus(kReranker, {"onnx/model.onnx"})},
      BuiltIn{"openvino",
              plus(kMiniLm, {"openvino/openvino_model.bin", "openvino/openvino_model.xml"}),
              plus(kReranker, {"model.safetensors"})},
      BuiltIn{"openvino-int8",
              plus(kMiniLm, {"openvino/openvino_model_qint8_quantized.bin",
                             "openvino/openvino_model_qint8_quantized.xml"}),
              plus(kReranker, {"openvino_model.bin", "openvino_model.xml", "openvino_tokenizer.bin",
                               "openvino_tokenizer.xml"})});
  INFO(row.variant);
  FakeHub hub;
  for (const HubRepo& repo : demo_spec().repos) hub.add(repo);
  hub.add(reranker_for_openvino());
  TestHost machine(hub);
  machine.use_manifest(unlocked_manifest());
  const Run run = machine.run({"--variant", row.variant});
  CHECK(run.exit_code == 0);
  const auto files = [&](const char* key) {
    const nlohmann::json model = run.model(key);
    Names names;
    for (const auto& file : model["files"]) names.push_back(file["path"]);
    return names;
  };
  CHECK(files("all-MiniLM-L6-v2") == row.minilm);
  CHECK(files("bge-reranker-base") == row.reranker);
  CHECK(files("flan-t5-small") == kFlan);
  const bool fell_back = row.variant != std::string("fp32");
  CHECK(contains(run.err, "flan-t5-small has no variant") == fell_back);
  CHECK(run.model("flan-t5-small")["variant"] == "fp32");
  const bool elsewhere = row.variant == std::string("openvino-int8");
  CHECK(contains(run.err, "bge-reranker-base is not pinned") == elsewhere);
  CHECK(run.model("bge-reranker-base")["pinned"] == !elsewhere);
}

TEST_CASE("the variant all of a built-in model is its whole commit") {
  FakeHub hub;
  for (const HubRepo& repo : demo_spec().repos) hub.add(repo);
  TestHost machine(hub);
  machine.use_manifest(unlocked_manifest());
  const Run run = machine.run({"--variant", "all"});
  CHECK(run.exit_code == 0);
  CHECK(run.model("all-MiniLM-L6-v2")["files"].size() == 30);
  CHECK(run.model("bge-reranker-base")["files"].size() == 10);
  CHECK(run.model("flan-t5-small")["files"].size() == 12);
}

TEST_CASE("a sharded model is its index and exactly the shards that the index names") {
  FakeHub hub;
  const HubRepo repo = sharded_repo();
  hub.add(repo);
  const TestHost machine(hub);
  CHECK(machine.run({"org/sharded"}).exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo, {.paths = kWanted}));
}

TEST_CASE("a second run reads the cached index and sends no request") {
  FakeHub hub;
  const HubRepo repo = sharded_repo();
  hub.add(repo);
  const TestHost machine(hub);
  const std::string pinned = "org/sharded@" + main_of(repo);
  REQUIRE(machine.run({pinned}).exit_code == 0);
  hub.clear_requests();
  const Run again = machine.run({pinned});
  CHECK(again.exit_code == 0);
  CHECK(again.model(pinned)["status"] == "cached");
  CHECK(hub.requests().empty());
  CHECK(machine.run({"org/sharded", "--offline"}).exit_code == 0);
  CHECK(machine.run({"verify", "org/sharded"}).exit_code == 0);
}

TEST_CASE("an index that names a missing file is an error before any weights are requested") {
  FakeHub hub;
  hub.add(sharded_repo(index_of({kShards[0], "model-00003-of-00002.safetensors"})));
  const TestHost machine(hub);
  const Run run = machine.run({"org/sharded"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/sharded") == "not_found");
  CHECK(
      contains(run.err, kIndex + " lists model-00003-of-00002.safetensors, which does not exist"));
  CHECK(hub.requests("payload").empty());
}

TEST_CASE("an index with wrong bytes is requested once more and never used") {
  const int times = GENERATE(1, -1);
  FakeHub hub;
  const HubRepo repo = sharded_repo();
  hub.add(repo);
  hub.add(
      Fault{.on = Fault::On::resolve_cache, .file = kIndex, .times = times, .what = FlipByte{30}});
  const TestHost machine(hub);
  const Run run = machine.run({"org/sharded"});
  if (times == 1) {
    CHECK(run.exit_code == 0);
    CHECK(tree_of(machine.cache()) == published(repo, {.paths = kWanted}));
  } else {
    CHECK(run.error_kind("org/sharded") == "digest_mismatch");
    CHECK(hub.requests("payload").empty());
  }
}

TEST_CASE("a cached index that is damaged is detected and repaired") {
  FakeHub hub;
  const HubRepo repo = sharded_repo();
  hub.add(repo);
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/sharded"}).exit_code == 0);
  flip_byte(blob_of(machine, repo, kIndex), 30);
  const Run bad = machine.run({"verify", "org/sharded"});
  CHECK(bad.exit_code == 1);
  CHECK(contains(bad.err, kIndex + ": its bytes hash to"));
  CHECK(machine.run({"verify", "--repair", "org/sharded"}).exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo, {.paths = kWanted}));
}

TEST_CASE("onnx and OpenVINO files are found in a repository outside the manifest") {
  const std::string variant = GENERATE("onnx", "openvino-int8");
  FakeHub hub;
  const HubRepo repo = converted_repo();
  hub.add(repo);
  const TestHost machine(hub);
  const Run run = machine.run({"org/converted", "--variant", variant});
  CHECK(run.exit_code == 0);
  CHECK(run.model("org/converted")["variant"] == variant);
  std::vector<std::string> paths = {"1_Pooling/config.json", "config.json", "tokenizer.json"};
  if (variant == "onnx")
    paths.insert(paths.end(), {"onnx/model.onnx", "onnx/model.onnx_data"});
  else
    paths.insert(paths.end(), {"openvino/openvino_model_qint8_quantized.bin",
                               "openvino/openvino_model_qint8_quantized.xml"});
  CHECK(tree_of(machine.cache()) == published(repo, {.paths = paths}));
}

TEST_CASE(
    "without the variant a repository falls back to fp32, with a warning but no extra request") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  const std::string pinned = "org/small@" + main_of(repo);
  for (const bool first : {true, false}) {
    hub.clear_requests();
    const Run run = machine.run({pinned, "--variant", "onnx"});
    CHECK(run.exit_code == 0);
    CHECK(run.model(pinned)["variant_requested"] == "onnx");
    CHECK(run.model(pinned)["variant"] == "fp32");
    CHECK(contains(run.err, pinned + " has no variant onnx: using fp32"));
    CHECK(hub.requests().empty() != first);
  }
  CHECK(tree_of(machine.cache()) == published(repo));
  CHECK(contains(machine.run({"list", pinned, "--variant", "onnx"}).out, " fp32 "));
  const Run lock = machine.run({"lock", pinned, "--variant", "onnx"});
  CHECK(contains(lock.err, "has no variant onnx: using fp32"));
  CHECK(contains(lock.out, "\"locked\": [\"fp32\"]"));
}

TEST_CASE("an incomplete OpenVINO model is an error before any file is requested") {
  FakeHub hub;
  hub.add(make_repo("org/half", {{"config.json", "{}"}, {"openvino_model.xml", "<net/>"}}));
  const TestHost machine(hub);
  const Run run = machine.run({"org/half", "--variant", "openvino-int8"});
  CHECK(run.error_kind("org/half") == "not_found");
  CHECK(contains(run.err, "openvino_model.xml is selected without openvino_model.bin"));
  CHECK(hub.requests("resolve").empty());
}

TEST_CASE("a lock that names half of an OpenVINO model is refused without a request") {
  FakeHub hub;
  hub.add(converted_repo());
  TestHost machine(hub);
  nlohmann::json manifest = nlohmann::json::parse(hub.manifest());
  nlohmann::json& model = manifest["models"]["converted"];
  model["variants"] = {{"openvino-int8", {{"include", {"*.json", "openvino/*.xml"}}}}};
  model["locked"] = {"openvino-int8"};
  machine.use_manifest(manifest.dump());
  const Run run = machine.run({"--variant", "openvino-int8"});
  CHECK(run.error_kind("converted") == "not_found");
  CHECK(hub.requests().empty());
}

TEST_CASE("pickled weights cause one warning, with what could be loaded instead") {
  FakeHub hub;
  hub.add(sharded_repo());
  hub.add(make_repo("org/old", {{"config.json", "{}"}, {"pytorch_model.bin", pickle(1000), true}}));
  hub.add(make_repo("org/ct2", {{"config.json", "{}"}, {"model.bin", MadeUpBytes{1000, 4}, true}}));
  const TestHost machine(hub);
  CHECK(contains(machine.run({"--dry-run", "org/old"}).err, "pytorch_model.bin may be a pickle"));
  CHECK(contains(machine.run({"--dry-run", "org/ct2"}).err, "model.bin may be a pickle"));
  CHECK_FALSE(contains(machine.run({"org/ct2"}).err, "pickle"));
  CHECK_FALSE(contains(machine.run({"org/sharded"}).err, "pickle"));
  CHECK(contains(
      machine.run({"org/sharded", "--include", "*.bin"}).err,
      "warn  org/sharded: pytorch_model.bin is a pickle, which can run code when loaded; there are "
      "safetensors in the same directory"));
  CHECK(contains(machine.run({"org/old"}).err,
                 "warn  org/old: pytorch_model.bin is a pickle, which can run code when "
                 "loaded, and this revision has no safetensors"));
}

TEST_CASE("weights that are a committed Git LFS pointer fail the model, now and from the cache") {
  FakeHub hub;
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, 'a') +
      "\nsize 1000\n";
  const HubRepo repo =
      make_repo("org/pointer", {{"config.json", "{}"}, {"model.safetensors", pointer}});
  hub.add(repo);
  const TestHost machine(hub);
  const std::string wanted = "org/pointer@" + main_of(repo);
  const Run run = machine.run({wanted});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind(wanted) == "not_found");
  CHECK(contains(run.err, "model.safetensors: the repository has a Git LFS pointer"));
  CHECK_FALSE(std::filesystem::exists(machine.cache() / "models--org--pointer/refs"));
  CHECK(machine.run({wanted}).exit_code == 1);
}

TEST_CASE("a variant that a model lacks falls back to fp32, and the summary has both") {
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  machine.use_manifest(hub.manifest());
  const Run run = machine.run({}, {{"MODEL_VARIANT", "openvino-int8"}});
  CHECK(run.exit_code == 0);
  CHECK(run.model("small")["variant_requested"] == "openvino-int8");
  CHECK(run.model("small")["variant"] == "fp32");
  CHECK(run.summary["openvino"] == true);
}

TEST_CASE("safetensors are downloaded, and the same model's weights in other formats are not") {
  FakeHub hub;
  const HubRepo repo = make_repo("org/weights", {{"config.json", "{}"},
                                                 {"model.safetensors", MadeUpBytes{1000, 1}, true},
                                                 {"pytorch_model.bin", MadeUpBytes{1000, 2}, true},
                                                 {"tf_model.h5", MadeUpBytes{1000, 3}, true},
                                                 {"onnx/model.onnx", MadeUpBytes{1000, 4}, true}});
  hub.add(repo);
  const TestHost machine(hub);
  CHECK(machine.run({"org/weights"}).exit_code == 0);
  CHECK(tree_of(machine.cache()) ==
        published(repo, {.paths = {"config.json", "model.safetensors"}}));
}

TEST_CASE("a second variant of a model joins the first one's snapshot") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small"}).exit_code == 0);
  hub.clear_requests();
  CHECK(machine.run({"org/small", "--variant", "all"}).exit_code == 0);
  CHECK(hub.requests("payload").empty());
  CHECK(tree_of(machine.cache()) == published(repo));
}

}  // namespace model_prep::testing
