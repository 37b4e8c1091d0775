// SPDX-License-Identifier: Apache-2.0
// What the files say that decide on the selection: shard indexes, and ONNX models with their data.
#include "model_prep/core/deciding_files.h"

#include "core/builders.h"
#include "model_prep/core/onnx_model.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

namespace {

/// A protobuf field that is a string or a message, of fewer than 128 bytes.
std::string field(int number, const std::string& bytes) {
  REQUIRE(bytes.size() < 128);
  const unsigned tag = static_cast<unsigned>(number) << 3U | 2U;
  std::string text(1, static_cast<char>(tag < 128 ? tag : (tag & 0x7fU) | 0x80U));
  if (tag >= 128) text += static_cast<char>(tag >> 7U);
  return text + static_cast<char>(bytes.size()) + bytes;
}

std::string tensor_in(const std::string& location) {
  return field(13, field(1, "location") + field(2, location)) +
         field(13, field(1, "offset") + field(2, "0"));
}

using Locations = std::set<std::string>;

std::optional<Locations> locations_of(const std::string& onnx) {
  const auto data = external_data_of(range_of(onnx));
  if (!data) return std::nullopt;
  Locations locations;
  for (const auto& [location, size] : *data) locations.insert(location);
  return locations;
}

/// An entry of `external_data`.
std::string pair_of(const std::string& key, const std::string& value) {
  return field(13, field(1, key) + field(2, value));
}

}  // namespace

TEST_CASE("an index names shards relative to itself") {
  DecidingFacts facts;
  const RepoPath index = path("unet/m.safetensors.index.json");
  REQUIRE(read_deciding_file(
      facts, index,
      R"({"metadata":{"total_size":1},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors",
                      "c":"m-1.safetensors"}})",
      {}, "org/name"));
  CHECK(facts.shards.at(index) ==
        std::set<RepoPath>{path("unet/m-1.safetensors"), path("unet/m-2.safetensors")});
}

TEST_CASE("an invalid index is refused with its path") {
  const char* text =
      GENERATE("", "[]", "{}", R"({"weight_map":{}})", R"({"weight_map":[1]})",
               R"({"weight_map":{"a":{"b":"c"}}})", R"({"weight_map":{"a":"../../x"}})",
               R"({"weight_map":{"a":7}})", R"({"weight_map":"x"})");
  INFO(text);
  DecidingFacts facts;
  const Status read =
      read_deciding_file(facts, path("m.safetensors.index.json"), text, {}, "org/name");
  REQUIRE_FALSE(read);
  CHECK(read.error().kind == ErrorKind::protocol);
  CHECK(read.error().message.starts_with("org/name m.safetensors.index.json: "));
}

TEST_CASE("a configuration file that cannot be read says nothing") {
  const std::string name = GENERATE("config.json", "modules.json", "model_index.json", "a.onnx");
  const std::string text = GENERATE("", "[", "[7]", "{}", "\"x\"", "\xff\xff");
  DecidingFacts facts;
  CHECK(read_deciding_file(facts, path(name), text, {}, "org/name"));
  CHECK(facts.named_weights.empty());
  CHECK_FALSE(facts.is_ctranslate2);
  CHECK_FALSE(facts.pipeline_folders);
  CHECK(facts.external_data.empty());
}

TEST_CASE("an ONNX model names its data in tensors, also in those of a subgraph") {
  const std::string initializer = field(7, field(5, tensor_in("a.bin")));
  CHECK(locations_of(initializer) == Locations{"a.bin"});

  const std::string attribute = field(1, field(5, field(5, tensor_in("b.bin"))));
  const std::string subgraph = field(1, field(5, field(6, field(5, tensor_in("c.bin")))));
  CHECK(locations_of(field(7, attribute) + field(7, subgraph)) == Locations{"b.bin", "c.bin"});

  CHECK(locations_of(field(7, field(5, field(8, "name")))) == Locations{});
}

TEST_CASE("an ONNX model says how long its data must be") {
  const auto tensor = [](const std::string& entries) { return field(7, field(5, entries)); };
  const auto needs = [](const std::string& onnx) { return *external_data_of(range_of(onnx)); };
  CHECK(
      needs(tensor(pair_of("location", "w") + pair_of("offset", "100") + pair_of("length", "20")) +
            tensor(pair_of("location", "w") + pair_of("length", "50"))) ==
      ExternalData{{"w", 120}});
  CHECK(needs(tensor(pair_of("length", "20") + pair_of("location", "w"))) ==
        ExternalData{{"w", 20}});
  CHECK(needs(tensor(pair_of("location", "w") + pair_of("offset", "x"))) == ExternalData{{"w", 0}});
  CHECK(needs(tensor(pair_of("location", "w") + pair_of("offset", "18446744073709551615") +
                     pair_of("length", "2"))) == ExternalData{{"w", ~std::uint64_t{0}}});
}

TEST_CASE("what is no ONNX model names nothing") {
  const std::string model = field(7, field(5, tensor_in("a.bin")));
  CHECK_FALSE(locations_of(""));
  CHECK_FALSE(locations_of("version https://git-lfs.github.com/spec/v1"));
  for (std::size_t size = 1; size < model.size(); ++size) {
    INFO(size);
    CHECK_FALSE(locations_of(model.substr(0, size)));
  }

  std::string deep = field(5, tensor_in("a.bin"));
  for (int i = 0; i < 8; ++i) deep = field(1, field(5, field(6, deep)));
  CHECK(locations_of(field(7, deep)));
}

TEST_CASE("data outside the repository is not taken for a file of it") {
  DecidingFacts facts;
  const std::string model =
      field(7, field(5, tensor_in("../../etc/x")) + field(5, tensor_in("./w.bin")));
  REQUIRE(read_deciding_file(facts, path("onnx/model.onnx"), model, {}, "org/name"));
  CHECK(facts.external_data.at(path("onnx/model.onnx")) == std::set<RepoPath>{path("onnx/w.bin")});
}
