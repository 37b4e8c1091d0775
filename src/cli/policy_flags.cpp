// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/policy_flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace model_prep {
namespace {

Status read_licenses(const FlagValues& values, Policy& policy) {
  for (const FlagValues::Value& found : values.find_all("--allow-license")) {
    const Strings texts = split_list(found.value);
    const Error wrong = bad_value(
        found,
        "ids of licenses as the Hub spells them, separated by commas, such as apache-2.0,mit");
    if (texts.empty()) return wrong;
    if (!policy.licenses) policy.licenses.emplace();

    for (const std::string& text : texts) {
      const auto license = license_id(text);
      if (!license) return wrong;
      policy.licenses->insert(*license);
    }
  }
  return ok();
}

Status read_scan(const FlagValues& values, Policy& policy) {
  const auto found = values.find("--scan");
  if (!found) return ok();
  policy.scan = value_of<ScanPolicy>(found->value);
  if (policy.scan) return ok();
  return bad_value(*found, fmt::format("one of {}", fmt::join(kNames<ScanPolicy>, ", ")));
}

/// A switch, or a variable that says yes or no.
Status read_switch(const FlagValues& values, const std::string& flag, bool& into) {
  const auto found = values.find(flag);
  if (!found || found->name == flag) {
    into = found.has_value();
    return ok();
  }

  const auto value = read_boolean(*found);
  if (!value) return value.error();
  into = *value;
  return ok();
}

Status read_pickles(const FlagValues& values, Policy& policy) {
  bool code = false;
  bool all = false;
  if (Status read = read_switch(values, "--forbid-pickle-code", code); !read) return read;
  if (Status read = read_switch(values, "--forbid-pickles", all); !read) return read;
  if (code) policy.pickles = PicklePolicy::forbid_code;
  if (all) policy.pickles = PicklePolicy::forbid;
  return ok();
}

Status read_signatures(const FlagValues& values, Policy& policy) {
  bool required = false;
  if (Status read = read_switch(values, "--require-signatures", required); !read) return read;
  if (required) policy.signatures = SignaturePolicy::required;
  return ok();
}

/// `--check` compares commits only. A variable is for other runs too, but a flag beside it would
/// seem to have been obeyed.
Status refuse_beside_check(const FlagValues& values) {
  if (!values.has("--check")) return ok();
  for (const char* flag : {"--signature-key", "--dependencies", "--allow-license", "--scan"})
    if (values.has(flag))
      return Error{ErrorKind::usage,
                   fmt::format("--check judges no model, so {} says nothing", flag),
                   fmt::format("leave out --check or {}", flag)};
  return ok();
}

}  // namespace

Result<Policy> find_policy(const FlagValues& values) {
  Policy policy;
  for (const Status& read :
       {refuse_beside_check(values), read_licenses(values, policy), read_scan(values, policy),
        read_pickles(values, policy), read_signatures(values, policy)})
    if (!read) return read.error();
  return policy;
}

}  // namespace model_prep
