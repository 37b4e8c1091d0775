// SPDX-License-Identifier: Apache-2.0
// What the Hub says of a commit besides its files, as far as it is known: the licenses that the
// model's card names (docs/developing/hub-protocol.md, section 3.9), and what the Hub's scanners
// found (docs/developing/hub-protocol.md, section 3.10). Values only.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "model_prep/base/types.h"

namespace model_prep {

struct ScanVerdict {
  /// Every file has been scanned. The Hub takes minutes for that, and for some repositories never
  /// says so.
  bool complete{false};

  /// What the Hub calls the files in which a scanner found something, by their paths: `unsafe`,
  /// `suspicious`, `caution`.
  std::map<std::string, std::string> findings{};

  bool operator==(const ScanVerdict&) const = default;
};

/// What is not set is not known.
struct HubFacts {
  /// Ids as `license_id` in base/policy.h spells them; empty if the card names none.
  std::optional<Strings> licenses{};
  std::optional<ScanVerdict> scan{};

  bool operator==(const HubFacts&) const = default;
};

/// Sets what `facts` does not know.
inline void complete(HubFacts& facts, const HubFacts& from) {
  if (!facts.licenses) facts.licenses = from.licenses;
  if (!facts.scan) facts.scan = from.scan;
}

/// Sets what `newer` knows.
inline void update(HubFacts& facts, const HubFacts& newer) {
  HubFacts both = newer;
  complete(both, facts);
  facts = std::move(both);
}

}  // namespace model_prep
