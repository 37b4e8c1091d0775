// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/file_checks.h"

#include "model_prep/core/weight_checks.h"

namespace model_prep {

FileChecks check_files(const ResolvedSnapshot& snapshot, const Cache& cache) {
  const FirstBytes first_bytes = cache.first_bytes_of(snapshot);
  FileChecks checks;
  if (Status whole = check_pointers(snapshot, first_bytes); !whole) checks.error = whole.error();
  if (auto warning = pickle_warning(snapshot, first_bytes))
    checks.warnings.push_back(std::move(*warning));
  return checks;
}

}  // namespace model_prep
