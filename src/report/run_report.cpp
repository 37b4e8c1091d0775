// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/run_report.h"

#include <algorithm>

namespace model_prep {

Totals totals_of(const RunReport& report) {
  Totals totals;
  for (const ModelReport& model : report.models) {
    totals.models += 1;
    totals.failed += model.success() ? 0 : 1;
    totals.files += static_cast<std::int64_t>(model.files.size());
    totals.bytes += model.bytes;
    totals.downloaded += model.bytes_downloaded;
    totals.reused += model.bytes_reused;
  }
  return totals;
}

bool RunReport::success() const {
  if (error) return false;

  // A failed cleanup does not make complete models less complete: it only counts on its own.
  if (models.empty())
    return cleanup &&
           std::none_of(cleanup->begin(), cleanup->end(), [](const PrunedRepository& repository) {
             return repository.error.has_value();
           });

  return std::all_of(models.begin(), models.end(),
                     [](const ModelReport& model) { return model.success(); });
}

int exit_code(const RunReport& report) {
  if (report.success()) return 0;
  return report.signal ? 128 + *report.signal : 1;
}

}  // namespace model_prep
