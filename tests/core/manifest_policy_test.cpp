// SPDX-License-Identifier: Apache-2.0
#include "core/builders.h"
#include "model_prep/core/manifest.h"
#include "model_prep/core/model_selection.h"
#include "support/catch.h"

namespace model_prep {
namespace {

using testing::commit;
using testing::plain_file;
using testing::spec;

/// A manifest of one model `a`; either policy is JSON, or empty for none.
std::string manifest_text(const std::string& of_all, const std::string& of_model) {
  const auto member = [](const std::string& policy) {
    return policy.empty() ? "" : R"("policy":)" + policy + ",";
  };
  return R"({"version":1,)" + member(of_all) + R"("models":{"a":{)" + member(of_model) +
         R"("repo":"org/a"}}})";
}

Policy policy_of(const std::string& of_all, const std::string& of_model,
                 const std::string& name = "a", const Policy& flags = {}) {
  const auto manifest = parse_manifest(manifest_text(of_all, of_model), "m.json");
  REQUIRE(manifest);
  return select_models(*manifest, {.names = {name}}, Build::fp32, {}, flags)->at(0).policy;
}

std::string policy_refusal(const std::string& of_all, const std::string& of_model) {
  const auto manifest = parse_manifest(manifest_text(of_all, of_model), "m.json");
  return manifest ? "" : manifest.error().message;
}

}  // namespace

TEST_CASE("a manifest without a policy demands nothing") {
  CHECK(policy_of("", "") == Policy{});
  CHECK(policy_of("{}", "{}") == Policy{});
}

TEST_CASE("every rule of a manifest's policy reaches its models") {
  const Policy policy = policy_of(R"({"licenses":["MIT","apache-2.0"],"pickles":"forbid-code",
                                      "scan":"required","signatures":"required"})",
                                  "");
  CHECK(policy.licenses == std::set<std::string>{"apache-2.0", "mit"});
  CHECK(policy.pickles == PicklePolicy::forbid_code);
  CHECK(policy.scan == ScanPolicy::required);
  CHECK(policy.signatures == SignaturePolicy::required);
}

TEST_CASE("a model tightens the manifest's policy, and the command line both") {
  const Policy flags{.licenses = std::set<std::string>{"mit", "gpl-3.0"},
                     .pickles = PicklePolicy::forbid,
                     .scan = ScanPolicy::off};
  const Policy policy = policy_of(R"({"licenses":["mit","apache-2.0"],"pickles":"allow"})",
                                  R"({"pickles":"warn","scan":"refuse-unsafe"})", "a", flags);
  CHECK(policy.licenses == std::set<std::string>{"mit"});
  CHECK(policy.pickles == PicklePolicy::forbid);
  CHECK(policy.scan == ScanPolicy::refuse_unsafe);
  CHECK_FALSE(policy.signatures);
}

TEST_CASE("where the manifest says nothing, a model may be below the default") {
  CHECK(policy_of("", R"({"pickles":"allow"})").pickle_policy() == PicklePolicy::allow);
}

TEST_CASE("the manifest's policy holds for a model that it does not name") {
  const std::string of_all = R"({"scan":"required"})";
  CHECK(policy_of(of_all, R"({"pickles":"forbid"})", "org/b") ==
        Policy{.scan = ScanPolicy::required});
}

TEST_CASE("an empty list of licenses allows none") {
  CHECK(policy_of(R"({"licenses":[]})", "").licenses == std::set<std::string>{});
}

TEST_CASE("a model that would loosen the policy is refused, with the path of the member") {
  const auto [of_all, of_model, path] = GENERATE(table<std::string, std::string, std::string>({
      {R"({"pickles":"forbid"})", R"({"pickles":"forbid-code"})", "models.a.policy.pickles"},
      {R"({"scan":"required"})", R"({"scan":"off"})", "models.a.policy.scan"},
      {R"({"signatures":"required"})", R"({"signatures":"off"})", "models.a.policy.signatures"},
      {R"({"licenses":["mit"]})", R"({"licenses":["mit","gpl-3.0"]})", "models.a.policy.licenses"},
  }));
  CHECK(policy_refusal(of_all, of_model) ==
        "manifest m.json: " + path +
            ": allows more than the policy of the manifest, which a model can only tighten");
}

TEST_CASE("a wrong value in a policy is refused with its path") {
  const auto [policy, fault] = GENERATE(table<std::string, std::string>({
      {R"("strict")", "policy: should be an object"},
      {R"({"pickles":"refuse"})", "policy.pickles: should be one of allow, warn, forbid-code, "},
      {R"({"scan":true})", "policy.scan: should be a string"},
      {R"({"signatures":"on"})", "policy.signatures: should be one of off, required"},
      {R"({"licenses":"mit"})", "policy.licenses: should be a list of strings"},
      {R"({"licenses":["MIT License"]})", "policy.licenses: 'MIT License' is no id of a license"},
      {R"({"license":["mit"]})", "policy.license: unknown member; did you mean licenses?"},
  }));
  CHECK(policy_refusal(policy, "").find(fault) != std::string::npos);
  CHECK(policy_refusal("", policy).find("models.a." + fault) != std::string::npos);
}

TEST_CASE("a model states license and scan of its commit, and a variant elsewhere has neither") {
  const std::string commit(40, 'c');
  const std::string members = R"("repo":"org/a","revision":")" + commit +
                              R"(","license":["MIT"],"scan":{"complete":true,
      "findings":{"x.pkl":"caution"}},"variants":{"fp32":{},"onnx":{"repo":"org/b"}})";
  const auto manifest =
      parse_manifest(R"({"version":1,"models":{"a":{)" + members + "}}}", "m.json");
  REQUIRE(manifest);
  const HubFacts facts{.licenses = Strings{"mit"},
                       .scan = ScanVerdict{true, {{"x.pkl", "caution"}}}};
  CHECK(select_models(*manifest, {}, Build::fp32)->at(0).locked_facts == facts);
  CHECK(select_models(*manifest, {}, Build::onnx)->at(0).locked_facts == HubFacts{});
}

TEST_CASE("license and scan are refused where they cannot be, and what is wrong in them") {
  const std::string pin = R"("revision":")" + std::string(40, 'c') + "\",";
  const auto [members, fault] = GENERATE_COPY(table<std::string, std::string>({
      {R"("license":["mit"])", "models.a.license: is known of a commit only"},
      {R"("revision":"v1","scan":{"complete":true})", "models.a.scan: is known of a commit only"},
      {pin + R"("license":"mit")", "models.a.license: should be a list of strings"},
      {pin + R"("license":["a b"])", "models.a.license: 'a b' is no id"},
      {pin + R"("scan":{"findings":{}})", "models.a.scan.complete: is missing"},
      {pin + R"("scan":{"complete":1})", "models.a.scan.complete: should be true or false"},
      {pin + R"("scan":{"complete":true,"findings":{"x":1}})",
       "models.a.scan.findings.x: should be a string"},
      {pin + R"("scan":{"complete":true,"findings":[]})",
       "models.a.scan.findings: should be an object"},
      {pin + R"("scan":{"complete":true,"found":{}})", "models.a.scan.found: unknown member"},
  }));
  const auto manifest =
      parse_manifest(R"({"version":1,"models":{"a":{"repo":"org/a",)" + members + "}}}", "m.json");
  REQUIRE_FALSE(manifest);
  INFO(manifest.error().message);
  CHECK(manifest.error().message.find(fault) != std::string::npos);
}

TEST_CASE("a lock has the policy, the license and the scan, and reads as it was") {
  ResolvedSnapshot snapshot{spec("a", "org/a"), commit('c'), {plain_file("x", 1, '1')}, {}};
  snapshot.spec.policy = {.licenses = std::set<std::string>{"apache-2.0", "mit"},
                          .pickles = PicklePolicy::allow,
                          .scan = ScanPolicy::required,
                          .signatures = SignaturePolicy::required};
  snapshot.facts = {.licenses = Strings{"mit"},
                    .scan = ScanVerdict{false, {{"a\"b.pkl", "caution"}, {"c", "caution"}}}};
  const auto manifest = parse_manifest(lock_text({snapshot}), "lock");
  REQUIRE(manifest);
  const ModelSpec read = select_models(*manifest, {}, Build::fp32)->at(0);
  CHECK(read.policy == snapshot.spec.policy);
  CHECK(read.locked_facts == snapshot.facts);
}

TEST_CASE("a lock holds a model that it does not name to the policy of the run") {
  const ResolvedSnapshot snapshot{spec("a", "org/a"), commit('c'), {plain_file("x", 1, '1')}, {}};
  const Policy policy{.licenses = std::nullopt,
                      .pickles = PicklePolicy::forbid,
                      .scan = std::nullopt,
                      .signatures = SignaturePolicy::required};
  const auto manifest = parse_manifest(lock_text({snapshot}, policy), "lock");
  REQUIRE(manifest);
  CHECK(manifest->policy == policy);
}

TEST_CASE("a lock without policy, license and scan has none of their members") {
  const std::string text =
      lock_text({{spec("a", "org/a"), commit('c'), {plain_file("x", 1, '1')}, {}}});
  for (const char* member : {"policy", "license", "scan"})
    CHECK(text.find(member) == std::string::npos);
}

}  // namespace model_prep
