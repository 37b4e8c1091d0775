// SPDX-License-Identifier: Apache-2.0
// The official validator judges the text in tests/interop/test_bom.py; here is what is in it.
#include "model_prep/core/bom.h"

#include <nlohmann/json.hpp>

#include "core/builders.h"
#include "support/catch.h"

namespace model_prep {
namespace {

using namespace testing;
using Json = nlohmann::json;

const std::string kRef = "pkg:huggingface/org/m@" + kCommit;

ResolvedSnapshot model(const std::string& name = "org/m", char digit = 'c') {
  ResolvedSnapshot snapshot{spec(name, name),
                            commit(digit),
                            {lfs_file("model.bin", 7, 'a'), plain_file("config.json", 2, 'b')},
                            {}};
  snapshot.files[1].locked_sha256 = sha256('d');
  return snapshot;
}

Dependency needs(const std::string& name) {
  return {.repo = repo(name),
          .revision = revision("main"),
          .reason = "the base model",
          .file = path("adapter_config.json")};
}

Json bom_of(const std::vector<BomModel>& models) {
  return Json::parse(cyclonedx_text(models, "1.2.3"));
}

}  // namespace

TEST_CASE("a model is a component with package URL, licenses and the digests of its files") {
  ResolvedSnapshot snapshot = model();
  snapshot.facts.licenses = Strings{"apache-2.0", "gemma", "other:my-license"};
  const Json bom = bom_of({{&snapshot}});
  CHECK(bom["specVersion"] == "1.6");
  CHECK(bom["metadata"]["tools"]["components"][0]["version"] == "1.2.3");

  REQUIRE(bom["components"].size() == 1);
  const Json& component = bom["components"][0];
  CHECK(component["type"] == "machine-learning-model");
  CHECK(component["purl"] == kRef);
  CHECK(component["bom-ref"] == kRef);
  CHECK(component["group"] == "org");
  CHECK(component["name"] == "m");
  CHECK(component["version"] == kCommit);
  CHECK(component["licenses"][0]["license"]["id"] == "Apache-2.0");
  CHECK(component["licenses"][1]["license"]["name"] == "gemma");
  CHECK(component["licenses"][2]["license"]["name"] == "my-license");

  // Sorted by path.
  const Json& config = component["components"][0];
  CHECK(config["name"] == "config.json");
  CHECK(config["hashes"] == Json{{{"alg", "SHA-256"}, {"content", std::string(64, 'd')}}});
  CHECK(config["properties"][1]["value"] == std::string(40, 'b'));
  CHECK(component["components"][1]["hashes"][0]["content"] == std::string(64, 'a'));
  CHECK(component["components"][1]["properties"].size() == 1);
}

TEST_CASE("git's id of a plain file is no digest of it") {
  ResolvedSnapshot snapshot = model();
  snapshot.files[1].locked_sha256.reset();
  const Json config = bom_of({{&snapshot}})["components"][0]["components"][0];
  CHECK_FALSE(config.contains("hashes"));
  CHECK(config["properties"][1]["name"] == "model-prep:git-blob-sha1");
}

TEST_CASE("a model whose license is not known, or that has none, claims none") {
  ResolvedSnapshot snapshot = model();
  CHECK_FALSE(bom_of({{&snapshot}})["components"][0].contains("licenses"));
  snapshot.facts.licenses = Strings{};
  CHECK_FALSE(bom_of({{&snapshot}})["components"][0].contains("licenses"));
}

TEST_CASE("what a model needs is the locked model, or a component without a version") {
  const ResolvedSnapshot snapshot = model();
  const ResolvedSnapshot base = model("base", 'e');
  const std::vector<Dependency> dependencies = {needs("base"), needs("org/elsewhere")};
  const Json bom = bom_of({{&snapshot, dependencies}, {&base}});

  const std::string base_ref = "pkg:huggingface/base@" + std::string(40, 'e');
  CHECK(bom["dependencies"] ==
        Json{{{"ref", base_ref}, {"dependsOn", Json::array()}},
             {{"ref", kRef}, {"dependsOn", {base_ref, "pkg:huggingface/org/elsewhere"}}}});
  REQUIRE(bom["components"].size() == 3);
  CHECK(bom["components"][2]["bom-ref"] == "pkg:huggingface/org/elsewhere");
  CHECK_FALSE(bom["components"][2].contains("version"));
}

TEST_CASE("two variants of one commit are one component with the files of both") {
  ResolvedSnapshot other = model();
  other.spec.key = "other";
  other.spec.variant = Build::onnx;
  other.files = {lfs_file("onnx/model.onnx", 7, 'e')};
  const ResolvedSnapshot snapshot = model();
  const Json bom = bom_of({{&snapshot}, {&other}});
  REQUIRE(bom["components"].size() == 1);
  CHECK(bom["components"][0]["components"].size() == 3);
  CHECK(bom["components"][0]["properties"].size() == 2);
}

TEST_CASE("the text does not depend on the order of models and files") {
  ResolvedSnapshot a = model("org/a");
  const ResolvedSnapshot b = model("org/b");
  const std::string text = cyclonedx_text({{&a}, {&b}}, "1");
  std::swap(a.files[0], a.files[1]);
  CHECK(cyclonedx_text({{&b}, {&a}}, "1") == text);

  // One commit twice, of which only one knows the license and a digest; two commits that may be
  // meant.
  const ResolvedSnapshot old = model("org/b", 'd');
  ResolvedSnapshot bare = b;
  bare.facts = {};
  for (RemoteFile& file : bare.files) file.locked_sha256.reset();
  const std::vector<Dependency> dependencies = {needs("org/b")};
  const std::string more = cyclonedx_text({{&a, dependencies}, {&b}, {&bare}, {&old}}, "1");
  CHECK(cyclonedx_text({{&old}, {&bare}, {&b}, {&a, dependencies}}, "1") == more);
}

TEST_CASE("what a dependency needs in turn is no need of the model") {
  const ResolvedSnapshot snapshot = model();
  std::vector<Dependency> dependencies = {needs("base"), needs("org/code")};
  dependencies[1].direct = false;
  const Json bom = bom_of({{&snapshot, dependencies}});
  CHECK(bom["dependencies"][0]["dependsOn"] == Json{"pkg:huggingface/base"});
}

TEST_CASE("other repositories are no models, and have no package URL") {
  const auto [name, type] = GENERATE(table<std::string, std::string>(
      {{"datasets/org/d", "data"}, {"spaces/org/s", "application"}, {"kernels/org/k", "library"}}));
  const ResolvedSnapshot snapshot = model(name);
  const Json component = bom_of({{&snapshot}})["components"][0];
  CHECK(component["type"] == type);
  CHECK_FALSE(component.contains("purl"));
  CHECK(component["externalReferences"][0]["url"] ==
        "https://huggingface.co/" + name + "/tree/" + kCommit);
}

TEST_CASE("what the scanners found is a property") {
  ResolvedSnapshot snapshot = model();
  snapshot.facts.scan = ScanVerdict{true, {{"model.bin", "caution"}}};
  const Json properties = bom_of({{&snapshot}})["components"][0]["properties"];
  CHECK(properties[1]["name"] == "model-prep:hub-scan");
  CHECK(properties[1]["value"] == "complete");
  CHECK(properties[2]["value"] == "model.bin (caution)");
}

TEST_CASE("a license of the Hub has the id of SPDX only if it is the same license") {
  CHECK(spdx_id("apache-2.0") == "Apache-2.0");
  CHECK(spdx_id("cc-by-nc-sa-4.0") == "CC-BY-NC-SA-4.0");
  CHECK(spdx_id("odc-by") == "ODC-By-1.0");
  for (const char* license : {"", "other", "gpl", "bsd", "cc", "llama3", "openrail", "Apache-2.0x"})
    CHECK(spdx_id(license).empty());
}

}  // namespace model_prep
