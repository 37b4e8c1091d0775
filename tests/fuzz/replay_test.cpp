// SPDX-License-Identifier: Apache-2.0
// Runs every input of the corpora in every build: seeds in real forms, and inputs that once failed.
// Each is also cut at each length, as by a torn file or a dropped connection.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzz/targets.h"
#include "support/catch.h"

namespace model_prep::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostCuts = 400;

std::vector<fs::path> inputs_of(const std::string& target) {
  std::vector<fs::path> inputs;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(fs::path(MODEL_PREP_SOURCE_DIR) / "tests/fuzz/corpus" / target))
    inputs.push_back(entry.path());
  std::sort(inputs.begin(), inputs.end());
  return inputs;
}

std::string content_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void replay(const std::string& target, void (*run)(std::string_view)) {
  const std::vector<fs::path> inputs = inputs_of(target);
  CHECK(inputs.size() >= 3);
  for (const fs::path& input : inputs) {
    INFO(input.filename().string());
    const std::string content = content_of(input);
    CHECK_NOTHROW(run(content));
    const std::size_t step = std::max<std::size_t>(1, content.size() / kMostCuts);
    for (std::size_t length = 0; length < content.size(); length += step) {
      INFO("cut to " << length << " bytes");
      REQUIRE_NOTHROW(run(std::string_view(content).substr(0, length)));
    }
  }
}

}  // namespace

TEST_CASE("the corpus of names in blobs/ violates no invariant") { replay("blobs", blobs); }
TEST_CASE("the corpus of model cards violates no invariant") { replay("cards", cards); }
TEST_CASE("the corpus of exports violates no invariant") { replay("exports", exports); }
TEST_CASE("the corpus of files with dependencies violates no invariant") {
  replay("dependencies", dependencies);
}
TEST_CASE("the corpus of the hub's JSON violates no invariant") { replay("hub_json", hub_json); }
TEST_CASE("the corpus of manifests violates no invariant") { replay("manifest", manifest); }
TEST_CASE("the corpus of records violates no invariant") { replay("record", record); }
TEST_CASE("the corpus of resume records violates no invariant") { replay("resume", resume); }
TEST_CASE("the corpus of ranges violates no invariant") { replay("ranges", ranges); }
TEST_CASE("the corpus of headers violates no invariant") { replay("headers", headers); }
TEST_CASE("the corpus of URLs violates no invariant") { replay("urls", urls); }
TEST_CASE("the corpus of host limits violates no invariant") { replay("limits", limits); }
TEST_CASE("the corpus of endpoints violates no invariant") { replay("endpoints", endpoints); }
TEST_CASE("the corpus of plans violates no invariant") { replay("plan", plan); }
TEST_CASE("the corpus of patterns violates no invariant") { replay("patterns", patterns); }
TEST_CASE("the corpus of safetensors files violates no invariant") {
  replay("safetensors", safetensors);
}
TEST_CASE("the corpus of GGUF files violates no invariant") { replay("gguf", gguf); }
TEST_CASE("the corpus of ONNX models violates no invariant") { replay("onnx", onnx); }
TEST_CASE("the corpus of pickles violates no invariant") { replay("pickles", pickles); }
TEST_CASE("the corpus of names violates no invariant") { replay("names", names); }
TEST_CASE("the corpus of signatures violates no invariant") { replay("signature", signature); }
TEST_CASE("the corpus of variables violates no invariant") { replay("variables", variables); }

}  // namespace model_prep::fuzz
