// SPDX-License-Identifier: Apache-2.0
// Models that somebody must have signed, with real keys and signatures of the openssl program.
// tests/interop/test_signatures.py has those of model-signing itself.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "model_prep/base/digest.h"
#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

const std::string kId = "org/small";

std::string raw(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

/// The statement that model-signing would write of these files.
std::string statement_of(const std::vector<HubFile>& files) {
  std::map<std::string, std::string> digests;
  for (const HubFile& file : files) digests[file.path] = digests_of(file).sha256;

  nlohmann::json resources = nlohmann::json::array();
  std::string all;
  for (const auto& [path, digest] : digests) {
    resources.push_back({{"name", path}, {"algorithm", "sha256"}, {"digest", digest}});
    all += raw(digest);
  }
  return nlohmann::json{{"_type", "https://in-toto.io/Statement/v1"},
                        {"subject", {{{"name", "m"}, {"digest", {{"sha256", sha256_hex(all)}}}}}},
                        {"predicateType", "https://model_signing/signature/v1.0"},
                        {"predicate",
                         {{"serialization",
                           {{"method", "files"},
                            {"hash_type", "sha256"},
                            {"allow_symlinks", false},
                            {"ignore_paths", {".gitattributes", "model.sig"}}}},
                          {"resources", resources}}}}
      .dump();
}

/// One whose license and scan the hub knows.
HubRepo judged_repo() {
  HubRepo repo = small_repo();
  repo.card = R"({"license": "mit"})";
  repo.scan = R"({"scansDone": true, "filesWithIssues": []})";
  return repo;
}

/// A machine with a key, and a repository that the key signed.
class Signed {
 public:
  explicit Signed(HubRepo of = small_repo()) : repo(std::move(of)), machine(hub) {
    make_key("key");
    sign(statement_of(files()));
    hub.add(repo);
    use_manifest(R"("signature": {"key": "keys/key.pem"})");
  }

  std::vector<HubFile>& files() { return repo.commits.begin()->second; }

  /// Replaces model.sig.
  void sign(const std::string& statement, const std::string& key = "key") {
    write_text(machine.folder() / "statement", statement);
    write_text(machine.folder() / "signed", "DSSEv1 28 application/vnd.in-toto+json " +
                                                std::to_string(statement.size()) + " " + statement);
    const std::string signature =
        shell("openssl dgst -sha256 -sign keys/" + key + ".private signed | openssl base64 -A");
    const std::string payload = shell("openssl base64 -A -in statement");
    std::erase_if(files(), [](const HubFile& file) { return file.path == "model.sig"; });
    files().push_back(
        {"model.sig",
         R"({"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":)"
         R"({"publicKey":{},"tlogEntries":[]},"dsseEnvelope":{"payload":")" +
             payload + R"(","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":")" +
             signature + R"("}]}})"});
  }

  void make_key(const std::string& name) const {
    shell(
        "mkdir -p keys && openssl genpkey -quiet -algorithm EC -pkeyopt "
        "ec_paramgen_curve:P-256 -out keys/" +
        name + ".private && openssl pkey -in keys/" + name + ".private -pubout -out keys/" + name +
        ".pem");
  }

  std::string shell(const std::string& script) const {
    const Run run = machine.shell("cd " + machine.folder().string() + " && " + script);
    INFO(run.err);
    REQUIRE(run.exit_code == 0);
    return run.out;
  }

  std::string path(const std::string& name) const { return (machine.folder() / name).string(); }

  /// One model, `m`, with more members.
  void use_manifest(const std::string& members, const std::string& policy = "") const {
    write_text(path("models.json"),
               R"({"version": 1, )" + policy + R"("models": {"m": {"repo": ")" + kId +
                   R"(", "revision": ")" + main_of(repo) + R"(", )" + members + "}}}");
  }

  Run run(std::vector<std::string> arguments = {}) const {
    for (const std::string& more : {std::string("--manifest"), path("models.json")})
      arguments.push_back(more);
    return machine.run(arguments);
  }

  std::string record() const {
    return read_text(machine.cache() / "models--org--small" / ".model-prep" /
                     (main_of(repo) + ".json"));
  }

  HubRepo repo;
  FakeHub hub;
  TestHost machine;
};

}  // namespace

TEST_CASE("a signed model is published with a record of its signature, and not asked for again") {
  Signed model;
  Run run = model.run();
  INFO(run.err);
  REQUIRE(run.exit_code == 0);
  CHECK(contains(run.err, "m: signed by the key "));
  CHECK(contains(model.record(), "\"signature\""));

  model.hub.clear_requests();
  CHECK(model.run().exit_code == 0);
  CHECK(model.run({"--offline"}).exit_code == 0);
  CHECK(model.hub.requests().empty());
}

TEST_CASE("without a signer the record and the requests are as they ever were") {
  Signed model;
  model.use_manifest(R"("ref": "main")");
  REQUIRE(model.run({"--include", "*.json"}).exit_code == 0);
  CHECK_FALSE(contains(model.record(), "sign\""));
  CHECK_FALSE(contains(model.record(), "\"signature\""));
  for (const LoggedRequest& request : model.hub.requests()) CHECK(request.file != "model.sig");
}

TEST_CASE("the flag demands one key's signature of every model, in place of the manifest's") {
  Signed model;
  model.make_key("other");
  model.use_manifest(R"("signature": {"key": "keys/other.pem"})");
  CHECK(model.run().error_kind("m") == "signature_mismatch");
  CHECK(model.run({"--signature-key", model.path("keys/key.pem")}).exit_code == 0);
  CHECK(model.run({"--signature-key", model.path("keys/other.pem")}).error_kind("m") ==
        "signature_mismatch");

  const Run direct =
      model.machine.run({kId}, {{"MODEL_PREP_SIGNATURE_KEY", model.path("keys/key.pem")}});
  CHECK(direct.exit_code == 0);
}

TEST_CASE("a key that cannot be used ends the run before the first request") {
  Signed model;
  const std::string content = GENERATE(as<std::string>{}, "", "no key");
  write_text(model.path("keys/key.pem"), content);
  Run run = model.run();
  CHECK(run.exit_code == 1);
  CHECK(run.summary["error"]["kind"] == "usage");
  CHECK(contains(run.err, "keys/key.pem to verify signatures: it has no public key in PEM form"));

  std::filesystem::remove(model.path("keys/key.pem"));
  run = model.run();
  CHECK(run.summary["error"]["kind"] == "usage");
  CHECK(contains(run.err, "cannot read whose signature to trust"));
  CHECK(model.hub.requests().empty());
}

TEST_CASE("a policy that demands signatures fails a model without a signer") {
  Signed model;
  const std::string policy = R"("policy": {"signatures": "required"}, )";
  model.use_manifest(R"("ref": "main")", policy);
  const Run run = model.run();
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("m") == "signature_missing");
  CHECK(contains(run.err, "the policy demands a signature, but nothing says whose"));
  CHECK(model.run({"lock"}).exit_code == 1);
  CHECK(model.hub.requests("payload").empty());

  model.use_manifest(R"("signature": {"key": "keys/key.pem"})", policy);
  CHECK(model.run().exit_code == 0);
}

TEST_CASE("a signature that was damaged on the way is requested once more") {
  Signed model;
  model.hub.add(
      Fault{.on = Fault::On::resolve_cache, .path = "model.sig", .what = FlipByte{.offset = 99}});
  const Run run = model.run({"--include", "*.json"});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  const auto requests = model.hub.requests("resolve_cache");
  CHECK(std::ranges::count(requests, "model.sig", &LoggedRequest::file) == 2);
}

TEST_CASE("an endpoint with a bad signature does not hide the good one of the next") {
  Signed model;
  FakeHub second;
  second.add(model.repo);
  model.files().back().content = "{}";
  model.hub.add(model.repo);
  const Run run = model.run(
      {"--include", "*.json", "--endpoint", model.hub.endpoint(), "--endpoint", second.endpoint()});
  INFO(run.err);
  CHECK(run.exit_code == 0);
}

TEST_CASE("dependencies have to be signed by the flag's key too") {
  HubRepo adapter = small_repo();
  adapter.commits.begin()->second.push_back(
      {"adapter_config.json", R"({"base_model_name_or_path": "org/base"})"});
  Signed model(adapter);
  model.hub.add(small_repo("org/base"));
  const Run run =
      model.run({"--dependencies", "fetch", "--signature-key", model.path("keys/key.pem")});
  INFO(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("m") == "dependency_missing");
  CHECK(run.error_kind("org/base") == "signature_missing");
}

TEST_CASE("lock verifies the signature and pins the signer's digests") {
  Signed model;
  const Run run = model.run({"lock"});
  INFO(run.err);
  REQUIRE(run.exit_code == 0);
  const auto lock = nlohmann::json::parse(run.out)["models"]["m"];
  CHECK(lock["signed_by"].get<std::string>().size() == 64);
  CHECK(lock["signature"]["key"] == "keys/key.pem");
  const HubFile config = file_of(model.repo, "config.json");
  CHECK(lock["files"]["config.json"]["sha256"] == digests_of(config).sha256);

  // The lock needs no listing, and its model is verified again.
  write_text(model.path("models.json"), run.out);
  model.hub.clear_requests();
  CHECK(model.run().exit_code == 0);
  CHECK(model.hub.requests("tree").empty());

  model.use_manifest(R"("signature": {"key": "keys/key.pem"})");
  model.sign(statement_of({config}));
  model.hub.add(model.repo);
  const Run refused = model.run({"lock"});
  CHECK(refused.exit_code == 1);
  CHECK(refused.out.empty());
  CHECK(contains(refused.err, "the signature neither lists nor leaves out this file"));
}

TEST_CASE("repairing a model verifies its signature, and keeps what the record says") {
  Signed model;
  REQUIRE(model.run().exit_code == 0);
  flip_byte(blob_of(model.machine, model.repo, "config.json"), 0);
  CHECK(model.run({"verify", "--repair"}).exit_code == 0);
  model.hub.clear_requests();
  CHECK(model.run().exit_code == 0);
  CHECK(model.hub.requests().empty());
}

TEST_CASE("a repair judges the signature of a model whose bytes are right, too") {
  Signed model;
  model.make_key("other");
  model.use_manifest(R"("purpose": "no signature is demanded yet")");
  REQUIRE(model.run().exit_code == 0);

  model.use_manifest(R"("signature": {"key": "keys/other.pem"})");
  const Run refused = model.run({"verify", "--repair"});
  CHECK(refused.exit_code == 1);
  CHECK(refused.error_kind("m") == "signature_mismatch");

  model.use_manifest(R"("signature": {"key": "keys/key.pem"})");
  CHECK(model.run({"verify", "--repair"}).exit_code == 0);
}

TEST_CASE("export takes a model whose signer the cache knows, and no other") {
  Signed model;
  model.use_manifest(R"("ref": "main")");
  REQUIRE(model.run().exit_code == 0);
  const std::vector<std::string> exporting = {"export", "--to", "dir:" + model.path("out")};

  // Nobody has looked for a signature yet.
  model.use_manifest(R"("signature": {"key": "keys/key.pem"})");
  Run run = model.run(exporting);
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "the cache does not know that its signer has signed these files"));
  CHECK_FALSE(std::filesystem::exists(model.path("out")));

  REQUIRE(model.run().exit_code == 0);
  CHECK(model.run(exporting).exit_code == 0);

  model.make_key("other");
  model.use_manifest(R"("signature": {"key": "keys/other.pem"})");
  CHECK(model.run(exporting).exit_code == 1);
  model.use_manifest(R"("ref": "main")", R"("policy": {"signatures": "required"}, )");
  CHECK(model.run(exporting).error_kind("m") == "signature_missing");
}

TEST_CASE("an image of a signed model satisfies its manifest without a network") {
  Signed model(judged_repo());
  model.use_manifest(R"("signature": {"key": "keys/key.pem"})",
                     R"("policy": {"licenses": ["mit"], "scan": "required"}, )");
  const std::string to = "oci:" + model.path("images");
  const Run brought = model.run({"--to", to});
  CAPTURE(brought.err);
  REQUIRE(brought.exit_code == 0);

  // The same image, whether the models were judged in this run or in an earlier one.
  model.hub.clear_requests();
  CHECK(model.run({"export", "--to", to}).out == brought.out);
  model.shell("mkdir far && for blob in images/blobs/sha256/*; do tar -xf $blob -C far || :; done");
  const Run run = model.run({"--offline", "--cache-dir", model.path("far/hub")});
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(run.model("m")["status"] == "cached");
  CHECK(model.hub.requests().empty());
}

TEST_CASE("a signed model is imported without a network, with the signature on the disk") {
  Signed model;
  REQUIRE(model.run().exit_code == 0);
  model.hub.clear_requests();
  const std::string kind = GENERATE("a cache", "bare files and a lock");
  CAPTURE(kind);
  if (kind == "a cache") {
    model.shell("cp -a home/hub disk");
  } else {
    write_text(model.path("lock.json"), model.run({"lock"}).out);
    model.shell("mkdir disk && cd home && cp -rL --parents hub/*/snapshots ../disk");
    model.shell("mv lock.json models.json");
    model.hub.clear_requests();
  }
  const auto import_on = [&](const TestHost& far) {
    return far.run(
        {"--offline", "--from", model.path("disk"), "--manifest", model.path("models.json")});
  };
  const Run run = import_on(TestHost(model.hub));
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(run.model("m")["signed_by"].get<std::string>().size() == 64);
  CHECK(model.hub.requests().empty());

  // The key decides, and not whose disk it is.
  model.make_key("other");
  model.shell("cp keys/other.pem keys/key.pem");
  CHECK(import_on(TestHost(model.hub)).error_kind("m") == "signature_mismatch");
}

TEST_CASE("a dry run says that a model is not signed") {
  Signed model;
  model.make_key("other");
  model.sign(statement_of(model.files()), "other");
  model.hub.add(model.repo);
  const Run run = model.run({"--dry-run"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("m") == "signature_mismatch");
  CHECK_FALSE(std::filesystem::exists(model.machine.cache() / "models--org--small" / "snapshots"));
}

}  // namespace model_prep::testing
