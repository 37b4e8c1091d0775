// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/manifest.h"
#include "model_prep/core/model_selection.h"
#include "support/catch.h"

namespace model_prep {
namespace {

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

std::string refusal(const std::string& of_all, const std::string& of_model) {
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
  CHECK(refusal(of_all, of_model) ==
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
  CHECK(refusal(policy, "").find(fault) != std::string::npos);
  CHECK(refusal("", policy).find("models.a." + fault) != std::string::npos);
}

}  // namespace model_prep
