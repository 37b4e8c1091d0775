// SPDX-License-Identifier: Apache-2.0
// What a shell completes behind `model-prep`: commands, their flags, the values of flags, and the
// manifest's keys, which it asks `model-prep list` for when it needs them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace model_prep {

/// Of bash, zsh or fish; nothing for any other.
std::optional<std::string> completion_script(std::string_view shell);

}  // namespace model_prep
