// SPDX-License-Identifier: Apache-2.0
// Where the tests of the repository itself find it.
#pragma once

#include <filesystem>

#include "support/temporary_folder.h"

namespace model_prep::testing {

inline const std::filesystem::path kRoot = MODEL_PREP_SOURCE_DIR;

}  // namespace model_prep::testing
