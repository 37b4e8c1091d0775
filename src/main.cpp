// SPDX-License-Identifier: Apache-2.0
#include <exception>
#include <iostream>

#include <unistd.h>

#include "model_prep/base/text.h"
#include "model_prep/cli/options.h"
#include "model_prep/commands/app.h"
#include "model_prep/report/notify_environment.h"

namespace {

model_prep::Environment environment_of_process() {
  model_prep::Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos)
      environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

/// The end of a run that did not begin, or broke off.
int tell(const model_prep::Error& error) {
  model_prep::Console console;
  console.write_line("model-prep: " + model_prep::sanitize_for_log(error.message));
  if (!error.hint.empty()) console.write_line("hint: " + model_prep::sanitize_for_log(error.hint));
  model_prep::RunReport report;
  report.error = error;
  for (const auto& warning :
       notify_environment(report, model_prep::detect_ci(environment_of_process()), console))
    console.write_line("model-prep: " + model_prep::sanitize_for_log(warning));
  return model_prep::exit_code(report);
}

}  // namespace

int main(int argc, char** argv) try {
  const auto parsed = model_prep::parse_options({argv + 1, argv + argc}, environment_of_process());
  if (!parsed) return tell(parsed.error());
  if (parsed->print) {
    std::cout << parsed->print->text;
    return 0;
  }
  const model_prep::SignalFd signals;
  return model_prep::run(parsed->options, signals,
                         {std::cout, model_prep::terminal_columns(STDOUT_FILENO)});
} catch (const model_prep::FatalError& fatal) {
  return tell(fatal.error());
} catch (const std::exception& fault) {
  return tell({model_prep::ErrorKind::internal, fault.what(), {}});
}
