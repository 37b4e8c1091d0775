// SPDX-License-Identifier: Apache-2.0
// What the card of a repository, its README.md, says of the license
// (docs/developing/hub-protocol.md, section 3.9).
//
// The Hub parses the front matter of the card and has it in the repository's info as `cardData`.
// Where no request may be sent, or an endpoint has no `cardData`, the card itself is read: of its
// YAML only the two members `license` and `license_name`, as the Hub's editor writes them. Pure.
#pragma once

#include <string_view>

#include "model_prep/base/types.h"

namespace model_prep {

inline constexpr std::string_view kCardName = "README.md";
inline constexpr Bytes kMaxCard = Bytes{4} * 1024 * 1024;

/// More licenses than this do not count.
inline constexpr std::size_t kMaxLicenses = 32;

/// The ids of these licenses, sorted. Text that can be no id is made one that nobody allows by
/// accident: every other character becomes `-`. `license_name` names a license that is `other`.
Strings card_licenses(const Strings& licenses, std::string_view license_name);

/// The licenses in the front matter of a README.md; empty if it names none.
Strings licenses_in_card(std::string_view readme);

}  // namespace model_prep
