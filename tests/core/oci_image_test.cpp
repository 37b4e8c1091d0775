// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/oci_image.h"

#include <nlohmann/json.hpp>

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;
using Json = nlohmann::json;

namespace {

const OciBlob kImage{sha256('a'), 7};

/// The digests of an index, in order.
std::vector<std::string> digests(const Result<std::string>& index) {
  std::vector<std::string> found;
  const Json json = Json::parse(*index);
  for (const Json& entry : json["manifests"])
    found.push_back(entry["digest"].get<std::string>().substr(7, 1));
  return found;
}

}  // namespace

TEST_CASE("a config lists the layers' digests and their history, and no time but the epoch") {
  const OciLayer layers[] = {{{sha256('1'), 10}, "first"}, {{sha256('2'), 20}, "second"}};
  const Json config = Json::parse(oci_config("arm64", layers));
  CHECK(config["architecture"] == "arm64");
  CHECK(config["os"] == "linux");
  CHECK(config["created"] == "1970-01-01T00:00:00Z");
  CHECK(config["rootfs"] ==
        Json{{"type", "layers"}, {"diff_ids", {oci_digest(sha256('1')), oci_digest(sha256('2'))}}});
  CHECK(config["history"].size() == 2);
  CHECK(config["history"][1]["created_by"] == "second");
}

TEST_CASE("the manifests of an image share their layers, and differ in their platform") {
  const OciLayer layers[] = {{{sha256('1'), 10}, ""}};
  const Json manifest = Json::parse(oci_manifest(kImage, layers));
  CHECK(manifest["schemaVersion"] == 2);
  CHECK(manifest["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json");
  CHECK(manifest["layers"] == Json{{{"mediaType", "application/vnd.oci.image.layer.v1.tar"},
                                    {"digest", oci_digest(sha256('1'))},
                                    {"size", 10}}});

  const OciBlob manifests[] = {{sha256('3'), 3}, {sha256('4'), 4}};
  const Json index = Json::parse(oci_image_index(manifests));
  CHECK(index["manifests"][0]["platform"] == Json{{"architecture", "amd64"}, {"os", "linux"}});
  CHECK(index["manifests"][1]["platform"] == Json{{"architecture", "arm64"}, {"os", "linux"}});
}

TEST_CASE("a new layout has one tag, and another image replaces its own tag only") {
  const auto first = oci_layout_index(std::nullopt, kImage, "v1");
  REQUIRE(first);
  CHECK(digests(first) == std::vector<std::string>{"a"});
  const auto second = oci_layout_index(*first, {sha256('b'), 8}, "v2");
  CHECK(digests(second) == std::vector<std::string>{"a", "b"});
  CHECK(digests(oci_layout_index(*second, {sha256('c'), 9}, "v1")) ==
        std::vector<std::string>{"c", "b"});
  CHECK(*oci_layout_index(*second, kImage, "v1") == *second);
}

TEST_CASE("what others wrote into the index stays") {
  const std::string existing =
      R"({"schemaVersion":2,"manifests":[{"digest":"sha256:9","x":[1,{"y":null}]},7],"annotations":{"a":"b"}})";
  const auto index = oci_layout_index(existing, kImage, "v1");
  REQUIRE(index);
  const Json json = Json::parse(*index);
  CHECK(json["annotations"]["a"] == "b");
  CHECK(json["manifests"].size() == 3);
  CHECK(json["manifests"][0] == Json::parse(existing)["manifests"][0]);
}

TEST_CASE("a file that is no index is refused") {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[]"), std::string("{\"schemaVersion\":2}"),
        std::string("{\"schemaVersion\":1,\"manifests\":[]}"), deep}) {
    CHECK_FALSE(oci_layout_index(text, kImage, "v1"));
    CHECK_FALSE(is_oci_index(text));
  }
  CHECK(is_oci_index(R"({"schemaVersion":2,"manifests":[]})"));
}

TEST_CASE("a layout is one of some version") {
  CHECK(is_oci_marker(kOciMarkerText));
  for (const char* text : {"", "{}", "[]", "x", R"({"imageLayoutVersion":1})"})
    CHECK_FALSE(is_oci_marker(text));
}

TEST_CASE("a tag is one that registries take") {
  for (const char* good : {"latest", "v1.2", "2026-11-26", "_x", "A"}) CHECK(is_oci_tag(good));
  for (const char* bad : {"", ".x", "-x", "a b", "a/b", "a:b", "é"}) CHECK_FALSE(is_oci_tag(bad));
  CHECK(is_oci_tag(std::string(128, 'a')));
  CHECK_FALSE(is_oci_tag(std::string(129, 'a')));
}

TEST_CASE("a name that would hide another file of an image is known") {
  for (const char* hiding : {".wh.config.json", "a/.wh.b", ".wh..wh..opq", "a/.wh.b/c"})
    CHECK(is_whiteout(hiding));
  for (const char* plain : {"config.json", "a.wh.b", ".whale", "a/.w/h."})
    CHECK_FALSE(is_whiteout(plain));
}
