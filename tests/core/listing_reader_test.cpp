// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/listing_reader.h"

#include <fmt/format.h>

#include "support/catch.h"

namespace model_prep {
namespace {

using Next = ListingReader::Next;

const std::string kOid(40, 'a');

std::string tree_page(const std::string& folders, std::size_t first, std::size_t last) {
  std::string body = "[" + folders;
  for (std::size_t i = first; i < last; ++i)
    body += fmt::format(R"({}{{"type":"file","path":"f{}","size":1,"oid":"{}"}})",
                        body.size() > 1 ? "," : "", i, kOid);
  return body + "]";
}

std::string blobs_of(const std::string& extra, std::size_t files) {
  std::string body = "{\"siblings\":[" + extra;
  for (std::size_t i = 0; i < files; ++i)
    body += fmt::format(R"({}{{"rfilename":"f{}","size":1,"blobId":"{}"}})",
                        i > 0 || !extra.empty() ? "," : "", i, kOid);
  return body + "]}";
}

std::string said(const Result<Next>& next) { return next ? "" : next.error().message; }

}  // namespace

TEST_CASE("a listing with nothing doubtful about it needs no other list") {
  ListingReader reader("org/name");
  reader.expect(3);
  const std::string first = tree_page("", 0, 2);
  const std::string last = tree_page("", 2, 3);
  CHECK(*reader.add({.url = "1", .body = first, .next = "2"}) == Next::page);
  CHECK(*reader.add({.url = "2", .body = last}) == Next::nothing);
  CHECK(reader.listing().files.size() == 3);
  CHECK_FALSE(reader.doubt());
}

TEST_CASE("a directory without a file in it is looked up in the other list") {
  ListingReader reader("org/name");
  const std::string tree = tree_page(R"({"type":"directory","path":"1_Pooling"})", 0, 2);
  REQUIRE(*reader.add({.url = "1", .body = tree}) == Next::other_list);
  SECTION("which has the file") {
    const std::string blobs =
        blobs_of(R"({"rfilename":"1_Pooling/config.json","size":1,"blobId":")" + kOid + "\"}", 2);
    CHECK(*reader.add({.url = "b", .body = blobs, .is_tree = false}) == Next::nothing);
    CHECK(reader.listing().files.size() == 3);
  }
  SECTION("which has none either") {
    const std::string blobs = blobs_of("", 2);
    const auto next = reader.add({.url = "b", .body = blobs, .is_tree = false});
    CHECK(said(next).find("directory '1_Pooling', but no file in it") != std::string::npos);
  }
  SECTION("which cannot be used: the doubt is the error") {
    const auto next = reader.add({.url = "b", .body = "{}", .is_tree = false});
    CHECK(said(next).find("directory '1_Pooling', but no file in it") != std::string::npos);
  }
}

TEST_CASE("a listing with fewer files than the repository's info is completed or refused") {
  ListingReader reader("org/name");
  reader.expect(3);
  const std::string tree = tree_page("", 0, 2);
  REQUIRE(*reader.add({.url = "1", .body = tree}) == Next::other_list);
  SECTION("from the other list") {
    const std::string blobs = blobs_of("", 3);
    CHECK(*reader.add({.url = "b", .body = blobs, .is_tree = false}) == Next::nothing);
  }
  SECTION("which has no more files") {
    const std::string blobs = blobs_of("", 2);
    const auto next = reader.add({.url = "b", .body = blobs, .is_tree = false});
    CHECK(said(next).find("it has 2 files, but the repository's info names 3") !=
          std::string::npos);
  }
}

TEST_CASE("a listing that ends after exactly one full page is compared with the other list") {
  ListingReader reader("org/name");
  const std::size_t entries = GENERATE(999U, 1'000U, 1'001U);
  const std::string tree = tree_page("", 0, entries);
  CHECK(*reader.add({.url = "1", .body = tree}) ==
        (entries == 1'000 ? Next::other_list : Next::nothing));
}

TEST_CASE("after a restart nothing is left of the listing of another endpoint") {
  ListingReader reader("org/name");
  const std::string tree = tree_page(R"({"type":"directory","path":"x"})", 0, 2);
  REQUIRE(*reader.add({.url = "1", .body = tree}) == Next::other_list);
  reader.restart();
  CHECK_FALSE(reader.begun());
  const std::string whole = tree_page("", 0, 1);
  CHECK(*reader.add({.url = "1", .body = whole}) == Next::nothing);
  CHECK(reader.listing().files.size() == 1);
}

}  // namespace model_prep
