// SPDX-License-Identifier: Apache-2.0
// What a model must satisfy besides having the right bytes, as the manifest and the command line
// demand it. docs/security.md lists the checks, their defaults, and what each one proves.
//
// Two policies that both count make one by `tightened`, which never loosens either. Nothing is
// enforced here: whoever checks a model reads the value that holds for it, such as
// `scan_policy()`. Pure values.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "model_prep/base/enum_names.h"
#include "model_prep/base/types.h"

namespace model_prep {

// The values of each rule, the loosest first.

/// Of files that are pickles: `forbid_code` refuses one that imports what PyTorch's `weights_only`
/// loading does not allow, `forbid` refuses them all.
enum class PicklePolicy : std::uint8_t { allow, warn, forbid_code, forbid };
template <>
inline constexpr std::string_view kNames<PicklePolicy>[] = {"allow", "warn", "forbid-code",
                                                            "forbid"};

/// Of the Hub's scans. `refuse_unsafe` refuses a file that the Hub flags; `required` also a model
/// whose files it has not scanned yet.
enum class ScanPolicy : std::uint8_t { off, refuse_unsafe, required };
template <>
inline constexpr std::string_view kNames<ScanPolicy>[] = {"off", "refuse-unsafe", "required"};

/// Of the signature that a model's author made.
enum class SignaturePolicy : std::uint8_t { off, required };
template <>
inline constexpr std::string_view kNames<SignaturePolicy>[] = {"off", "required"};

/// What is not set is left to others, and in the end to the default.
struct Policy {
  /// The only licenses that a model may have, as `license_id` spells them.
  std::optional<std::set<std::string>> licenses{};
  std::optional<PicklePolicy> pickles{};
  std::optional<ScanPolicy> scan{};
  std::optional<SignaturePolicy> signatures{};

  PicklePolicy pickle_policy() const { return pickles.value_or(PicklePolicy::warn); }
  ScanPolicy scan_policy() const { return scan.value_or(ScanPolicy::off); }
  SignaturePolicy signature_policy() const { return signatures.value_or(SignaturePolicy::off); }

  bool operator==(const Policy&) const = default;
};

/// Both count: of each rule the stricter value, and the licenses that both allow.
Policy tightened(const Policy& policy, const Policy& by);

/// The member of `inner`, as the manifest spells it, that allows what `outer` does not; empty if
/// there is none.
std::string_view loosened_member(const Policy& outer, const Policy& inner);

/// An id of a license as the Hub spells it, in lower case: `apache-2.0`. A license of the model's
/// own is `other`, or `other:NAME` if the model names it. Nothing if the text can be no id.
std::optional<std::string> license_id(std::string_view text);

/// Those of a model's licenses that the policy does not allow. `other` in the policy allows
/// `other:NAME` too.
Strings licenses_not_allowed(const Policy& policy, const Strings& licenses);

}  // namespace model_prep
