// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/policy_flags.h"

#include "model_prep/cli/options.h"
#include "support/catch.h"

namespace model_prep {
namespace {

using Licenses = std::set<std::string>;

Result<Options> parse(const Strings& arguments, Environment environment = {}) {
  environment.try_emplace("HOME", "/home/of/nobody");
  return parse_options(arguments, environment);
}

Policy policy_of(const Strings& arguments, const Environment& environment = {}) {
  const auto options = parse(arguments, environment);
  REQUIRE(options);
  return options->policy;
}

}  // namespace

TEST_CASE("without flags and variables the command line demands nothing") {
  CHECK(policy_of({}) == Policy{});
}

TEST_CASE("allowed licenses are a list, of one flag or of several") {
  const Policy both{.licenses = Licenses{"apache-2.0", "mit"}};
  CHECK(policy_of({"--allow-license", "apache-2.0,mit"}) == both);
  CHECK(policy_of({"--allow-license", "MIT", "--allow-license", " apache-2.0 "}) == both);
  CHECK(policy_of({}, {{"MODEL_PREP_ALLOW_LICENSE", "mit, apache-2.0\n"}}) == both);
  CHECK(policy_of({"--allow-license", "mit"}, {{"MODEL_PREP_ALLOW_LICENSE", "gpl-3.0"}}) ==
        Policy{.licenses = Licenses{"mit"}});
}

TEST_CASE("the rule for scans is a flag or a variable") {
  CHECK(policy_of({"--scan", "required"}) == Policy{.scan = ScanPolicy::required});
  CHECK(policy_of({}, {{"MODEL_PREP_SCAN", "refuse-unsafe"}}) ==
        Policy{.scan = ScanPolicy::refuse_unsafe});
}

TEST_CASE("pickles and unsigned models are refused by a switch or a variable") {
  CHECK(policy_of({"--forbid-pickle-code"}) == Policy{.pickles = PicklePolicy::forbid_code});
  CHECK(policy_of({"--forbid-pickles"}) == Policy{.pickles = PicklePolicy::forbid});
  CHECK(policy_of({"--forbid-pickles", "--forbid-pickle-code"}).pickles == PicklePolicy::forbid);
  CHECK(policy_of({"--require-signatures"}) == Policy{.signatures = SignaturePolicy::required});
  CHECK(policy_of({}, {{"MODEL_PREP_FORBID_PICKLES", "1"},
                       {"MODEL_PREP_FORBID_PICKLE_CODE", "on"},
                       {"MODEL_PREP_REQUIRE_SIGNATURES", "Yes"}}) ==
        Policy{.pickles = PicklePolicy::forbid, .signatures = SignaturePolicy::required});
  CHECK(policy_of({}, {{"MODEL_PREP_FORBID_PICKLES", "0"},
                       {"MODEL_PREP_REQUIRE_SIGNATURES", "off"}}) == Policy{});
  CHECK_FALSE(parse({}, {{"MODEL_PREP_FORBID_PICKLES", "maybe"}}));
}

TEST_CASE("a policy that does not parse names the flag or variable") {
  const auto refused = parse({"--allow-license", "mit license"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::usage);
  CHECK(refused.error().message.starts_with("--allow-license is 'mit license'"));
  CHECK_FALSE(parse({"--allow-license", ","}));
  CHECK_FALSE(parse({"--allow-license", ""}));
  CHECK_FALSE(parse({"--scan", "yes"}));

  const auto variable = parse({}, {{"MODEL_PREP_SCAN", "on"}});
  REQUIRE_FALSE(variable);
  CHECK(variable.error().message.starts_with("MODEL_PREP_SCAN is 'on'"));
}

TEST_CASE("download and lock take the policy, other commands neither flag nor variable") {
  CHECK(policy_of({"lock", "--scan", "required"}).scan == ScanPolicy::required);
  CHECK_FALSE(parse({"list", "--scan", "required"}));
  CHECK(policy_of({"list"}, {{"MODEL_PREP_SCAN", "nonsense"}}) == Policy{});
}

TEST_CASE(
    "lock --check, which judges nothing, takes no flag about policies, but ignores variables") {
  const auto [flag, value] = GENERATE(table<std::string, std::string>({
      {"--allow-license", "mit"},
      {"--scan", "required"},
      {"--signature-key", "key.pem"},
      {"--dependencies", "require"},
  }));
  const auto refused = parse({"lock", "--check", flag, value});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::usage);
  CHECK(refused.error().hint == "leave out --check or " + flag);

  CHECK(parse({"lock", flag, value}));
  CHECK(parse({"lock", "--check"}, {{"MODEL_PREP_ALLOW_LICENSE", "mit"},
                                    {"MODEL_PREP_SCAN", "required"},
                                    {"MODEL_PREP_SIGNATURE_KEY", "key.pem"},
                                    {"MODEL_PREP_DEPENDENCIES", "require"}}));
}

TEST_CASE("lock has two formats") {
  CHECK(parse({"lock"})->lock_format == LockFormat::lock);
  CHECK(parse({"lock", "--format", "cyclonedx"})->lock_format == LockFormat::cyclonedx);
  CHECK_FALSE(parse({"lock", "--format", "spdx"}));
  CHECK_FALSE(parse({"--format", "cyclonedx"}));
}

}  // namespace model_prep
