// SPDX-License-Identifier: Apache-2.0
// The members `signature` and `signed_by` of a manifest, and what `lock` writes of them.
#include "core/builders.h"
#include "model_prep/core/manifest.h"
#include "model_prep/core/model_selection.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

namespace {

std::string signed_manifest(const std::string& members) {
  return R"({"version": 1, "models": {"m": {"repo": "org/m", )" + members + "}}}";
}

std::string defect_of(const std::string& members) {
  const auto manifest = parse_manifest(signed_manifest(members), "x");
  return manifest ? "" : manifest.error().message;
}

}  // namespace

TEST_CASE("a model names the key or the certificates of its signer, in every variant") {
  const std::string kind = GENERATE(as<std::string>{}, "key", "certificate_chain");
  const auto manifest =
      parse_manifest(signed_manifest("\"signature\": {\"" + kind + "\": \"keys/a.pem\"}"), "x");
  REQUIRE(manifest);
  const auto specs = select_models(*manifest, {}, Build::onnx);
  REQUIRE(specs);
  const auto& signer = specs->front().signer;
  REQUIRE(signer);
  CHECK(to_string(signer->kind) == kind);
  CHECK(signer->in_manifest == "keys/a.pem");
  CHECK(signer->file.empty());
}

TEST_CASE("without the member, nobody has to sign") {
  const auto manifest = parse_manifest(signed_manifest(R"("ref": "main")"), "x");
  REQUIRE(manifest);
  CHECK_FALSE((*select_models(*manifest, {}, Build::fp32)).front().signer);
}

TEST_CASE("a signer that is named twice, not at all or wrongly is a defect with its path") {
  CHECK(
      defect_of(R"("signature": {"key": "a", "certificate_chain": "b"})") ==
      "manifest x: models.m.signature: should have either a key or a certificate_chain, not both");
  CHECK(defect_of(R"("signature": {})") ==
        "manifest x: models.m.signature: needs a key or a certificate_chain");
  CHECK(defect_of(R"("signature": "a")") == "manifest x: models.m.signature: should be an object");
  CHECK(defect_of(R"("signature": {"key": ""})") ==
        "manifest x: models.m.signature.key: should be the path of a file");
  CHECK(defect_of(R"("signature": {"kye": "a"})") != "");
  CHECK(defect_of(R"("signed_by": "a")") != "");
  CHECK(defect_of("\"signed_by\": \"" + std::string(40, 'a') + "\"") ==
        "manifest x: models.m.signed_by: should have 64 hex digits");
}

TEST_CASE("a lockfile keeps whose signature is demanded and says who signed") {
  ResolvedSnapshot snapshot{
      spec("m", "org/m", std::string(40, 'c')), commit('c'), {plain_file("a", 1, '1')}, {}};
  CHECK(lock_text({snapshot}).find("sign") == std::string::npos);

  snapshot.spec.signer =
      TrustedSigner{.kind = SignerKind::key, .in_manifest = "keys/a \"b\".pem", .file = "/x/a.pem"};
  snapshot.signed_by = SignedBy{std::string(64, 'd'), sha256('e')};
  const std::string text = lock_text({snapshot});
  CHECK(text.find("\"signed_by\": \"" + std::string(64, 'e') + "\"") != std::string::npos);
  const auto back = parse_manifest(text, "lock");
  REQUIRE(back);
  REQUIRE(back->models.front().signer);
  CHECK(back->models.front().signer->in_manifest == "keys/a \"b\".pem");

  // The command line's is not the lockfile's.
  snapshot.spec.signer->in_manifest.clear();
  CHECK_FALSE(parse_manifest(lock_text({snapshot}), "lock")->models.front().signer);
}
