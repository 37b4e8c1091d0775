// SPDX-License-Identifier: Apache-2.0
#include <exception>

#include <unistd.h>

#include "model_prep/base/text.h"
#include "model_prep/cli/command_line.h"
#include "model_prep/cli/options.h"
#include "model_prep/commands/cleanup.h"
#include "model_prep/commands/download.h"
#include "model_prep/commands/export.h"
#include "model_prep/commands/kserve_init.h"
#include "model_prep/commands/list.h"
#include "model_prep/commands/list_builds.h"
#include "model_prep/commands/lock.h"
#include "model_prep/commands/session.h"
#include "model_prep/commands/verify.h"
#include "model_prep/io/streams.h"
#include "model_prep/report/notify_environment.h"

namespace {

using namespace model_prep;

Environment environment_of_process() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos)
      environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

/// Reports a run that did not start, or broke off, and gives the exit code.
int report_failure(const Error& error, const Strings& arguments) {
  const Environment environment = environment_of_process();
  Console console;
  Log log(console, LogLevel::info, LogFormat::json);
  const bool is_json = detect_log_format(arguments, environment) == LogFormat::json;
  const std::string name = is_json ? "" : "model-prep: ";
  const auto write = [&](LogLevel level, const std::string& text) {
    // People who mistyped a flag need no time and no level.
    is_json ? log.write(level, text) : console.write_line(sanitize_for_log(text));
  };
  write(LogLevel::error, name + error.message);
  if (!error.hint.empty()) write(LogLevel::error, "hint: " + error.hint);

  RunReport report;
  report.error = error;
  for (const std::string& warning : notify_environment(report, detect_ci(environment), console))
    write(LogLevel::warning, name + warning);
  return exit_code(report);
}

int run_command(Session& session) {
  switch (session.options.command) {
    case Command::download: return run_download(session);
    case Command::verify: return run_verify(session);
    case Command::list:
      return session.options.builds ? run_list_builds(session) : run_list(session);
    case Command::cleanup: return run_cleanup(session);
    case Command::lock: return run_lock(session);
    case Command::export_models: return run_export(session);
    case Command::kserve_init: return run_kserve_init(session);
  }
  return 1;
}

/// Does what the options ask for and returns the exit code.
int run(const Options& options) {
  const SignalFd signals;  // before any thread, so that no thread receives a signal
  Session session(options, signals);
  for (const std::string& warning : options.warnings) session.log.warning(warning);
  try {
    return run_command(session);
  } catch (const std::exception& exception) {
    return session.fail_run(error_from(exception));
  }
}

}  // namespace

int main(int argc, char** argv) try {
  prepare_process();
  const Strings arguments(argv + 1, argv + argc);
  const auto options = parse_options(arguments, environment_of_process());
  if (!options) return report_failure(options.error(), arguments);
  if (options->print) {
    const Status written = write_output(STDOUT_FILENO, *options->print);
    return written ? 0 : report_failure(written.error(), arguments);
  }
  return run(*options);
} catch (const std::exception& exception) {
  return report_failure(error_from(exception), {argv + 1, argv + argc});
}
