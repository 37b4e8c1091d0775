// SPDX-License-Identifier: Apache-2.0
// Whether what is to be fetched fits on the disk: said before the first byte and not after the
// thirtieth gigabyte.
#pragma once

#include <span>

#include "model_prep/base/error.h"
#include "model_prep/core/fetch_plan.h"
#include "model_prep/core/model_run.h"
#include "model_prep/io/cache.h"

namespace model_prep {

/// Looks at each volume that files go to: a repository may lie on another one than the cache. A
/// volume that does not tell how much is free passes.
Status check_space(const FetchPlan& plan, std::span<const ModelRun> models, const Cache& cache);

}  // namespace model_prep
