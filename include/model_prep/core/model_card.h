// SPDX-License-Identifier: Apache-2.0
// What the card of a repository, its README.md, says of the license
// (docs/developing/hub-protocol.md, section 3.9).
//
// The Hub parses the front matter of the card and has it in the repository's info as `cardData`.
// Where no request may be sent, or an endpoint has no `cardData`, the card itself is read: of its
// YAML only the two members `license` and `license_name`, as the Hub's editor writes them. Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "model_prep/base/types.h"

namespace model_prep {

inline constexpr std::string_view kCardName = "README.md";
inline constexpr Bytes kMaxCard = Bytes{4} * 1024 * 1024;

/// A model with more licenses has `kTooManyLicenses` in place of the rest, which no list allows.
inline constexpr std::size_t kMaxLicenses = 32;
inline constexpr std::string_view kTooManyLicenses = "and-more";

/// Adds the id of a license. Text that can be no id is made one that nobody allows by accident:
/// every other character becomes `-`.
void add_license(std::set<std::string>& ids, std::string_view text);

/// The licenses of a model, sorted. `license_name` names the one that is `other`.
Strings card_licenses(std::set<std::string> ids, std::string_view license_name);

/// The licenses in the front matter of a README.md; empty if it names none. Nothing if they are
/// written in a way that is not read here, such as a list over several lines: to take a part of
/// them would be to allow the others.
std::optional<Strings> licenses_in_card(std::string_view readme);

}  // namespace model_prep
