// SPDX-License-Identifier: Apache-2.0
#include "support/hub_content.h"

#include <fstream>

#include "support/catch.h"
#include "support/hub_test_client.h"
#include "support/temporary_folder.h"

namespace model_prep::testing {

TEST_CASE("made-up bytes are the same however they are read") {
  const FileContent content = MadeUpBytes{1001, 42};
  const std::string whole = content_text(content);
  REQUIRE(whole.size() == 1001);
  for (const std::int64_t offset : {0, 1, 7, 8, 9, 500, 1000}) {
    CHECK(content_text(content, offset, 13) == whole.substr(static_cast<std::size_t>(offset), 13));
  }
  CHECK(content_text(content, 1001, 5).empty());
  CHECK(content_text(MadeUpBytes{1001, 43}) != whole);
}

TEST_CASE("digests are those that git and sha256sum compute") {
  const FileDigests empty = digests_of({"empty", ""});
  CHECK(empty.git_sha1 == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
  CHECK(empty.sha256 == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(digests_of({"hello", "hello\n"}).git_sha1 == "ce013625030ba8dba906f756967f9e9ca394464a");
}

TEST_CASE("an LFS file's git id is that of its pointer") {
  const FileDigests digests = digests_of(sample_weights());
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:" + digests.sha256 +
      "\nsize 1000000\n";
  CHECK(digests.pointer_oid == digests_of({"pointer", pointer}).git_sha1);
  CHECK(digests.pointer_size == static_cast<std::int64_t>(pointer.size()));
  CHECK(digests.oid() == digests.pointer_oid);
  CHECK(digests.blob_name() == digests.sha256);
}

TEST_CASE("bytes from disk are served like any others") {
  const TemporaryFolder folder;
  std::ofstream(folder / "file", std::ios::binary) << "0123456789";
  FakeHub hub;
  hub.add(
      make_repo("org/name", {{"onnx/model.bin", DiskBytes{folder / "file"}, true}}, kSampleCommit));
  CHECK(fetch(hub, kWeights).body == "0123456789");
  CHECK(fetch(hub, kWeights, "Range: bytes=3-5\r\n").body == "345");
}

}  // namespace model_prep::testing
