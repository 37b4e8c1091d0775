// SPDX-License-Identifier: Apache-2.0
#include "support/hub_spec.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <stdexcept>

#include "support/catch.h"
#include "support/hub_test_client.h"
#include "support/temporary_folder.h"

namespace model_prep::testing {

TEST_CASE("the small files of the built-in sets have the git blob ids of the Hub") {
  const HubSpec spec = demo_spec();
  REQUIRE(spec.repos.size() == 3);
  const std::map<std::string, std::string> known = {
      {".gitattributes", "2bf99854609538f90af03c921c41a0cbde670b2f"},
      {"1_Pooling/config.json", "d1514c3162bbe87b343f565fadc62e6c06f04f03"},
      {"config.json", "72b987fd805cfa2b58c4c8c952b274a11bfd5a00"},
      {"config_sentence_transformers.json", "fd1b291129c607e5d49799f87cb219b27f98acdf"},
      {"modules.json", "952a9b81c0bfd99800fabf352f69c7ccd46c5e43"},
      {"sentence_bert_config.json", "59d594003bf59880a884c574bf88ef7555bb0202"},
      {"special_tokens_map.json", "e7b0375001f109a6b8873d756ad4f7bbb15fbaa5"},
      {"tokenizer_config.json", "c79f2b6a0cea6f4b564fed1938984bace9d30ff0"}};
  std::size_t checked = 0;
  for (const HubFile& file : spec.repos[0].commits.at("fa97f6e7cb1a59073dff9e6b13e2715cf7475ac9")) {
    if (!known.contains(file.path)) continue;
    CHECK(digests_of(file).git_sha1 == known.at(file.path));
    ++checked;
  }
  CHECK(checked == known.size());
  for (const HubFile& file : spec.repos[2].commits.at("0fc9ddf78a1e988dac52e2dac162b0ede4fd74ab")) {
    if (file.path == "config.json")
      CHECK(digests_of(file).git_sha1 == "360a0073f29a105ced4a366cda27e668b11bb73b");
    if (file.path == "generation_config.json")
      CHECK(digests_of(file).git_sha1 == "d52815623b46b7db1c4b957b5a83a8ad30b0146a");
  }
}

TEST_CASE("the full-size set has 976948873 bytes as on the Hub, and three equal files") {
  const HubSpec spec = minilm_spec();
  std::int64_t size = 0;
  std::vector<std::uint64_t> seeds;
  for (const HubFile& file : spec.repos[0].commits.begin()->second) {
    size += size_of(file.content);
    if (file.path.find("_qint8_a") != std::string::npos)
      seeds.push_back(std::get<MadeUpBytes>(file.content.source).seed);
  }
  CHECK(size == 976948873);
  REQUIRE(seeds.size() == 3);
  CHECK(std::count(seeds.begin(), seeds.end(), seeds[0]) == 3);
}

TEST_CASE("a spec file defines repositories of texts, made-up bytes and files next to it") {
  const TemporaryFolder folder;
  std::ofstream(folder / "data.bin", std::ios::binary) << "from disk";
  std::ofstream(folder / "spec.json")
      << R"({"tokens":["t"],"repos":[{"id":"a/b","access":"gated_masked","refs":{"main":")"
      << kSampleCommit << R"("},"commits":{")" << kSampleCommit
      << R"(":[{"path":"x","text":"hello\n"},{"path":"y","size":5,"seed":9,"lfs":true},{"path":"z","from":"data.bin"}]}},)"
      << R"({"id":"old/b","renamed_to":"a/b","has_tree_api":false}]})";
  const HubSpec spec = read_spec(folder / "spec.json");
  CHECK(spec.tokens == std::vector<std::string>{"t"});
  REQUIRE(spec.repos.size() == 2);
  CHECK(spec.repos[0].access == HubRepo::Access::gated_masked);
  CHECK(spec.repos[1].renamed_to == "a/b");
  const auto& files = spec.repos[0].commits.at(kSampleCommit);
  REQUIRE(files.size() == 3);
  CHECK(content_text(files[0].content) == "hello\n");
  CHECK(files[1].lfs);
  CHECK(content_text(files[2].content) == "from disk");
  std::ofstream(folder / "bad.json") << R"({"repos":[{"id":"a/b","access":"closed"}]})";
  CHECK_THROWS_AS(read_spec(folder / "bad.json"), std::invalid_argument);
  std::ofstream(folder / "worse.json") << R"({"repos":)";
  CHECK_THROWS_AS(read_spec(folder / "worse.json"), std::invalid_argument);
  CHECK_THROWS_AS(read_spec(folder / "none.json"), std::invalid_argument);
}

}  // namespace model_prep::testing
