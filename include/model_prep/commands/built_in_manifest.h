// SPDX-License-Identifier: Apache-2.0
// The manifest that is used if the user names no other: src/commands/built_in_manifest.json, which
// the build copies into the program.
#pragma once

#include <string_view>

namespace model_prep {

std::string_view built_in_manifest_text();

}  // namespace model_prep
