// SPDX-License-Identifier: Apache-2.0
// What all commands share: the cache, the log, which models were asked for, and how a run ends.
//
//   Session session(options, signals, out);
//   auto specs = session.select();
//   RunReport report = session.begin_report();
//   return session.finish(report);
//
// Made once for a run, after the signals and before any thread. One thread.
#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "model_prep/base/model_spec.h"
#include "model_prep/base/response.h"
#include "model_prep/cli/options.h"
#include "model_prep/commands/manifest.h"
#include "model_prep/io/cache.h"
#include "model_prep/io/posix.h"
#include "model_prep/report/log.h"
#include "model_prep/report/progress.h"
#include "model_prep/report/run_report.h"

namespace model_prep {

double seconds(Duration duration);

class Session {
 public:
  Session(const Options& options, const SignalFd& signals, const Output& output);

  const Options& options;
  const SignalFd& signals;
  std::ostream& out;           ///< data that was asked for
  std::optional<int> columns;  ///< of the terminal that `out` goes to, if it is one
  TimePoint begun;
  Console console;
  Log log;
  Observer observer;
  Cache cache;

  Result<Manifest> manifest() const;
  /// The models that were asked for: of the manifest, or of the Hub by name.
  Result<std::vector<ModelSpec>> select() const;
  /// Says which of them are not quite what was asked for, or may change.
  void log_warnings(const std::vector<ModelSpec>& specs);
  /// Only if it has another variant than the one that was asked for.
  void log_variant_warning(const ModelSpec& spec);
  /// Takes over the variant that resolving has found.
  void update_variant(ModelSpec& spec, const ResolvedSnapshot& snapshot);
  /// An error and its hint, on the log.
  void log_error(const Error& error);

  /// What every report says; the rest is the command's.
  RunReport begin_report() const;
  /// A run that cannot begin: tells why and ends it.
  int fail_run(const Error& error);
  /// Tells all who want to know, the log last; what to exit with. A run that a signal ended ends
  /// here.
  int finish(const RunReport& report);

 private:
  /// Where it is now; empty: on stdout, or nowhere.
  std::string write_summary(const RunReport& report);
};

}  // namespace model_prep
