// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/manifest.h"

#include <algorithm>

#include "core/builders.h"
#include "model_prep/base/glob.h"
#include "model_prep/commands/built_in_manifest.h"
#include "model_prep/core/model_selection.h"
#include "support/catch.h"

namespace model_prep {
namespace {

Manifest built_in() { return *parse_manifest(built_in_manifest_text(), "(built in)"); }

/// A manifest of one model `a` with these members.
std::string manifest_with(const std::string& members) {
  return R"({"version":1,"models":{"a":{"repo":"org/a",)" + members + "}}}";
}

std::string manifest_refusal(const std::string& text) {
  const auto manifest = parse_manifest(text, "m.json");
  return manifest ? "" : manifest.error().message;
}

std::vector<ModelSpec> select(const std::string& text, const std::vector<std::string>& wanted,
                              Variant variant = Build::fp32) {
  return *select_models(*parse_manifest(text, "m.json"), {.names = wanted}, variant);
}

bool belongs(const FileFilter& filter, const std::string& path) {
  const auto matches = [&](const std::string& pattern) { return matches_pattern(pattern, path); };
  return std::any_of(filter.include.begin(), filter.include.end(), matches) &&
         std::none_of(filter.exclude.begin(), filter.exclude.end(), matches);
}

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct Wrong {
  std::string text;
  std::string path;  ///< of the fault, as the message names it
};

}  // namespace

TEST_CASE("the built-in manifest pins three models") {
  const Manifest manifest = built_in();
  REQUIRE(manifest.models.size() == 3);
  CHECK(manifest.models[0].key == "all-MiniLM-L6-v2");
  CHECK(manifest.models[0].repo.text() == "sentence-transformers/all-MiniLM-L6-v2");
  CHECK(manifest.models[0].revision.text() == "fa97f6e7cb1a59073dff9e6b13e2715cf7475ac9");
  CHECK(manifest.models[1].key == "bge-reranker-base");
  CHECK(manifest.models[1].repo.text() == "BAAI/bge-reranker-base");
  CHECK(manifest.models[1].revision.text() == "2cfc18c9415c912f9d8155881c133215df768a70");
  CHECK(manifest.models[2].key == "flan-t5-small");
  CHECK(manifest.models[2].repo.text() == "google/flan-t5-small");
  CHECK(manifest.models[2].revision.text() == "0fc9ddf78a1e988dac52e2dac162b0ede4fd74ab");
}

TEST_CASE("a locked variant's size in the built-in manifest is the sum of its files") {
  int checked = 0;
  for (const ManifestModel& model : built_in().models) {
    for (const ManifestVariant& variant : model.variants) {
      if (!model.locked.contains(variant.name) || !variant.size) continue;
      std::int64_t sum = 0;
      for (const auto& [path, file] : model.files)
        sum += belongs(variant.filter, path.text()) ? file.size : 0;
      INFO(model.key << " " << variant.name.text());
      CHECK(sum == *variant.size);
      ++checked;
    }
  }
  CHECK(checked >= 5);
}

TEST_CASE("every default model can be selected in every variant") {
  const Variant variant = GENERATE(Build::fp32, Build::openvino_int8, Build::onnx, Build::all);
  const auto specs = select_models(built_in(), {}, variant);
  REQUIRE(specs.has_value());
  CHECK(specs->size() == 3);
}

TEST_CASE("comments are allowed") {
  CHECK(manifest_refusal("// mine\n" + manifest_with(R"("revision":"main" /* moves */)")).empty());
}

TEST_CASE("an error in a manifest is reported with its path") {
  const Wrong wrong = GENERATE(
      Wrong{R"([])", ""}, Wrong{R"({)", ""}, Wrong{R"({"models":{}})", "version"},
      Wrong{R"({"version":2,"models":{}})", "version"}, Wrong{R"({"version":1})", "models"},
      Wrong{R"({"version":1,"models":{},"extra":1})", "extra"},
      Wrong{R"({"version":1,"models":{"a":{}}})", "models.a.repo"},
      Wrong{R"({"version":1,"models":{"a":{"repo":"../x"}}})", "models.a.repo"},
      Wrong{manifest_with(R"("revision":7)"), "models.a.revision"},
      Wrong{manifest_with(R"("revision":"a/../b")"), "models.a.revision"},
      Wrong{manifest_with(R"("ref":"../x")"), "models.a.ref"},
      Wrong{manifest_with(R"("ref":")" + testing::kCommit + '"'), "models.a.ref"},
      Wrong{manifest_with(R"("revision":")" + std::string(40, 'd') + R"(","ref":")" +
                          testing::kCommit + '"'),
            "models.a.ref"},
      Wrong{manifest_with(R"("revision":")" + testing::kCommit + R"(","ref":")" + testing::kCommit +
                          R"(","variants":{"fp32":{"revision":"main"}})"),
            "models.a.variants.fp32.revision"},
      Wrong{manifest_with(R"("used_by":"x")"), "models.a.used_by"},
      Wrong{manifest_with(R"("variants":[])"), "models.a.variants"},
      Wrong{manifest_with(R"("variants":{"int4":{}})"), "models.a.variants.int4"},
      Wrong{manifest_with(R"("variants":{"fp32":{"include":"*"}})"),
            "models.a.variants.fp32.include"},
      Wrong{manifest_with(R"("variants":{"fp32":{"size":-1}})"), "models.a.variants.fp32.size"},
      Wrong{manifest_with(R"("variants":{"fp32":{"sise":1}})"), "models.a.variants.fp32.sise"},
      Wrong{manifest_with(R"("files":{"../x":{"size":1}})"), "models.a.files.../x"},
      Wrong{manifest_with(R"("files":{"x":{"sha256":"aa"}})"), "models.a.files.x.size"},
      Wrong{manifest_with(R"("files":{"x":{"size":1}})"), "models.a.files.x"},
      Wrong{manifest_with(R"("files":{"x":{"size":1,"sha256":"aa"}})"), "models.a.files.x.sha256"},
      Wrong{manifest_with(R"("files":{"x":{"size":1,"git_sha1":")" + std::string(64, 'a') + "\"}}"),
            "models.a.files.x.git_sha1"},
      Wrong{manifest_with(R"("locked":["onnx"])"), "models.a.locked"},
      Wrong{manifest_with(R"("variants":{"onnx":{"repo":"org/b"}},"locked":["onnx"])"),
            "models.a.locked"},
      Wrong{manifest_with(R"("revision":"v1","revision":"v2")"), "models.a.revision"},
      Wrong{manifest_with(R"("files":{"x":{"size":1,"size":2}})"), "models.a.files.x.size"},
      Wrong{R"({"version":1,"models":{"a":{"repo":"a/b"},"a":{"repo":"a/c"}}})", "models.a: "},
      Wrong{manifest_with(R"("files":{"x":{"size":1,"git_sha1":")" + testing::kCommit +
                          R"("},"y":{"size":2,"git_sha1":")" + testing::kCommit + "\"}}"),
            "models.a.files.y"},
      Wrong{R"({"version":1,"models":{"a":{"repo":"datasets/a/b/c"}}})", "models.a.repo"},
      Wrong{R"({"version":1,"models":{"a":{"repo":"datasets/a/b","variants":{"onnx":{}}}}})",
            "models.a.variants.onnx"});
  INFO(wrong.text);
  const std::string message = manifest_refusal(wrong.text);
  CHECK(says(message, "manifest m.json: "));
  CHECK(says(message, wrong.path));
}

TEST_CASE("a model's ref may be its own commit") {
  const std::string text =
      manifest_with(R"("revision":")" + testing::kCommit + R"(","ref":")" + testing::kCommit + '"');
  CHECK(manifest_refusal(text).empty());
  CHECK(select(text, {"a"}).front().ref == testing::kCommit);
}

TEST_CASE("a size beyond 64 bits is refused and does not wrap") {
  CHECK_FALSE(
      manifest_refusal(manifest_with(R"("variants":{"fp32":{"size":18446744073709551615}})"))
          .empty());
}

TEST_CASE("a model without a revision uses main and is not pinned") {
  const auto specs = select(manifest_with(R"("purpose":"x")"), {"a"});
  CHECK(specs.at(0).revision.text() == "main");
  CHECK_FALSE(specs.at(0).revision.commit().has_value());
}

TEST_CASE("a model without variants gets automatic selection, or everything for all") {
  CHECK(select(manifest_with(R"("ref":"main")"), {"a"}).at(0).filter.select_weights_automatically);
  CHECK(select(manifest_with(R"("ref":"main")"), {"a"}, Build::all).at(0).whole_commit);
}

TEST_CASE("a variant that a model does not have falls back to fp32") {
  const auto spec =
      select(manifest_with(R"("variants":{"fp32":{"include":["x"]}})"), {"a"}, Build::openvino_int8)
          .at(0);
  CHECK(spec.variant == Build::fp32);
  CHECK(spec.variant_requested == Build::openvino_int8);
}

TEST_CASE("a variant may be in another repository, to which the model's lock does not apply") {
  const auto spec =
      select(
          manifest_with(R"("revision":")" + testing::kCommit +
                        R"(","variants":{"onnx":{"repo":"org/b","revision":"v1","include":["*"]}},
                                "files":{"x":{"size":1,"git_sha1":")" +
                        testing::kCommit + R"("}})"),
          {"a"}, Build::onnx)
          .at(0);
  CHECK(spec.repo.text() == "org/b");
  CHECK(spec.revision.text() == "v1");
  CHECK(spec.lock.empty());
  CHECK_FALSE(spec.fully_locked);
}

TEST_CASE("a locked variant selects exactly its own files") {
  const std::string file = R"({"size":1,"git_sha1":")" + testing::kCommit + "\"}";
  const auto spec =
      select(
          manifest_with(
              R"("variants":{"fp32":{"include":["*.json"],"exclude":["onnx/*"]}},"locked":["fp32"],
      "files":{"a.json":)" +
              file + R"(,"onnx/b.json":)" + file + R"(,"c.txt":)" + file + "}"),
          {"a"})
          .at(0);
  CHECK(spec.fully_locked);
  REQUIRE(spec.lock.size() == 1);
  CHECK(spec.lock.begin()->first.text() == "a.json");
}

TEST_CASE("patterns select from a lock of the whole commit, but not from a partial lock") {
  const std::string file = R"({"size":1,"git_sha1":")" + testing::kCommit + "\"}";
  const auto chosen = [&](const std::string& variants, const std::string& locked) {
    const std::string text =
        manifest_with(R"("variants":{)" + variants + R"(},"locked":[")" + locked +
                      R"("],"files":{"a.json":)" + file + R"(,"b.txt":)" + file + "}");
    const FileFilter patterns{.include = {"*.json"}, .exclude = {}};
    return select_models(*parse_manifest(text, "m.json"), {}, Build::fp32, patterns)->at(0);
  };
  const ModelSpec whole = chosen(R"("fp32":{"include":["b.txt"]})", "all");
  CHECK(whole.fully_locked);
  CHECK(whole.lock.size() == 1);
  CHECK_FALSE(whole.whole_commit);
  CHECK_FALSE(chosen(R"("fp32":{"include":["*"],"exclude":["c"]})", "fp32").fully_locked);
  // A lock made with patterns lists them under the variant's name.
  CHECK_FALSE(chosen(R"("fp32":{},"all":{"include":["a.json"]})", "all").fully_locked);
  CHECK_FALSE(chosen(R"("fp32":{"revision":"v2"})", "all").fully_locked);
}

TEST_CASE("a lock without files is refused") {
  const auto manifest =
      parse_manifest(manifest_with(R"("variants":{"fp32":{}},"locked":["fp32"])"), "m.json");
  REQUIRE(manifest.has_value());
  CHECK_FALSE(select_models(*manifest, {.names = {"a"}}, Build::fp32).has_value());
}

TEST_CASE("any repository can be named, with or without a revision") {
  const auto specs =
      select(manifest_with(R"("ref":"main")"), {"org/x", "org/y@v1", "org/z@" + testing::kCommit});
  REQUIRE(specs.size() == 3);
  CHECK(specs[0].revision.text() == "main");
  CHECK(specs[1].revision.text() == "v1");
  CHECK(specs[1].key == "org/y@v1");
  CHECK(specs[2].revision.commit()->hex() == testing::kCommit);
}

TEST_CASE("a dataset or space is complete in any variant, so none is reported as missing") {
  const Variant variant = GENERATE(Build::fp32, Build::openvino_int8, Build::all);
  const auto specs = select(R"({"version":1,"models":{"d":{"repo":"datasets/org/d"}}})",
                            {"d", "datasets/squad@v1", "spaces/org/s"}, variant);
  REQUIRE(specs.size() == 3);
  CHECK(specs[0].repo.text() == "datasets/org/d");
  CHECK(specs[1].repo.text() == "datasets/squad");
  CHECK(specs[1].revision.text() == "v1");
  CHECK(specs[2].repo.kind() == RepoKind::space);
  for (const ModelSpec& spec : specs) {
    CHECK(spec.variant == Build::all);
    CHECK(spec.variant_requested == Build::all);
    CHECK(spec.whole_commit);
  }
}

TEST_CASE("a manifest may select part of a dataset as its variant all") {
  const auto spec = select(R"({"version":1,"models":{"d":{"repo":"datasets/org/d",
      "variants":{"all":{"include":["data/train-*"]}}}}})",
                           {"d"})
                        .at(0);
  CHECK(spec.filter.include == std::vector<std::string>{"data/train-*"});
  CHECK_FALSE(spec.whole_commit);
}

TEST_CASE("a model named twice is selected once, and all models if none is named") {
  CHECK(select(manifest_with(R"("ref":"main")"), {"a", "a"}).size() == 1);
  CHECK(select(manifest_with(R"("ref":"main")"), {}).size() == 1);
}

TEST_CASE("an unknown key is an error that lists the known keys") {
  const auto specs = select_models(built_in(), {.names = {"all-MiniLM"}}, Build::fp32);
  REQUIRE_FALSE(specs.has_value());
  CHECK(specs.error().kind == ErrorKind::usage);
  CHECK(says(specs.error().message, "'all-MiniLM'"));
  CHECK(says(specs.error().hint, "all-MiniLM-L6-v2, bge-reranker-base, flan-t5-small"));
}

TEST_CASE("an invalid repository name is refused") {
  const std::string name =
      GENERATE("org/", "/name", "a/b/c", "org/na..me", "org/x@", "org/x@a//b", "-a/b", "org/x.git");
  const auto specs = select_models(built_in(), {.names = {name}}, Build::fp32);
  REQUIRE_FALSE(specs.has_value());
  CHECK(specs.error().kind == ErrorKind::usage);
}

TEST_CASE("an address of a repository's page is its name") {
  const auto [address, name] = GENERATE(table<std::string, std::string>({
      {"hf://org/a", "org/a"},
      {"hf://a", "a"},
      {"hf://org/a@v1", "org/a@v1"},
      {"hf://datasets/org/a@refs%2Fpr%2F1", "datasets/org/a@refs/pr/1"},
      {"https://huggingface.co/org/a", "org/a"},
      {"https://huggingface.co/a/", "a"},
      {"https://huggingface.co/org/a/tree/main", "org/a@main"},
      {"https://huggingface.co/org/a/tree/refs%2Fpr%2F1", "org/a@refs/pr/1"},
      {"https://huggingface.co/org/a/commit/" + testing::kCommit, "org/a@" + testing::kCommit},
      {"https://huggingface.co/spaces/org/a/tree/v1?x=/y#z", "spaces/org/a@v1"},
      {"https://hf.co/org/a", "org/a"},
  }));
  Strings words = {address};
  if (name.find('/') != std::string::npos) words.push_back(name);  // else it would be a key
  const auto specs = select_models(built_in(), {.names = words}, Build::fp32);
  REQUIRE(specs);
  REQUIRE(specs->size() == 1);
  CHECK(specs->front().key == name);
}

TEST_CASE("a page on an endpoint is a name too") {
  const ModelNames names{.names = {"http://mirror:8080/hf/org/a/tree/v1:onnx"},
                         .endpoints = {"http://mirror:8080/hf"}};
  const auto specs = select_models(built_in(), names, Build::fp32);
  REQUIRE(specs);
  CHECK(specs->front().key == "org/a@v1:onnx");
  CHECK(specs->front().repo.text() == "org/a");
  CHECK(specs->front().variant == Build::onnx);
}

TEST_CASE("an address of elsewhere is called that, without its login") {
  const ModelNames names{.names = {"https://me:secret@other/org/a@v1"},
                         .endpoints = {"https://mirror"}};
  const auto specs = select_models(built_in(), names, Build::fp32);
  REQUIRE_FALSE(specs);
  CHECK(specs.error().kind == ErrorKind::usage);
  CHECK(specs.error().message ==
        "the address of a model, other/org/a@v1, is neither on the Hub nor on an endpoint");
}

TEST_CASE("a word is not suggested instead of itself") {
  const auto hint_for = [](const std::string& name) {
    const ModelNames names{.names = {name}, .other_words = {"list", "lock"}};
    return select_models(built_in(), names, Build::fp32).error().hint;
  };
  CHECK(hint_for("list").starts_with("the manifest contains"));
  CHECK(hint_for("lsit").starts_with("did you mean 'list'?"));
}

TEST_CASE("where the manifest pins a name, a revision after it must be the manifest's") {
  const auto manifest = parse_manifest(R"({"version": 1, "models": {"org/a": {"repo": "org/a",
      "revision": ")" + testing::kCommit + R"(", "ref": "v1"}}})",
                                       "m.json");
  REQUIRE(manifest);
  const auto select = [&](const std::string& name) {
    const ModelNames names{.names = {name}, .manifest_only = true, .pinned_by_manifest = true};
    return select_models(*manifest, names, Build::all);
  };
  for (const std::string& revision : {testing::kCommit, std::string("v1")}) {
    const auto specs = select("org/a@" + revision);
    REQUIRE(specs);
    CHECK(specs->front().key == "org/a@" + revision);
    CHECK(specs->front().revision.text() == testing::kCommit);
    CHECK_FALSE(specs->front().ref_if_unset);
  }

  const auto other = select("org/a@v2");
  REQUIRE_FALSE(other);
  CHECK(other.error().kind == ErrorKind::usage);
  CHECK(other.error().message ==
        "org/a is asked for at revision v2, and the manifest has it at " + testing::kCommit);
}

TEST_CASE("a build after the name is that model's, and another word is a quantisation") {
  const auto [name, variant] = GENERATE(table<std::string, std::string>({
      {"org/a:onnx", "onnx"},
      {"org/a@v1:onnx:model_O3", "onnx:model_O3"},
      {"org/a@refs/pr/1:Q4_K_M", "gguf:Q4_K_M"},
      {"hf://org/a:openvino-int8", "openvino-int8"},
      {"org/a", "fp32"},
  }));
  const auto specs = select_models(built_in(), {.names = {name, "org/b"}}, Build::fp32);
  REQUIRE(specs);
  CHECK(specs->at(0).repo.text() == "org/a");
  CHECK(specs->at(0).variant_requested.text() == variant);
  CHECK(specs->at(0).variant.text() == variant);
  CHECK(specs->at(1).variant == Build::fp32);
}

TEST_CASE("a key of the manifest may be followed by a build") {
  const auto specs = select_models(
      built_in(), {.names = {"all-MiniLM-L6-v2:gguf:Q8_0", "all-MiniLM-L6-v2"}}, Build::fp32);
  REQUIRE(specs);
  REQUIRE(specs->size() == 2);
  CHECK(specs->at(0).key == "all-MiniLM-L6-v2:gguf:Q8_0");
  CHECK(specs->at(0).variant.text() == "gguf:Q8_0");
  CHECK(specs->at(0).filter.select_weights_automatically);
  CHECK_FALSE(specs->at(1).filter.select_weights_automatically);
}

TEST_CASE("a name with a colon and no build is refused") {
  const std::string name = GENERATE("org/a:", "org/a:fp32:x", "org/a:onnx:", "org/a:b c");
  CHECK_FALSE(select_models(built_in(), {.names = {name}}, Build::fp32));
}

TEST_CASE("an address of another site, or of a file, is refused") {
  const std::string address =
      GENERATE("https://example.org/org/a", "https://huggingface.co/org/a/blob/main/config.json",
               "https://huggingface.co/", "hf://", "https://huggingface.co.example/org/a");
  const auto specs = select_models(built_in(), {.names = {address}}, Build::fp32);
  REQUIRE_FALSE(specs);
  CHECK(specs.error().kind == ErrorKind::usage);
}

}  // namespace model_prep
