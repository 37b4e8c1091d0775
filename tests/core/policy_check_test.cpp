// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/policy_check.h"

#include "core/builders.h"
#include "support/catch.h"

namespace model_prep {
namespace {

using namespace testing;

ResolvedSnapshot snapshot(const Policy& policy, const HubFacts& facts) {
  ResolvedSnapshot snapshot{spec("m", "org/m"),
                            commit('c'),
                            {plain_file("config.json", 1, '1'), plain_file("model.bin", 2, '2')},
                            {}};
  snapshot.spec.policy = policy;
  snapshot.facts = facts;
  return snapshot;
}

Policy licenses(const std::set<std::string>& allowed) { return {.licenses = allowed}; }
Policy scans(ScanPolicy rule) { return {.scan = rule}; }
HubFacts found(bool complete, const std::map<std::string, std::string>& findings = {}) {
  return {.scan = ScanVerdict{complete, findings}};
}

/// The kind of the error; nothing if the model may be used.
std::optional<ErrorKind> refusal(const Policy& policy, const HubFacts& facts,
                                 HubAsked asked = HubAsked::yes) {
  const Status checked = check_policy(snapshot(policy, facts), asked);
  return checked ? std::nullopt : std::optional(checked.error().kind);
}

}  // namespace

TEST_CASE("without a policy any license and any finding will do, also unknown ones") {
  CHECK_FALSE(refusal({}, {}));
  CHECK_FALSE(refusal({}, {}, HubAsked::no));
  CHECK_FALSE(refusal(
      {}, {.licenses = Strings{"gpl-3.0"}, .scan = ScanVerdict{true, {{"model.bin", "unsafe"}}}}));
}

TEST_CASE("a license must be on the list, every one of several, and a model must have one") {
  const auto kRefused = ErrorKind::license_not_allowed;
  const Policy policy = licenses({"mit", "apache-2.0"});
  CHECK_FALSE(refusal(policy, {.licenses = Strings{"mit"}}));
  CHECK_FALSE(refusal(policy, {.licenses = Strings{"apache-2.0", "mit"}}));
  CHECK(refusal(policy, {.licenses = Strings{"mit", "gpl-3.0"}}) == kRefused);
  CHECK(refusal(policy, {.licenses = Strings{}}) == kRefused);
  CHECK(refusal(policy, {}) == kRefused);
  CHECK(refusal(licenses({}), {.licenses = Strings{"mit"}}) == kRefused);
}

TEST_CASE("the error of a license names model, license and what is allowed") {
  const Status checked =
      check_policy(snapshot(licenses({"mit"}), {.licenses = Strings{"gpl-3.0"}}), HubAsked::yes);
  REQUIRE_FALSE(checked);
  CHECK(checked.error().message == "org/m at cccccccccccc: its license gpl-3.0 is not allowed");
  CHECK(checked.error().hint.starts_with("allowed are mit;"));

  const Status unnamed =
      check_policy(snapshot(licenses({"mit"}), {.licenses = Strings{}}), HubAsked::yes);
  REQUIRE_FALSE(unnamed);
  CHECK(unnamed.error().hint.starts_with("no list allows a model without one"));
}

TEST_CASE("a flagged file fails its model if it is selected, and caution does not") {
  for (const ScanPolicy rule : {ScanPolicy::refuse_unsafe, ScanPolicy::required}) {
    CHECK_FALSE(refusal(scans(rule), found(true)));
    CHECK_FALSE(refusal(scans(rule), found(true, {{"model.bin", "caution"}})));
    CHECK_FALSE(refusal(scans(rule), found(true, {{"other.bin", "unsafe"}})));
    for (const std::string level : {"unsafe", "suspicious", "a level of the future"})
      CHECK(refusal(scans(rule), found(true, {{"model.bin", level}})) == ErrorKind::unsafe);
    CHECK(refusal(scans(rule), found(false, {{"model.bin", "unsafe"}})) == ErrorKind::unsafe);
  }
}

TEST_CASE("only required refuses a model that is not scanned yet, or of which nobody knows") {
  CHECK_FALSE(refusal(scans(ScanPolicy::refuse_unsafe), found(false)));
  CHECK_FALSE(refusal(scans(ScanPolicy::refuse_unsafe), {}));
  CHECK(refusal(scans(ScanPolicy::required), found(false)) == ErrorKind::not_scanned);
  CHECK(refusal(scans(ScanPolicy::required), {}) == ErrorKind::not_scanned);
}

TEST_CASE("offline, what is kept counts, and what is not known fails") {
  const auto kUnknown = ErrorKind::offline_missing;
  CHECK(refusal(licenses({"mit"}), {}, HubAsked::no) == kUnknown);
  CHECK(refusal(scans(ScanPolicy::refuse_unsafe), {}, HubAsked::no) == kUnknown);
  CHECK(refusal(scans(ScanPolicy::required), {}, HubAsked::no) == kUnknown);
  CHECK_FALSE(refusal(licenses({"mit"}), {.licenses = Strings{"mit"}}, HubAsked::no));
  CHECK_FALSE(refusal(scans(ScanPolicy::required), found(true), HubAsked::no));
  CHECK(refusal(scans(ScanPolicy::required), found(false), HubAsked::no) == ErrorKind::not_scanned);
}

TEST_CASE("only what a policy needs and nobody knows is asked for") {
  CHECK_FALSE(missing_facts({}, {}).any());
  CHECK(missing_facts(licenses({"mit"}), {}).licenses);
  CHECK_FALSE(missing_facts(licenses({"mit"}), {}).scan);
  CHECK_FALSE(missing_facts(licenses({"mit"}), {.licenses = Strings{}}).any());
  CHECK(missing_facts(scans(ScanPolicy::refuse_unsafe), {}).scan);
  CHECK_FALSE(missing_facts(scans(ScanPolicy::off), {}).any());
  CHECK_FALSE(missing_facts(scans(ScanPolicy::refuse_unsafe), found(false)).any());
  CHECK(missing_facts(scans(ScanPolicy::required), found(false)).scan);
  CHECK_FALSE(missing_facts(scans(ScanPolicy::required), found(true)).any());
}

TEST_CASE("what a scan policy lets pass is a warning") {
  const Policy policy = scans(ScanPolicy::refuse_unsafe);
  CHECK(scan_warnings(snapshot({}, {})).empty());
  CHECK(scan_warnings(snapshot(policy, found(true))).empty());
  CHECK(scan_warnings(snapshot(policy, {})).size() == 1);
  CHECK(scan_warnings(snapshot(policy, found(false))).size() == 1);
  const Strings warnings =
      scan_warnings(snapshot(policy, found(true, {{"x.bin", "unsafe"}, {"y.py", "caution"}})));
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0] ==
        "org/m at cccccccccccc: the Hub's scanners flag x.bin (unsafe), y.py (caution)");
}

TEST_CASE("a long list of files is cut, and a name from outside cannot start a command") {
  std::map<std::string, std::string> findings;
  for (int i = 0; i < 9; ++i) findings.emplace("file" + std::to_string(i), "caution");
  findings.emplace("##[error]", "caution\x1b");
  const Strings warnings =
      scan_warnings(snapshot(scans(ScanPolicy::refuse_unsafe), found(true, findings)));
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].ends_with(", 5 more"));
  CHECK(warnings[0].find('\x1b') == std::string::npos);
}

}  // namespace model_prep
