// SPDX-License-Identifier: Apache-2.0
// "Did you mean": the known word that a mistyped one is closest to.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace model_prep {

/// The first of those with the fewest edits (a letter put in, left out, replaced, or two neighbours
/// swapped; upper and lower case, and `_`, `-`, `.` are one), if they are few for its length: one,
/// and one more for every four letters.
std::optional<std::string> closest_word(std::string_view word,
                                        const std::vector<std::string>& known);

/// `did you mean '…'? `, to stand before a hint; empty if nothing is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace model_prep
