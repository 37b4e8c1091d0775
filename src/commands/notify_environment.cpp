// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/notify_environment.h"

#include "model_prep/io/posix.h"
#include "model_prep/report/run_summary_text.h"

namespace model_prep {
namespace {

constexpr const char* kTerminationLog = "/dev/termination-log";

}  // namespace

std::vector<std::string> notify_environment(const RunReport& report, const CiEnvironment& audience,
                                            Console& console) {
  std::vector<std::string> warnings;
  if (Status told = overwrite_existing(kTerminationLog, termination_message(report)); !told)
    warnings.push_back("the termination message is not written: " + told.error().message);
  if (!audience.step_summary.empty())
    if (Status told = append_to_file(audience.step_summary, step_summary(report)); !told)
      warnings.push_back("the step summary is not written: " + told.error().message);
  if (audience.annotations)
    for (const std::string& line : annotations(report)) console.write_line(line);
  return warnings;
}

}  // namespace model_prep
