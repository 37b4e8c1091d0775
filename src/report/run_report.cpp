// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/run_report.h"

#include <algorithm>

namespace model_prep {

std::string selected_by(const ModelSpec& spec) {
  return spec.filter.from_command_line ? "patterns" : spec.variant.text();
}

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
    return cleanup && std::ranges::none_of(
                          *cleanup, [](const auto& pruned) { return pruned.error.has_value(); });

  return std::ranges::all_of(models, &ModelReport::success);
}

int exit_code(const RunReport& report) {
  if (report.success()) return 0;
  return report.signal ? 128 + *report.signal : 1;
}

}  // namespace model_prep
