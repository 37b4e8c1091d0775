// SPDX-License-Identifier: Apache-2.0
// Signatures that PyPI's model-signing 1.1.1 made, in tests/io/model_signatures/, of three files:
// config.json, sub/weights.bin, and README.md, which was left out. tests/interop/signing.py makes
// them anew.
#include "model_prep/io/model_signature.h"

#include <fstream>
#include <iterator>

#include "black_box/parallel.h"
#include "model_prep/io/hasher.h"
#include "support/catch.h"

namespace model_prep {
namespace {

std::string stored(const std::string& name) {
  std::ifstream in(std::string(MODEL_PREP_SOURCE_DIR) + "/tests/io/model_signatures/" + name,
                   std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  REQUIRE_FALSE(text.empty());
  return text;
}

TrustedSigner signer_of(const std::string& name) {
  TrustedSigner signer;
  if (name == "root") signer.kind = SignerKind::certificate_chain;
  REQUIRE(set_signer(signer, stored(name + ".pem")));
  return signer;
}

std::string fault_of(const std::string& bundle, const TrustedSigner& signer) {
  const auto verified = verify_model_signature(bundle, signer);
  if (verified) return "";
  CHECK(verified.error().kind == ErrorKind::signature_mismatch);
  return verified.error().message;
}

}  // namespace

TEST_CASE("a signature of each curve, and one with certificates, is verified") {
  const auto [name, trusted] = GENERATE(table<std::string, std::string>(
      {{"p256", "p256"}, {"p384", "p384"}, {"p521", "p521"}, {"chain", "root"}}));
  CAPTURE(name);
  const TrustedSigner signer = signer_of(trusted);
  const auto verified = verify_model_signature(stored(name + ".sig"), signer);
  REQUIRE(verified);

  CHECK(verified->says.files.size() == 2);
  CHECK(verified->says.files.at("config.json") == sha256_of("{}\n"));
  CHECK(verified->says.files.at("sub/weights.bin") == sha256_of("weights\n"));
  CHECK(verified->says.leaves_out("README.md"));
  CHECK(verified->by.trusted == signer.id);
  if (trusted != "root") CHECK(verified->by.key.hex() == signer.id);
}

TEST_CASE("a changed bit in each byte of a signature is found") {
  const auto [name, trusted] = GENERATE(table<std::string, std::string>(
      {{"p256", "p256"}, {"p384", "p384"}, {"p521", "p521"}, {"chain", "root"}}));
  const TrustedSigner signer = signer_of(trusted);
  std::string bundle = stored(name + ".sig");
  for (std::size_t at = 0; at < bundle.size() * 8; ++at) {
    const std::size_t byte = at / 8;
    const std::size_t bit = at % 8;
    if (bit != byte % 8 && !testing::is_long_run()) continue;

    const char before = bundle[byte];
    bundle[byte] = static_cast<char>(before ^ (1 << bit));
    INFO(name << ", byte " << byte << ", bit " << bit);
    if (verify_model_signature(bundle, signer)) FAIL_CHECK("it was accepted");
    bundle[byte] = before;
  }
}

TEST_CASE("a signature that is cut or longer is refused") {
  const TrustedSigner signer = signer_of("p256");
  const std::string bundle = stored("p256.sig");
  for (std::size_t size = 0; size < bundle.size(); ++size)
    if (verify_model_signature(bundle.substr(0, size), signer)) FAIL_CHECK(size << " bytes");
  CHECK(fault_of(bundle + "{}", signer) != "");
  CHECK(fault_of(std::string(kMaxSignatureFile + 1, ' '), signer) == "it is larger than 8 MiB");
}

TEST_CASE("another signer's signature is refused, whatever it has") {
  CHECK(fault_of(stored("p384.sig"), signer_of("p256")) == "another key signed it");
  CHECK(fault_of(stored("chain.sig"), signer_of("p256")) ==
        "a key with a certificate signed it, not the bare key");
  CHECK(fault_of(stored("p256.sig"), signer_of("root")) ==
        "a bare key signed it, not one with a certificate");
}

TEST_CASE("the hint of a key is believed only if it leads away from it") {
  std::string bundle = stored("p384.sig");
  const std::string own = "\"hint\":\"";
  const std::size_t at = bundle.find(own) + own.size();
  REQUIRE(at > own.size());
  bundle.erase(at, 64);
  CHECK(fault_of(bundle, signer_of("p384")).empty());
  CHECK(fault_of(bundle, signer_of("p256")) ==
        "it is not the signer's signature of this statement");
}

TEST_CASE("a file without a usable key or certificate is refused as such") {
  TrustedSigner key;
  TrustedSigner chain{.kind = SignerKind::certificate_chain, .in_manifest = {}};
  for (const std::string& pem : {std::string(), std::string("x"), stored("root.pem")}) {
    const Status set = set_signer(key, pem);
    REQUIRE_FALSE(set);
    CHECK(set.error().kind == ErrorKind::usage);
  }
  CHECK_FALSE(set_signer(chain, stored("p256.pem")));

  // Ed25519, from RFC 8410, section 10.1.
  const Status other = set_signer(key,
                                  "-----BEGIN PUBLIC KEY-----\n"
                                  "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
                                  "-----END PUBLIC KEY-----\n");
  REQUIRE_FALSE(other);
  CHECK(other.error().message == "its key is not ECDSA on P-256, P-384 or P-521");
}

}  // namespace model_prep
