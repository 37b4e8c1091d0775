// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/verified_read.h"

#include <fstream>

#include "model_prep/io/hasher.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

using namespace model_prep;

namespace {

/// A file with this text, and what it must hold.
struct Written {
  testing::TemporaryFolder folder;
  std::string path = folder / "file";

  explicit Written(const std::string& text) { std::ofstream(path) << text; }
};

BlobSpec plain(const std::string& text) {
  return {git_sha1_of(text), static_cast<Bytes>(text.size())};
}

}  // namespace

TEST_CASE("the bytes are passed on in order, and the result is their sha256") {
  const std::string text(600'001, 'x');
  const Written file(text);
  std::string passed;
  const auto found = read_verified(file.path, plain(text), "it", [&](std::string_view bytes) {
    passed += bytes;
    return ok();
  });
  REQUIRE(found);
  CHECK(*found == sha256_of(text));
  CHECK(passed == text);
}

TEST_CASE("an empty file is read too") {
  const Written file("");
  CHECK(read_verified(file.path, plain(""), "it", [](std::string_view) { return ok(); }));
}

TEST_CASE("other bytes, one too few and one too many are a wrong digest") {
  for (const char* text : {"abx", "ab", "abcd"}) {
    const Written file(text);
    std::size_t passed = 0;
    const auto found = read_verified(file.path, plain("abc"), "it", [&](std::string_view bytes) {
      passed += bytes.size();
      return ok();
    });
    REQUIRE_FALSE(found);
    CHECK(found.error().kind == ErrorKind::digest_mismatch);
    CHECK(passed <= 3);
  }
}

TEST_CASE("an error of the consumer ends the reading, and a missing file is an error") {
  const Written file("abc");
  const auto refuse = [](std::string_view) { return Status(Error{ErrorKind::disk_full, "full"}); };
  CHECK(read_verified(file.path, plain("abc"), "it", refuse).error().kind == ErrorKind::disk_full);
  CHECK(read_verified(file.path + "x", plain("abc"), "it", refuse).error().kind == ErrorKind::io);
}
