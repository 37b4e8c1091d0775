// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/policy.h"

#include "support/catch.h"

namespace model_prep {
namespace {

using Licenses = std::set<std::string>;

Policy of_licenses(const Licenses& licenses) { return {.licenses = licenses}; }

const Policy kStrict = {.licenses = Licenses{"mit"},
                        .pickles = PicklePolicy::forbid,
                        .scan = ScanPolicy::required,
                        .signatures = SignaturePolicy::required};
const Policy kLoose = {.licenses = Licenses{"mit", "apache-2.0"},
                       .pickles = PicklePolicy::allow,
                       .scan = ScanPolicy::off,
                       .signatures = SignaturePolicy::off};

}  // namespace

TEST_CASE("a policy that says nothing has the defaults") {
  const Policy none;
  CHECK_FALSE(none.licenses);
  CHECK(none.pickle_policy() == PicklePolicy::warn);
  CHECK(none.scan_policy() == ScanPolicy::off);
  CHECK(none.signature_policy() == SignaturePolicy::off);
}

TEST_CASE("of two policies the stricter value of each rule counts, in either order") {
  CHECK(tightened(kStrict, kLoose) == kStrict);
  CHECK(tightened(kLoose, kStrict) == kStrict);
}

TEST_CASE("a policy that says nothing changes nothing, not even a value below the default") {
  CHECK(tightened(kLoose, {}) == kLoose);
  CHECK(tightened({}, kLoose) == kLoose);
  CHECK(tightened({}, {}) == Policy{});
}

TEST_CASE("of two lists of licenses those in both remain, and that may be none") {
  CHECK(tightened(of_licenses({"a", "b"}), of_licenses({"b", "c"})) == of_licenses({"b"}));
  CHECK(tightened(of_licenses({"a"}), of_licenses({"b"})) == of_licenses({}));
  CHECK(tightened(of_licenses({"other", "a"}), of_licenses({"other:x"})) ==
        of_licenses({"other:x"}));
  CHECK(tightened(of_licenses({"other:x"}), of_licenses({"other"})) == of_licenses({"other:x"}));
}

TEST_CASE("the member that loosens a policy is named") {
  CHECK(loosened_member(kStrict, {.pickles = PicklePolicy::forbid_code}) == "pickles");
  CHECK(loosened_member(kStrict, {.scan = ScanPolicy::refuse_unsafe}) == "scan");
  CHECK(loosened_member(kStrict, {.signatures = SignaturePolicy::off}) == "signatures");
  CHECK(loosened_member(kStrict, of_licenses({"mit", "apache-2.0"})) == "licenses");
  CHECK(loosened_member(of_licenses({"other:x"}), of_licenses({"other"})) == "licenses");
}

TEST_CASE("what is equal, stricter or not said loosens nothing") {
  CHECK(loosened_member(kLoose, kStrict).empty());
  CHECK(loosened_member(kStrict, kStrict).empty());
  CHECK(loosened_member(kStrict, {}).empty());
  CHECK(loosened_member({}, kLoose).empty());
  CHECK(loosened_member(of_licenses({"other"}), of_licenses({"other:x"})).empty());
}

TEST_CASE("the id of a license is in lower case, and one word") {
  CHECK(license_id("Apache-2.0") == "apache-2.0");
  CHECK(license_id("other:Llama-Custom") == "other:llama-custom");
  CHECK_FALSE(license_id(""));
  CHECK_FALSE(license_id("mit license"));
  CHECK_FALSE(license_id("mit,apache-2.0"));
  CHECK_FALSE(license_id("mit\x1b"));
  CHECK_FALSE(license_id("m\xc3\xaft"));
  CHECK(license_id(std::string(128, 'a')));
  CHECK_FALSE(license_id(std::string(129, 'a')));
}

TEST_CASE("every license of a model must be allowed, and other allows those with a name") {
  CHECK(licenses_not_allowed(of_licenses({"mit"}), {"mit"}).empty());
  CHECK(licenses_not_allowed(of_licenses({"mit"}), {"mit", "gpl-3.0"}) == Strings{"gpl-3.0"});
  CHECK(licenses_not_allowed(of_licenses({"other"}), {"other:x"}).empty());
  CHECK(licenses_not_allowed(of_licenses({"other:x"}), {"other:y", "other"}) ==
        Strings{"other:y", "other"});
  CHECK(licenses_not_allowed(of_licenses({}), {"mit"}) == Strings{"mit"});
  CHECK(licenses_not_allowed({}, {"anything"}).empty());
}

}  // namespace model_prep
