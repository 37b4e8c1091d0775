// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/policy.h"

#include <algorithm>
#include <iterator>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::size_t kMaxLicenseId = 128;
constexpr std::string_view kOther = "other";

/// The stricter one of two values; an optional that is not set is less than any value.
template <class Rule>
void tighten(std::optional<Rule>& rule, const std::optional<Rule>& by) {
  rule = std::max(rule, by);
}

template <class Rule>
bool is_looser(const std::optional<Rule>& inner, const std::optional<Rule>& outer) {
  return inner && inner < outer;
}

bool allows(const std::set<std::string>& allowed, const std::string& license) {
  if (allowed.contains(license)) return true;
  return license.starts_with(std::string(kOther) + ":") && allowed.contains(std::string(kOther));
}

/// Those of `some` that `others` allow.
std::set<std::string> allowed_by(const std::set<std::string>& others,
                                 const std::set<std::string>& some) {
  std::set<std::string> both;
  for (const std::string& license : some)
    if (allows(others, license)) both.insert(license);
  return both;
}

}  // namespace

Policy tightened(const Policy& policy, const Policy& by) {
  Policy both = policy;
  tighten(both.pickles, by.pickles);
  tighten(both.scan, by.scan);
  tighten(both.signatures, by.signatures);

  if (!policy.licenses || !by.licenses) {
    if (by.licenses) both.licenses = by.licenses;
    return both;
  }

  // Either list may have `other` where the other one has `other:NAME`.
  both.licenses = allowed_by(*by.licenses, *policy.licenses);
  both.licenses->merge(allowed_by(*policy.licenses, *by.licenses));
  return both;
}

std::string_view loosened_member(const Policy& outer, const Policy& inner) {
  if (is_looser(inner.pickles, outer.pickles)) return "pickles";
  if (is_looser(inner.scan, outer.scan)) return "scan";
  if (is_looser(inner.signatures, outer.signatures)) return "signatures";
  if (inner.licenses && outer.licenses &&
      allowed_by(*outer.licenses, *inner.licenses) != *inner.licenses)
    return "licenses";
  return "";
}

std::optional<std::string> license_id(std::string_view text) {
  const auto is_part_of_one = [](unsigned char c) { return c > 0x20 && c < 0x7f && c != ','; };
  if (text.empty() || text.size() > kMaxLicenseId || !std::ranges::all_of(text, is_part_of_one))
    return std::nullopt;
  return lower_case(text);
}

Strings licenses_not_allowed(const Policy& policy, const Strings& licenses) {
  Strings refused;
  if (!policy.licenses) return refused;
  std::ranges::copy_if(licenses, std::back_inserter(refused), [&](const std::string& license) {
    return !allows(*policy.licenses, license);
  });
  return refused;
}

}  // namespace model_prep
