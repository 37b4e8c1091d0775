// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/digest.h"

#include <vector>

#include "model_prep/io/hasher.h"
#include "support/catch.h"

using namespace model_prep;

namespace {

const std::string kSha256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";
const std::string kSha1 = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

struct Pointer {
  const char* path;
  std::int64_t size;
  const char* sha256;
  const char* git_id;
};

// docs/developing/hub-protocol.md, section 8.4: LFS files of all-MiniLM-L6-v2 at fa97f6e7, and of
// two other repositories.
constexpr Pointer kPointers[] = {
    {"model.safetensors", 90868376,
     "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
     "d49eff1e4a6f0e3ba5069f21c6d20aad156dd2c9"},
    {"onnx/model.onnx", 90405214,
     "6fd5d72fe4589f189f8ebc006442dbb529bb7ce38f8082112682524616046452",
     "7d35d33d315a1ce897ce7cca38d42234e1d55add"},
    {"onnx/model_O1.onnx", 90360328,
     "1391c6fc20b5530250bc15cbe1f47578ffeca55ab0551d335cc668b6299a88ec",
     "bb5d763143bc774b6fe626f8b5dd0f2d685f3630"},
    {"onnx/model_O2.onnx", 90326566,
     "1de3905029190b398c7d300b530e320cf4b5e7d3dfb9af1429ebd73fd9a16faf",
     "c803cb30515cd7d6bc8dbeb0d009f879301450ec"},
    {"onnx/model_O3.onnx", 90326497,
     "a44f671e364dddbac31f203f07b91be6b0a35e51936e5ebfab65b6d9538b83ff",
     "d4830defad5eb263b76329aa305b449071004e9c"},
    {"onnx/model_O4.onnx", 45212349,
     "1667d7f3ba669048b13a96ee3a44456d5e42c8f44588ae8b603430e16160c485",
     "676970039029655289c386687790ed7bfc7fb919"},
    {"onnx/model_qint8_arm64.onnx", 23026053,
     "4278337fd0ff3c68bfb6291042cad8ab363e1d9fbc43dcb499fe91c871902474",
     "31cb234cd3ea9b17b5806bad552fa59d7d05929b"},
    {"onnx/model_quint8_avx2.onnx", 23046789,
     "b941bf19f1f1283680f449fa6a7336bb5600bdcd5f84d10ddc5cd72218a0fd21",
     "7e0ad450c70c457e3d1fb2164d5efd251939d8cb"},
    {"openvino/openvino_model.bin", 90265744,
     "8b86cab4722e2aefab310cf96d4d5a9eb3b187f7d9670a082afc55c7fa0d392a",
     "b706c3c25989b3595ebf22cfbb565e0e619dcb6b"},
    {"openvino/openvino_model_qint8_quantized.bin", 22933664,
     "c92ea4af3c6bc7b4a0f3b3d61b147c850f4dbdd7c9e7beee0c0c70dc12da289b",
     "7a3e2ea667afee1712b24ac4096126e029de7fdc"},
    {"pytorch_model.bin", 90888945,
     "c3a85f238711653950f6a79ece63eb0ea93d76f6a6284be04019c53733baf256",
     "3417920b056b9a3d4257fba7a8bae5c5ae2910d6"},
    {"rust_model.ot", 90887379, "2d98d96d278348988f2744e6445b8bc16d921c3f6e17c667362f3cb353007aea",
     "7c3e117e015025bc605669cc11546708105b6f97"},
    {"tf_model.h5", 91005696, "24c06a7429b843d46e40c6b167122053921bf94dce2e5550ea5c07fabc597646",
     "9cc46352c6e0729b6d9a3ce65e4603a16a63a9f9"},
    {"bge-reranker-base model.safetensors", 1112206140,
     "ced967c45fd1902eb92716c9ceeca7c95a936770ea9db611f5a841b926e33fbd",
     "2602cf45b8859e9f240d6bd2e01e3d0b22d589c8"},
    {"flan-t5-small spiece.model", 791656,
     "d60acb128cf7b7f2536e8f38a5b18a05535c9e14c7a355904270e15b0945ea86",
     "317a5ccbde45300f5d1d970d4d449af2108b147e"},
};

}  // namespace

TEST_CASE("64 hex digits are a sha256 and 40 a git blob sha1") {
  const auto sha256 = Digest::parse(kSha256);
  REQUIRE(sha256);
  CHECK(sha256->kind() == DigestKind::sha256);
  CHECK(sha256->hex() == kSha256);
  const auto sha1 = Digest::parse(kSha1);
  REQUIRE(sha1);
  CHECK(sha1->kind() == DigestKind::git_sha1);
  CHECK(sha1->hex() == kSha1);
}

TEST_CASE("anything but lower-case hex of either length is refused") {
  const std::string bad = GENERATE_COPY(
      std::string(), kSha1.substr(1), kSha1 + "0", kSha256.substr(1), kSha256 + "0",
      std::string(40, 'A'), std::string(64, 'F'), std::string(64, '*'), std::string(40, 'g'),
      kSha1.substr(1) + "/", "../" + kSha1.substr(3), " " + kSha1.substr(1), kSha1.substr(1) + "\n",
      std::string(40, '\0'), "\"" + kSha1.substr(2) + "\"", "0x" + kSha1.substr(2));
  CAPTURE(bad);
  const auto digest = Digest::parse(bad);
  REQUIRE_FALSE(digest);
  CHECK(digest.error().kind == ErrorKind::protocol);
}

TEST_CASE("a refused digest appears in the message on one line, without control characters") {
  const auto digest = Digest::parse("abc\n\x1b[31mred");
  REQUIRE_FALSE(digest);
  CHECK(digest.error().message.find('\n') == std::string::npos);
  CHECK(digest.error().message.find('\x1b') == std::string::npos);
}

TEST_CASE("overlong text is truncated in the message about a bad digest") {
  const auto digest = Digest::parse(std::string(1'000'000, 'a'));
  REQUIRE_FALSE(digest);
  CHECK(digest.error().message.size() < 200);
}

TEST_CASE("bytes are written as lower-case hex") {
  std::vector<unsigned char> bytes(32);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i * 8 + 7);
  CHECK(Digest::from_bytes(DigestKind::sha256, bytes).hex() ==
        "070f171f272f373f474f575f676f777f878f979fa7afb7bfc7cfd7dfe7eff7ff");
  CHECK(Digest::from_bytes(DigestKind::git_sha1, bytes).hex() ==
        "070f171f272f373f474f575f676f777f878f979f");
}

TEST_CASE("a hex check requires the exact length and lower case") {
  CHECK(is_lower_hex("0123456789abcdef", 16));
  CHECK(is_lower_hex("", 0));
  CHECK_FALSE(is_lower_hex("0123456789abcde", 16));
  CHECK_FALSE(is_lower_hex("0123456789abcdeF", 16));
}

TEST_CASE("an LFS pointer hashes to the git blob id that the Hub lists for it") {
  for (const Pointer& pointer : kPointers) {
    CAPTURE(pointer.path);
    const std::string text = lfs_pointer_text(*Digest::parse(pointer.sha256), pointer.size);
    CHECK(git_sha1_of(text).hex() == pointer.git_id);
  }
}

TEST_CASE("the empty file has git's well-known empty blob id") {
  CHECK(git_sha1_of("").hex() == kSha1);
}
