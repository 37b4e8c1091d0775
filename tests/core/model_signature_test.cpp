// SPDX-License-Identifier: Apache-2.0
// What a signature says, and what is no signature. Real ones, of every kind of key, are judged in
// tests/io/model_signature_test.cpp.
#include "model_prep/core/model_signature.h"

#include "support/catch.h"

namespace model_prep {
namespace {

const std::string kSha(64, 'a');
const std::string kOther(64, 'b');

/// Replaces the first occurrence, which must be there.
std::string replaced(std::string text, const std::string& before, const std::string& after) {
  const std::size_t at = text.find(before);
  REQUIRE(at != std::string::npos);
  return text.replace(at, before.size(), after);
}

/// A bundle as model-signing writes it; `e30=` is `{}`.
const std::string kBundle =
    R"({"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{)"
    R"("publicKey":{"hint":"h"},"tlogEntries":[]},"dsseEnvelope":{"payload":"e30=",)"
    R"("payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"c2ln","keyid":""}]}})";

std::string statement(const std::string& resources,
                      const std::string& left_out = R"("model.sig")") {
  return R"({"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"m","digest":{"sha256":")" +
         kSha +
         R"("}}],"predicateType":"https://model_signing/signature/v1.0","predicate":{"serialization":{)"
         R"("method":"files","hash_type":"sha256","allow_symlinks":false,"ignore_paths":[)" +
         left_out + R"(]},"resources":[)" + resources + "]}}";
}

std::string resource(const std::string& name, const std::string& digest = kSha) {
  return R"({"name":")" + name + R"(","algorithm":"sha256","digest":")" + digest + "\"}";
}

std::string bundle_fault(const std::string& bundle) {
  const auto parsed = parse_signature_bundle(bundle);
  if (parsed) return "";
  CHECK(parsed.error().kind == ErrorKind::signature_mismatch);
  return parsed.error().message;
}

std::string statement_fault(const std::string& text) {
  const auto parsed = parse_signed_statement(text);
  if (parsed) return "";
  CHECK(parsed.error().kind == ErrorKind::signature_mismatch);
  return parsed.error().message;
}

RemoteFile file(const std::string& path) {
  return {.path = *RepoPath::parse(path),
          .blob = *Digest::parse(kSha),
          .oid = {},
          .locked_sha256 = {},
          .xet_hash = {}};
}

}  // namespace

TEST_CASE("a bundle gives its payload, its signature and the hint of a key") {
  const auto bundle = parse_signature_bundle(kBundle);
  REQUIRE(bundle);
  CHECK(bundle->payload == "{}");
  CHECK(bundle->signature == "sig");
  CHECK(bundle->key_hint == "h");
  CHECK(bundle->certificates.empty());
}

TEST_CASE("a bundle without a hint, and with a key's copy, is one of an older version") {
  for (const char* key : {"{}", R"({"hint":null})", R"({"hint":""})",
                          R"({"rawBytes":"x","keyDetails":"PKIX_ECDSA_P256_SHA_256"})"}) {
    const auto bundle = parse_signature_bundle(replaced(kBundle, R"({"hint":"h"})", key));
    CAPTURE(key);
    REQUIRE(bundle);
    CHECK(bundle->key_hint.empty());
  }
  CHECK(bundle_fault(replaced(kBundle, R"(,"tlogEntries":[])", "")).empty());
  CHECK(bundle_fault(replaced(kBundle, R"(,"keyid":"")", R"(,"keyid":null)")).empty());
}

TEST_CASE("a chain of certificates is kept in its order") {
  const std::string chain =
      R"("x509CertificateChain":{"certificates":[{"rawBytes":"YQ=="},{"rawBytes":"Yg=="}]})";
  const auto bundle =
      parse_signature_bundle(replaced(kBundle, R"("publicKey":{"hint":"h"})", chain));
  REQUIRE(bundle);
  CHECK(bundle->certificates == Strings{"a", "b"});
}

TEST_CASE("what is not exactly a bundle is refused") {
  const std::string key = R"("publicKey":{"hint":"h"})";
  const std::string signature = R"({"sig":"c2ln","keyid":""})";
  CHECK(bundle_fault("") != "");
  CHECK(bundle_fault("[]") != "");
  CHECK(bundle_fault(kBundle + "x") != "");
  CHECK(bundle_fault(replaced(kBundle, "v0.3", "v0.2")) != "");
  CHECK(bundle_fault(replaced(kBundle, "in-toto", "in_toto")) != "");
  CHECK(bundle_fault(replaced(kBundle, "mediaType", "mediatype")) ==
        "its 'mediatype' has no place in a bundle");
  CHECK(bundle_fault(replaced(kBundle, R"("payload":)", R"("payload":"e30=","payload":)")) ==
        "its dsseEnvelope.payload is there twice");
  CHECK(bundle_fault(replaced(kBundle, "\"e30=\"", "1")) ==
        "its dsseEnvelope.payload is not a string");
  CHECK(bundle_fault(replaced(kBundle, "e30=", "e31=")) ==
        "its payload or its signature is not base64");
  CHECK(bundle_fault(replaced(kBundle, "c2ln", "c2l")) ==
        "its payload or its signature is not base64");
  CHECK(bundle_fault(replaced(kBundle, signature, "")) ==
        "its payload or its signature is not base64");
  CHECK(bundle_fault(replaced(kBundle, signature, signature + "," + signature)) ==
        "it has more than one signature");
  CHECK(bundle_fault(replaced(kBundle, key + ",", "")) ==
        "it must name either a key or a chain of certificates");
  CHECK(bundle_fault(
            replaced(kBundle, key,
                     key + R"(,"x509CertificateChain":{"certificates":[{"rawBytes":"YQ=="}]})")) ==
        "it must name either a key or a chain of certificates");
  CHECK(bundle_fault(replaced(kBundle, key,
                              R"("x509CertificateChain":{"certificates":[{"rawBytes":"Y"}]})")) ==
        "a certificate is not base64");
  CHECK(bundle_fault(
            replaced(kBundle, R"("dsseEnvelope":)", R"("dsse.Envelope":{},"dsseEnvelope":)")) ==
        "it has a member with a dot in its name");
}

TEST_CASE("a keyless signature is told apart from a bad one") {
  const std::string keyless = R"("certificate":{"rawBytes":"YQ=="})";
  for (const std::string& bundle :
       {replaced(kBundle, R"("publicKey":{"hint":"h"})", keyless), replaced(kBundle, "[]", "[{}]")})
    CHECK(bundle_fault(bundle).find("keyless") != std::string::npos);
}

TEST_CASE("what is signed is the pre-authentication encoding of DSSE") {
  CHECK(signed_bytes("{}") == "DSSEv1 28 application/vnd.in-toto+json 2 {}");
  CHECK(signed_bytes("") == "DSSEv1 28 application/vnd.in-toto+json 0 ");
}

TEST_CASE("a statement gives its files, what it leaves out, and the bytes of its subject") {
  const auto says = parse_signed_statement(
      statement(resource("b", kOther) + "," + resource("a/c"), R"("model.sig",".git")"));
  REQUIRE(says);
  CHECK(says->files.size() == 2);
  CHECK(says->files.at("a/c").hex() == kSha);
  CHECK(says->left_out == std::set<std::string, std::less<>>{".git", "model.sig"});
  CHECK(says->subject.hex() == kSha);
  CHECK(says->digests == std::string(32, '\xbb') + std::string(32, '\xaa'));
}

TEST_CASE("members that a statement of version 1.0 does not define are ignored") {
  const std::string more = R"({"name":"a","algorithm":"sha256","digest":")" + kSha +
                           R"(","size":1,"x.y":{"name":"b"},"x":{"name":"c"}})";
  const auto says = parse_signed_statement(statement(more));
  REQUIRE(says);
  CHECK(says->files.size() == 1);
}

TEST_CASE("a statement that lists nothing is one") {
  CHECK(statement_fault(statement("")).empty());
}

TEST_CASE("a statement that cannot be held to files is refused with its reason") {
  const std::string good = statement(resource("a"));
  CHECK(statement_fault("{}") == "it has no _type");
  CHECK(
      statement_fault(replaced(good, "Statement/v1", "Statement/v2")).starts_with("its _type is"));
  CHECK(statement_fault(replaced(good, "signature/v1.0", "Digests/v0.1"))
            .starts_with("its predicateType is"));
  CHECK(statement_fault(replaced(good, "\"files\"", "\"shards\"")) ==
        "its serialization method is 'shards', not files");
  const std::string shard = R"({"name":"a:0:1","algorithm":"sha256-sharded-1","digest":"a"})";
  CHECK(statement_fault(R"({"predicate":{"resources":[)" + shard + "]}," + good.substr(1)) ==
        "its digest of a:0:1 is no sha256, but of the kind 'sha256-sharded-1'");
  CHECK(statement_fault(replaced(R"({"predicate":{"resources":[)" + shard + "]}," + good.substr(1),
                                 "\"files\"", "\"shards\"")) ==
        "its serialization method is 'shards', not files");
  CHECK(statement_fault(replaced(good, R"("hash_type":"sha256")", R"("hash_type":"blake3")")) ==
        "its hash_type is 'blake3', not sha256");
  CHECK(statement_fault(replaced(good, R"("algorithm":"sha256")", R"("algorithm":"blake3")")) ==
        "its digest of a is no sha256, but of the kind 'blake3'");
  CHECK(statement_fault(statement(resource("a", kSha.substr(1)))) ==
        "its digest of a is not a sha256");
  CHECK(statement_fault(statement(resource("a", std::string(40, 'a')))) ==
        "its digest of a is not a sha256");
  CHECK(statement_fault(statement(resource("a") + "," + resource("a", kOther))) ==
        "it lists a twice");
  CHECK(statement_fault(statement(R"({"algorithm":"sha256"},)" + resource("a"))) ==
        "it lists a file without a name or a digest");
  CHECK(statement_fault(statement(resource("a") + ",{}")) ==
        "it lists a file without a name or a digest");
  CHECK(statement_fault(statement("1")) == "it lists a file without a name or a digest");
  CHECK(statement_fault(
            replaced(good, R"(,"predicateType")", R"(,"subject":[{}],"predicateType")")) ==
        "it has more than one subject");
  CHECK(statement_fault(replaced(good, R"("digest":{"sha256")", R"("digest":{"sha512")")) ==
        "its subject has no sha256");
  CHECK(statement_fault(statement(resource("a"), "1")) ==
        "it leaves out something that is no path");
}

TEST_CASE("a file passes if it is listed with its digest, left out, or the signature itself") {
  const auto says = parse_signed_statement(
      statement(resource("a") + "," + resource("docs/listed"), R"("docs",".gitattributes")"));
  REQUIRE(says);
  const auto check = [&](const std::string& path, const std::string& sha) {
    const Status good = check_signed_file(*RepoPath::parse(path), *Digest::parse(sha), *says);
    return good ? "" : good.error().message;
  };

  CHECK(check("a", kSha).empty());
  CHECK(check("docs/any/deep", kOther).empty());
  CHECK(check(".gitattributes", kOther).empty());
  CHECK(check("model.sig", kOther).empty());

  CHECK(check("a", kOther) == "a: its sha256 is " + kOther + ", but " + kSha + " was signed");
  CHECK(check("docs/listed", kOther) != "");
  CHECK(check("b", kSha) == "b: the signature neither lists nor leaves out this file");
  CHECK(check("docs2/a", kSha) != "");
  CHECK(check("sub/model.sig", kSha) != "");
  CHECK(check("sub/.gitattributes", kSha) != "");
}

TEST_CASE("a file whose digest is not known yet passes only if the signature knows it") {
  const auto says = parse_signed_statement(statement(resource("a")));
  REQUIRE(says);
  CHECK(check_signed_file(*RepoPath::parse("a"), std::nullopt, *says));
  CHECK_FALSE(check_signed_file(*RepoPath::parse("b"), std::nullopt, *says));
}

TEST_CASE("the files that a signature leaves out are named, without itself") {
  const auto says = parse_signed_statement(statement(resource("a"), R"("b")"));
  REQUIRE(says);
  CHECK(unsigned_files({file("a"), file("b"), file("model.sig")}, *says) == Strings{"b"});
}

}  // namespace model_prep
