// SPDX-License-Identifier: Apache-2.0
// A manifest whose owner signed it, with real keys and signatures of the openssl program.
#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

/// A manifest that locks org/small, and beside it what signs it.
class SignedManifest {
 public:
  explicit SignedManifest(const std::string& key_options = "EC -pkeyopt ec_paramgen_curve:P-256")
      : machine(with_repo(hub)) {
    write_text(machine.folder() / "models.json", hub.manifest());
    make_key("key", key_options);
    sign("key");
  }

  void make_key(const std::string& name, const std::string& options) const {
    shell("openssl genpkey -quiet -algorithm " + options + " -out " + name +
          ".private && openssl pkey -in " + name + ".private -pubout -out " + name + ".pem");
  }
  void sign(const std::string& key) const {
    shell("openssl dgst -sha256 -sign " + key + ".private -out models.json.sig models.json");
  }
  void shell(const std::string& script) const {
    const Run run = machine.shell("cd " + machine.folder().string() + " && " + script);
    INFO(run.err);
    REQUIRE(run.exit_code == 0);
  }

  std::string path(const std::string& name) const { return (machine.folder() / name).string(); }

  Run run(std::vector<std::string> arguments = {}) const {
    for (const std::string& more : {std::string("--manifest"), path("models.json"),
                                    std::string("--manifest-key"), path("key.pem")})
      arguments.push_back(more);
    return machine.run(arguments);
  }

  FakeHub hub;
  TestHost machine;

 private:
  static const FakeHub& with_repo(FakeHub& hub) {
    hub.add(small_repo());
    return hub;
  }
};

std::string kind_of(const Run& run) { return run.summary["error"]["kind"]; }

}  // namespace

TEST_CASE("a manifest with its owner's signature is used") {
  const SignedManifest manifest(GENERATE(as<std::string>{}, "EC -pkeyopt ec_paramgen_curve:P-256",
                                         "EC -pkeyopt ec_paramgen_curve:P-384",
                                         "EC -pkeyopt ec_paramgen_curve:P-521",
                                         "RSA -pkeyopt rsa_keygen_bits:2048"));
  const bool in_base64 = GENERATE(false, true);
  if (in_base64)
    manifest.shell("openssl base64 -in models.json.sig -out text && mv text models.json.sig");

  const Run run = manifest.run();
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(manifest.run({"verify"}).exit_code == 0);
}

TEST_CASE("a signature on one line of base64, as cosign writes it, is understood") {
  const SignedManifest manifest;
  manifest.shell("openssl base64 -A -in models.json.sig -out text && mv text models.json.sig");
  CHECK(manifest.run().exit_code == 0);
}

TEST_CASE("one changed byte of the manifest or of its signature is found before any request") {
  const SignedManifest manifest;
  const std::string name = GENERATE(as<std::string>{}, "models.json", "models.json.sig");
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(manifest.path(name)));
  for (const std::int64_t offset : {std::int64_t{0}, size / 3, size / 2, size - 1}) {
    CAPTURE(name, offset);
    flip_byte(manifest.path(name), offset);
    const Run run = manifest.run();
    CHECK(run.exit_code == 1);
    CHECK(kind_of(run) == "signature_mismatch");
    CHECK(contains(run.err, "get both again from whoever signed them"));
    flip_byte(manifest.path(name), offset);
  }
  CHECK(manifest.hub.requests().empty());
  CHECK(manifest.run().exit_code == 0);
}

TEST_CASE("another key's signature, none, and an empty one are refused") {
  const SignedManifest manifest;
  manifest.make_key("other", "EC -pkeyopt ec_paramgen_curve:P-256");
  manifest.sign("other");
  CHECK(kind_of(manifest.run()) == "signature_mismatch");

  write_text(manifest.path("models.json.sig"), "");
  CHECK(kind_of(manifest.run()) == "signature_mismatch");

  std::filesystem::remove(manifest.path("models.json.sig"));
  const Run run = manifest.run();
  CHECK(kind_of(run) == "signature_missing");
  CHECK(contains(run.err, "openssl dgst -sha256 -sign PRIVATE.pem"));
  CHECK(manifest.hub.requests().empty());
}

TEST_CASE("with a key, only the manifest's models are accepted") {
  const SignedManifest manifest;
  const Run run = manifest.run({"org/small"});
  CHECK(run.exit_code == 1);
  CHECK(kind_of(run) == "usage");
  CHECK(contains(run.err, "the signed manifest does not contain 'org/small'"));
  CHECK(manifest.run({"small"}).exit_code == 0);
}

TEST_CASE("a key without a signed file to check is refused") {
  const SignedManifest manifest;
  const std::vector<std::string> key = {"--manifest-key", manifest.path("key.pem")};

  Run run = manifest.machine.run(key);
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "the built-in manifest has no signature"));

  run = manifest.machine.run({key[0], key[1], "--manifest", "-"});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "a manifest from stdin cannot have a signature beside it"));
}

TEST_CASE("a key that cannot be used is named with the reason") {
  const SignedManifest manifest;
  manifest.make_key("key", "ed25519");
  CHECK(contains(manifest.run().err, "key.pem: it is a key of neither ECDSA nor RSA"));

  write_text(manifest.path("key.pem"), "no key");
  CHECK(contains(manifest.run().err, "key.pem: it has no public key in PEM form"));

  std::filesystem::remove(manifest.path("key.pem"));
  const Run run = manifest.run();
  CHECK(kind_of(run) == "usage");
  CHECK(contains(run.err, "cannot read the manifest's key"));
}

}  // namespace model_prep::testing
