// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/notify_environment.h"

#include "model_prep/io/streams.h"
#include "model_prep/report/run_summary_text.h"

namespace model_prep {
namespace {

constexpr const char* kTerminationLog = "/dev/termination-log";

}  // namespace

Strings notify_environment(const RunReport& report, const CiEnvironment& environment,
                           Console& console) {
  Strings warnings;
  const auto check = [&](const std::string& what, const auto& written) {
    if (!written) warnings.push_back("cannot write " + what + ": " + written.error().message);
  };

  check("the termination message",
        overwrite_existing(kTerminationLog, termination_message(report)));
  if (!environment.step_summary.empty())
    check("the step summary", append_to_file(environment.step_summary, step_summary(report)));

  if (environment.annotations)
    for (const std::string& line : annotations(report)) console.write_line(line);
  return warnings;
}

}  // namespace model_prep
