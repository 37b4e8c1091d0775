// SPDX-License-Identifier: Apache-2.0
// What every command needs: the cache, the log, the models that the user named, and the end of a
// run, where the summary is written and the exit code decided.
//
//   Session session(options, signals);
//   auto specs = session.select();
//   if (!specs) return session.fail_run(specs.error());
//   RunReport report = session.begin_report();
//   return session.finish(report);
//
// One session per run. It is made after signals are blocked and before any thread starts, and used
// by one thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model_prep/base/clock.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/cli/options.h"
#include "model_prep/core/model_selection.h"
#include "model_prep/io/cache.h"
#include "model_prep/io/posix.h"
#include "model_prep/report/console.h"
#include "model_prep/report/log.h"
#include "model_prep/report/progress.h"
#include "model_prep/report/run_report.h"

namespace model_prep {

class Session {
 public:
  Session(const Options& of_run, const SignalFd& of_process);

  const Options& options;
  const SignalFd& signals;

  /// The width of the terminal, if stdout is one: tables are cut to it.
  const std::optional<int> columns;
  TimePoint begun;
  Console console;
  Log log;
  Observer observer;
  Cache cache;

  /// The models that the user named, from the manifest or directly from the Hub.
  Result<std::vector<ModelSpec>> select();

  /// The commits and refs that `cleanup` must keep, for each repository of the named models.
  Result<std::map<RepoId, Pins>> select_pins();

  /// What every model of the run must satisfy: the manifest's policy, tightened by the flags. After
  /// `select`.
  Policy policy() const;

  /// What `select` has read; empty before it.
  const Manifest& known_manifest() const;

  /// Warns of models that lack the requested variant, and of those that are not pinned.
  void log_warnings(const std::vector<ModelSpec>& specs);

  /// Warns only if the model lacks the requested variant.
  void log_variant_warning(const ModelSpec& spec);

  /// Sets the variant that the repository turned out to have, and warns if it changed.
  void update_variant(ModelSpec& spec, const ResolvedSnapshot& snapshot);

  /// Each as a warning.
  void warn(const Strings& texts);

  /// The error and its hint.
  void log_error(const Error& error);

  /// Where the run has to end, if --deadline is given.
  std::optional<TimePoint> deadline() const;

  /// Waits for another process. An error when a signal has come or the deadline has passed.
  Status wait(std::chrono::milliseconds time) const;

  /// The path of the snapshot's directory; empty if the snapshot is not known.
  std::string snapshot_folder(const std::optional<ResolvedSnapshot>& snapshot) const;

  /// See `Cache::link_legacy_dirs`; logs its warnings.
  void link_legacy_dirs(const RepoId& repo);

  /// Writes a result to stdout, unless the summary goes there and must be alone. What cannot be
  /// written is logged, and fails the run.
  void print_result(const std::string& text);

  /// Whether every result has reached stdout.
  bool has_printed_all() const { return !output_error_; }

  /// A report with the members that do not depend on the command.
  RunReport begin_report() const;

  /// Ends a run that could not start, or broke off; `list` and `lock` write no summary. Returns the
  /// exit code.
  int fail_run(const Error& error);

  /// Keeps something until the result is written, because its end waits for a thread that may be in
  /// a sync of gigabytes.
  void keep(std::shared_ptr<void> object) { kept_.push_back(std::move(object)); }

  /// Reports the result everywhere: in the summary, to the CI system, on the log. Returns the exit
  /// code, except after a signal or at the deadline: then it exits the process.
  int finish(RunReport report);

 private:
  ModelNames model_names() const;

  /// The user's, else the built-in one. It is read once, and lives as long as the session.
  Result<const Manifest*> manifest();
  Result<Manifest> read_manifest() const;
  Status check_manifest_signature(const std::string& text) const;
  Status write_summary(const std::string& text) const;

  /// stdout or stderr, if the summary goes there.
  const std::optional<int> summary_fd_;
  std::optional<Error> output_error_;
  std::optional<Manifest> manifest_;         ///< once it was read; a pipe can be read only once
  std::vector<std::shared_ptr<void>> kept_;  ///< last: they use everything above
};

/// The error of a run that SIGINT or SIGTERM ended.
Error stopped_by(int signal, std::string hint);

}  // namespace model_prep
