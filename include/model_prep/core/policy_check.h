// SPDX-License-Identifier: Apache-2.0
// Whether a model's license, and what the Hub's scanners found in it, are what its policy allows;
// and what has to be known for that. Pure.
#pragma once

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"

namespace model_prep {

/// Which facts a policy needs and nobody knows yet. A scan that was not complete is asked for again
/// only where it must be.
struct MissingFacts {
  bool licenses{false};
  bool scan{false};

  bool any() const { return licenses || scan; }
};
MissingFacts missing_facts(const Policy& policy, const HubFacts& facts);

/// Whether the Hub could be asked for what is missing.
enum class HubAsked : std::uint8_t { yes, no };

/// Fails with `license_not_allowed`, `unsafe` or `not_scanned`; with `offline_missing` if what is
/// needed is not known because the Hub could not be asked. Of the findings, those in selected files
/// count; `caution` does not.
Status check_policy(const ResolvedSnapshot& snapshot, HubAsked asked);

/// What a policy that asks for scans lets pass and the user should know, a line each.
Strings scan_warnings(const ResolvedSnapshot& snapshot);

}  // namespace model_prep
