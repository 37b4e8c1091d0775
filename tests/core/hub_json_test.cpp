// SPDX-License-Identifier: Apache-2.0
// The Hub's JSON, in forms recorded from the live Hub.
#include "model_prep/core/hub_json.h"

#include "support/catch.h"

namespace model_prep {
namespace {

const std::string kMainCommit = "607a30d783dfa663caf39e06633721c8d4cfcd7e";

// Two entries of openai-community/gpt2, and a folder.
constexpr const char* kTree =
    R"([{"type":"directory","oid":"d03ec5ec179df58241d27d55f92a674f5f44197f","size":0,"path":"onnx"},
 {"type":"file","oid":"10c66461e4c109db5a2196bff4bb59be30396ed8","size":665,"path":"config.json"},
 {"type":"file","oid":"44b36d6e32d13c8fb28b0feab0ac8bfefa7efeda","size":134,
  "lfs":{"oid":"248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707","size":548105171,"pointerSize":134},
  "xetHash":"63bed80836ee0758c8fd4f8975d59bb0b864263ee2753547c358e8a37cde8758","path":"model.safetensors"}])";

constexpr const char* kBlobs =
    R"({"id":"openai-community/gpt2","sha":"607a30d783dfa663caf39e06633721c8d4cfcd7e","siblings":[
 {"rfilename":"config.json","blobId":"10c66461e4c109db5a2196bff4bb59be30396ed8","size":665},
 {"rfilename":"model.safetensors","blobId":"44b36d6e32d13c8fb28b0feab0ac8bfefa7efeda","size":548105171,
  "lfs":{"sha256":"248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707","size":548105171,"pointerSize":134}}]})";

/// One plain file of the tree, with one member changed.
std::string tree_with(const std::string& size, const std::string& oid, const std::string& path) {
  return R"([{"type":"file","oid":")" + oid + R"(","size":)" + size + R"(,"path":)" + path + "}]";
}

}  // namespace

TEST_CASE("the commit is read from the repository's info") {
  const auto found = parse_info(kBlobs, "gpt2");
  REQUIRE(found.has_value());
  CHECK(found->commit.hex() == kMainCommit);
  CHECK(found->id == "openai-community/gpt2");
  CHECK(found->files == 2);

  const auto bare =
      parse_info(R"({"sha":")" + kMainCommit + R"(","siblings":null,"id":7})", "gpt2");
  REQUIRE(bare.has_value());
  CHECK(bare->id.empty());
  CHECK(bare->files == 0);
}

TEST_CASE("the licenses of the card are read from the repository's info") {
  const auto licenses = [](const std::string& card) {
    const auto info =
        parse_info(R"({"sha":")" + kMainCommit + R"(","cardData":)" + card + "}", "gpt2");
    REQUIRE(info);
    return info->licenses;
  };
  CHECK(licenses(R"({"license":"mit","tags":["exbert"]})") == Strings{"mit"});
  CHECK(licenses(R"({"license":["cc-by-4.0","MIT"]})") == Strings{"cc-by-4.0", "mit"});
  CHECK(licenses(R"({"license":"other","license_name":"Llama-X","license_link":"LICENSE"})") ==
        Strings{"other:llama-x"});
  CHECK(licenses(R"({"license_name":"x","model-index":[{"license":"mit"}]})") == Strings{});
  CHECK(licenses(R"({"license":null})") == Strings{});

  std::string many;
  for (int i = 0; i < 40; ++i) many += R"("mit",)";
  CHECK(licenses(R"({"license":[)" + many + R"("gpl-3.0"]})") == Strings{"gpl-3.0", "mit"});
  CHECK(licenses(R"({"license":7})") == Strings{});
  CHECK_FALSE(licenses("null"));
  CHECK_FALSE(parse_info(R"({"sha":")" + kMainCommit + R"(","license":"mit"})", "gpt2")->licenses);
}

TEST_CASE("what the scanners found is read from the repository's info") {
  const auto scan = [](const std::string& status) {
    const auto info = parse_info(
        R"({"sha":")" + kMainCommit + R"(","securityRepoStatus":)" + status + "}", "gpt2");
    REQUIRE(info);
    return info->scan;
  };
  CHECK(scan(R"({"scansDone":true,"filesWithIssues":[]})") == ScanVerdict{.complete = true});
  CHECK(scan(R"({"scansDone":false,"filesWithIssues":[
        {"path":"model_broken_X.pkl","level":"unsafe"},{"path":"build.py","level":"caution"},
        {"path":"x.bin"}]})") == ScanVerdict{.complete = false,
                                             .findings = {{"model_broken_X.pkl", "unsafe"},
                                                          {"build.py", "caution"},
                                                          {"x.bin", "unsafe"}}});
  CHECK_FALSE(scan("null"));
  CHECK_FALSE(scan(R"({"filesWithIssues":[]})"));
}

TEST_CASE("the expanded tree says of each file whether it was scanned, and what was found") {
  const auto entry = [](const std::string& path, const std::string& status) {
    return R"({"type":"file","path":")" + path + R"(","lastCommit":{"id":"x"},
               "securityFileStatus":{"status":")" +
           status + R"(","avScan":{"status":"unscanned"}}})";
  };
  ScanVerdict scan{.complete = true};
  std::set<std::string> seen;
  CHECK(add_scan_page(scan, seen,
                      R"([{"type":"directory","path":"onnx"},)" + entry("a", "safe") + "," +
                          entry("b", "caution") + "]",
                      "gpt2"));
  CHECK(scan == ScanVerdict{true, {{"b", "caution"}}});
  CHECK(seen == std::set<std::string>{"a", "b"});

  const std::string unfinished = GENERATE_COPY(
      as<std::string>{}, entry("c", "unscanned"), entry("c", "queued"), entry("c", "error"),
      R"({"type":"file","path":"c"})", R"({"type":"file","path":"c","securityFileStatus":null})");
  CHECK(add_scan_page(scan, seen, "[" + unfinished + "]", "gpt2"));
  CHECK(scan == ScanVerdict{false, {{"b", "caution"}}});
  CHECK_FALSE(add_scan_page(scan, seen, R"([{"type":"file"}])", "gpt2"));
  CHECK_FALSE(add_scan_page(scan, seen, "{}", "gpt2"));
}

TEST_CASE("a finding that cannot be read fails the whole response") {
  const std::string findings = GENERATE(as<std::string>{}, R"([{"level":"unsafe"}])", R"(["x"])",
                                        R"([{"path":1}])", R"("none")");
  const auto info = parse_info(
      R"({"sha":")" + kMainCommit +
          R"(","securityRepoStatus":{"scansDone":true,"filesWithIssues":)" + findings + "}}",
      "gpt2");
  REQUIRE_FALSE(info);
  CHECK(info.error().kind == ErrorKind::protocol);
}

TEST_CASE("a tree page lists plain and LFS files, and directories apart") {
  const auto listing = parse_tree_page(kTree, "gpt2");
  REQUIRE(listing.has_value());
  CHECK(listing->folders == Strings{"onnx"});
  REQUIRE(listing->files.size() == 2);
  CHECK(listing->files[0].path.text() == "config.json");
  CHECK(listing->files[0].size == 665);
  CHECK(listing->files[0].blob.hex() == "10c66461e4c109db5a2196bff4bb59be30396ed8");
  CHECK(listing->files[1].blob.hex() ==
        "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707");
  CHECK(listing->files[1].oid->hex() == "44b36d6e32d13c8fb28b0feab0ac8bfefa7efeda");
  CHECK(listing->files[1].xet_hash.substr(0, 8) == "63bed808");
}

TEST_CASE("the size of an LFS file is that of the file, even if the entry also has the pointer's") {
  CHECK(parse_tree_page(kTree, "gpt2")->files.at(1).size == 548105171);
}

TEST_CASE("the blobs of the repository info give the same listing as the tree") {
  const auto blobs = parse_blobs(kBlobs, "gpt2", {});
  const auto tree = parse_tree_page(kTree, "gpt2");
  REQUIRE(blobs.has_value());
  REQUIRE(blobs->files.size() == tree->files.size());
  for (std::size_t i = 0; i < blobs->files.size(); ++i) {
    CHECK(blobs->files[i].path == tree->files[i].path);
    CHECK(blobs->files[i].blob == tree->files[i].blob);
    CHECK(blobs->files[i].size == tree->files[i].size);
  }
}

TEST_CASE("a masked digest of a gated repository is recognized") {
  const std::string mask(64, '*');
  const auto listing = parse_tree_page(
      R"([{"type":"file","oid":"44b36d6e32d13c8fb28b0feab0ac8bfefa7efeda","size":9,
      "lfs":{"oid":")" +
          mask + R"(","size":9,"pointerSize":134},"xetHash":")" + mask + R"(","path":"w.bin"}])",
      "gated");
  REQUIRE(listing.has_value());
  CHECK(listing->files.empty());
  REQUIRE(listing->masked.size() == 1);
  CHECK(listing->masked[0].text() == "w.bin");
}

TEST_CASE("an empty page is valid") {
  const auto listing = parse_tree_page("[]", "x");
  REQUIRE(listing.has_value());
  CHECK(listing->files.empty());
}

TEST_CASE("unreadable repository info is a protocol error") {
  const std::string body =
      GENERATE("", "{", "[]", "null", "{}", R"({"sha":null})", R"({"sha":7})", R"({"sha":"main"})",
               R"({"sha":"607A30D783DFA663CAF39E06633721C8D4CFCD7E"})");
  const auto found = parse_info(body, "org/name");
  REQUIRE_FALSE(found.has_value());
  CHECK(found.error().kind == ErrorKind::protocol);
}

TEST_CASE("a listing with an invalid member is refused as a whole") {
  const std::string oid(40, 'a');
  const std::string body = GENERATE_COPY(
      std::string("{}"), std::string("["), std::string("[1]"), std::string("[{}]"),
      std::string("\xff\xfe"), tree_with("-1", oid, "\"a\""), tree_with("\"1\"", oid, "\"a\""),
      tree_with("null", oid, "\"a\""), tree_with("18446744073709551615", oid, "\"a\""),
      tree_with("9000000000000000000", oid, "\"a\""), tree_with("1", "abc", "\"a\""),
      tree_with("1", std::string(64, 'a'), "\"a\""), tree_with("1", oid, "null"),
      tree_with("1", oid, "\"\""), tree_with("1", oid, "\"../a\""), tree_with("1", oid, "\"/a\""),
      tree_with("1", oid, "\"a/./b\""), tree_with("1", oid, "\"a\\u0000b\""));
  INFO(body.substr(0, 120));
  const auto listing = parse_tree_page(body, "org/name");
  REQUIRE_FALSE(listing.has_value());
  CHECK(listing.error().kind == ErrorKind::protocol);
}

TEST_CASE("a name that git can hold and no directory here can is kept apart") {
  const std::string name = GENERATE(as<std::string>{}, "Icon\\r", "a\\\\b", std::string(256, 'n'));
  const auto listing =
      parse_tree_page(tree_with("1", std::string(40, 'a'), "\"" + name + "\""), "x");
  REQUIRE(listing.has_value());
  CHECK(listing->files.empty());
  REQUIRE(listing->unusable.size() == 1);
  CHECK_FALSE(RepoPath::parse(listing->unusable.front()));
}

TEST_CASE("a list of blobs that names another commit is refused") {
  const std::string commit(40, 'a');
  const std::string body = R"({"sha":")" + commit + R"(","siblings":[]})";
  CHECK(parse_blobs(body, "org/name", commit).has_value());
  CHECK(parse_blobs(R"({"siblings":[]})", "org/name", commit).has_value());
  const auto other = parse_blobs(body, "org/name", std::string(40, 'b'));
  REQUIRE_FALSE(other.has_value());
  CHECK(other.error().message == "org/name: the response is about another commit");
}

TEST_CASE("files without sizes and digests are refused, and the hint is a lock") {
  const auto listing = parse_blobs(R"({"siblings":[{"rfilename":"config.json"}]})", "org/name", {});
  REQUIRE_FALSE(listing.has_value());
  CHECK(listing.error().kind == ErrorKind::protocol);
  CHECK(listing.error().hint.find("model-prep lock") != std::string::npos);
}

TEST_CASE("a deeply nested body is refused and does not crash") {
  const std::string deep(1'000'000, '[');
  CHECK_FALSE(parse_tree_page(deep, "x").has_value());
  CHECK_FALSE(parse_info(deep + std::string(1'000'000, ']'), "x").has_value());
}

}  // namespace model_prep
