// SPDX-License-Identifier: Apache-2.0
// "Did you mean …?": the known word that is closest to a mistyped one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model_prep/base/types.h"

namespace model_prep {

/// The known word with the fewest edits; of several, the first. An edit inserts, deletes or
/// replaces a letter, or swaps two neighbours. Case is ignored, and `_`, `-` and `.` are equal.
/// Empty if that takes more than one edit, plus one for every four letters.
std::optional<std::string> closest_word(std::string_view word, const Strings& known);

/// `did you mean '…'? `, the beginning of a hint; empty if no word is close.
std::string did_you_mean(std::string_view word, const Strings& known);

}  // namespace model_prep
