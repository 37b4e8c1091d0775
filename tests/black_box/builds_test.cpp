// SPDX-License-Identifier: Apache-2.0
// Builds by name, and what their files say: one quantisation of many, exports, and data outside of
// a model (docs/variants.md).
#include <algorithm>

#include "support/catch.h"
#include "support/hub_spec.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

HubRepo quantised_repo() {
  return make_repo("org/q-GGUF", {{".gitattributes", "*.gguf filter=lfs"},
                                  {"README.md", "a model"},
                                  {"mmproj-F16.gguf", MadeUpBytes{700, 1}, true},
                                  {"q-Q4_K_M.gguf", MadeUpBytes{4000, 2}, true},
                                  {"q-Q8_0-00001-of-00002.gguf", MadeUpBytes{5000, 3}, true},
                                  {"q-Q8_0-00002-of-00002.gguf", MadeUpBytes{3000, 4}, true}});
}

/// A field of a protobuf message, of fewer than 128 bytes.
std::string field(int number, const std::string& bytes) {
  return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(bytes.size()) +
         bytes;
}

/// An ONNX model with one tensor, whose data is in this file.
std::string onnx_with_data_in(const std::string& file) {
  return field(7, field(5, field(13, field(1, "location") + field(2, file))));
}

HubRepo exported_repo() {
  return make_repo("org/exported", {{"config.json", "{}"},
                                    {"onnx/model.onnx", onnx_with_data_in("weights.bin")},
                                    {"onnx/model_q4.onnx", onnx_with_data_in("weights_q4.bin")},
                                    {"onnx/weights.bin", MadeUpBytes{900, 1}, true},
                                    {"onnx/weights_q4.bin", MadeUpBytes{300, 2}, true},
                                    {"pytorch_model.bin", MadeUpBytes{800, 3}, true}});
}

}  // namespace

TEST_CASE("one quantisation is fetched, with its splits and the projector") {
  FakeHub hub;
  const HubRepo repo = quantised_repo();
  hub.add(repo);
  const TestHost machine(hub);
  const std::string pinned = "org/q-GGUF@" + main_of(repo) + ":Q8_0";
  const Run run = machine.run({}, {{"MODELS_TO_DOWNLOAD", pinned}});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(run.model(pinned)["variant"] == "gguf:Q8_0");
  CHECK(tree_of(machine.cache()) ==
        published(repo, {.paths = {"README.md", "mmproj-F16.gguf", "q-Q8_0-00001-of-00002.gguf",
                                   "q-Q8_0-00002-of-00002.gguf"}}));

  hub.clear_requests();
  CHECK(machine.run({pinned}).exit_code == 0);
  CHECK(hub.requests().empty());
}

TEST_CASE("two builds of a repository are two models of a run") {
  FakeHub hub;
  const HubRepo repo = quantised_repo();
  hub.add(repo);
  const TestHost machine(hub);
  const Run run = machine.run({"org/q-GGUF:Q4_K_M", "org/q-GGUF:gguf:q8_0"});
  CHECK(run.exit_code == 0);
  CHECK(run.summary["models"].size() == 2);
  CHECK(tree_of(machine.cache()) ==
        published(repo, {.paths = {"README.md", "mmproj-F16.gguf", "q-Q4_K_M.gguf",
                                   "q-Q8_0-00001-of-00002.gguf", "q-Q8_0-00002-of-00002.gguf"}}));
}

TEST_CASE("a build that is not there, or could be several, is an error that lists what is there") {
  FakeHub hub;
  hub.add(quantised_repo());
  const TestHost machine(hub);
  const Run wrong = machine.run({"org/q-GGUF:Q5_K_M"});
  CHECK(wrong.exit_code == 1);
  CHECK(wrong.error_kind("org/q-GGUF:Q5_K_M") == "not_found");
  CHECK(contains(wrong.err, "org/q-GGUF: there is no build gguf:Q5_K_M"));
  CHECK(contains(wrong.err, "gguf:Q4_K_M (4.7 kB), gguf:Q8_0 (8.7 kB)"));

  const Run several = machine.run({"org/q-GGUF", "--variant", "gguf"});
  CHECK(several.exit_code == 1);
  CHECK(contains(several.err, "org/q-GGUF: there are 2 builds that gguf could mean"));
  CHECK(hub.requests("payload").empty());
}

TEST_CASE("an ONNX model is read first, and the data that it names is fetched with it") {
  FakeHub hub;
  const HubRepo repo = exported_repo();
  hub.add(repo);
  const TestHost machine(hub);
  const std::string pinned = "org/exported@" + main_of(repo) + ":onnx";
  const Run run = machine.run({pinned});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(tree_of(machine.cache()) ==
        published(repo, {.paths = {"config.json", "onnx/model.onnx", "onnx/weights.bin"}}));

  hub.clear_requests();
  CHECK(machine.run({pinned}).exit_code == 0);
  CHECK(hub.requests().empty());
  CHECK(machine.run({pinned}, {{"HF_HUB_OFFLINE", "1"}}).exit_code == 0);
}

TEST_CASE("a model whose data is not in the repository is an error before any weights") {
  FakeHub hub;
  hub.add(make_repo("org/half", {{"onnx/model.onnx", onnx_with_data_in("weights.bin")},
                                 {"onnx/other.bin", MadeUpBytes{900, 1}, true}}));
  const TestHost machine(hub);
  const Run run = machine.run({"org/half:onnx"});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "onnx/model.onnx lists onnx/weights.bin, which does not exist"));
  CHECK(hub.requests("payload").empty());
}

TEST_CASE("list --builds asks the Hub, and prints builds with sizes and files") {
  FakeHub hub;
  const HubRepo repo = exported_repo();
  hub.add(repo);
  const TestHost machine(hub);
  const Run run = machine.run({"list", "--builds", "org/exported"});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(contains(run.out, "MODEL         BUILD"));
  CHECK(contains(run.out, "org/exported  fp32"));
  CHECK(contains(run.out, "org/exported  onnx:model_q4"));
  CHECK(hub.requests("resolve").empty());
  CHECK_FALSE(std::filesystem::exists(machine.home()));

  const auto json =
      nlohmann::json::parse(machine.run({"list", "--builds", "--json", "org/exported"}).out);
  const auto& model = json["models"][0];
  CHECK(model["commit"] == main_of(repo));
  CHECK(model["builds"][0] ==
        nlohmann::json{{"build", "fp32"}, {"size", 800}, {"files", {"pytorch_model.bin"}}});

  CHECK(machine.run({"list", "--builds", "org/nosuch"}).exit_code == 1);
  CHECK(machine.run({"list", "--builds", "org/exported"}, {{"HF_HUB_OFFLINE", "1"}}).exit_code ==
        1);
}

TEST_CASE("a volume that was filled without .gitattributes stays complete without a request") {
  FakeHub hub;
  const HubRepo repo = make_repo("org/small", {{".gitattributes", "*.bin filter=lfs"},
                                               {"config.json", "{}"},
                                               {"model.safetensors", MadeUpBytes{900, 1}, true}});
  hub.add(repo);
  const TestHost machine(hub);
  const std::string pinned = "org/small@" + main_of(repo);
  REQUIRE(machine.run({pinned, "--exclude", ".gitattributes"}).exit_code == 0);

  hub.clear_requests();
  CHECK(machine.run({pinned}).exit_code == 0);
  CHECK(hub.requests().empty());
  CHECK(machine.run({pinned}, {{"HF_HUB_OFFLINE", "1"}}).exit_code == 0);
}

}  // namespace model_prep::testing
