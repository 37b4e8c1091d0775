// SPDX-License-Identifier: Apache-2.0
// The policy that flags and variables demand (base/policy.h). It tightens that of the manifest.
//
// A flag beats its variable, as everywhere. Bad values are of kind `usage`.
#pragma once

#include "model_prep/base/error.h"
#include "model_prep/base/policy.h"
#include "model_prep/cli/flag_values.h"

namespace model_prep {

Result<Policy> find_policy(const FlagValues& values);

}  // namespace model_prep
