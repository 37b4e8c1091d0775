// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/session.h"

#include <csignal>
#include <cstdlib>
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "model_prep/commands/built_in_manifest.h"
#include "model_prep/report/notify_environment.h"
#include "model_prep/report/run_summary_text.h"
#include "model_prep/report/summary_json.h"

namespace model_prep {
namespace {

constexpr std::size_t kMaxManifestBytes = 64 * 1024 * 1024;

/// A regular file is replaced as a whole. Anything else, such as /dev/null or a pipe, is written to
/// and must not be replaced by a file.
Status write_summary_file(const std::string& path, const std::string& text) {
  const auto existing = stat_path(path);
  if (existing && !existing->is_file && !existing->is_folder) return append_to_file(path, text);

  const Directory folder(canonical_path(parent_path(path)));
  if (Status created = create_directories(folder.path()); !created) return created;
  return folder.write_atomically(folder.path() + "/" + file_name(path), text, folder.path());
}

std::string utc_now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

Strings command_names() {
  Strings names;
  for (const CommandText& command : commands()) names.emplace_back(command.name);
  return names;
}

}  // namespace

Session::Session(const Options& of_run, const SignalFd& of_process, const Output& output)
    : options(of_run),
      signals(of_process),
      out(output.stream),
      columns(output.columns),
      begun(Clock::now()),
      console(options.terminal),
      log(console, options.log_level, options.log_format),
      observer(options.progress, console, log),
      cache(options.cache_dir, options.legacy_dirs) {}

Result<Manifest> Session::manifest() const {
  if (!options.manifest) return parse_manifest(built_in_manifest_text(), "(built in)");

  const auto text = read_file(*options.manifest, kMaxManifestBytes);
  if (!text)
    return Error{ErrorKind::usage, "cannot read the manifest " + *options.manifest,
                 "check the path given with --manifest or MODEL_PREP_MANIFEST"};
  return parse_manifest(*text, *options.manifest);
}

Result<std::vector<ModelSpec>> Session::select() const {
  const auto known = manifest();
  if (!known) return known.error();

  auto specs =
      select_models(*known, options.models, options.variant, options.patterns, command_names());
  if (!specs) return specs.error();

  // Two models of one repository may not move the same ref to different commits.
  if (Status refs = check_ref_conflicts(*specs); !refs) return refs.error();
  return specs;
}

Result<std::map<RepoId, Pins>> Session::select_pins() const {
  const auto known = manifest();
  if (!known) return known.error();
  return model_prep::select_pins(*known, options.models, command_names());
}

void Session::log_warnings(const std::vector<ModelSpec>& specs) {
  for (const ModelSpec& spec : specs) {
    log_variant_warning(spec);
    if (!spec.revision.commit())
      log.warning(spec.key + " is not pinned: revision " + spec.revision.text() +
                  " may change from run to run");
  }
}

void Session::log_variant_warning(const ModelSpec& spec) {
  // Patterns of the command line choose the files, so the variant does not matter.
  if (spec.variant == spec.variant_requested || spec.filter.from_command_line) return;

  log.warning(fmt::format("{} has no variant {}: using {}", spec.key,
                          to_string(spec.variant_requested), to_string(spec.variant)));
}

void Session::update_variant(ModelSpec& spec, const ResolvedSnapshot& snapshot) {
  if (spec.variant == snapshot.spec.variant) return;
  spec.variant = snapshot.spec.variant;
  log_variant_warning(spec);
}

void Session::log_error(const Error& error) {
  log.error(error.message);
  if (!error.hint.empty()) log.error("hint: " + error.hint);
}

std::optional<TimePoint> Session::deadline() const {
  if (!options.deadline) return std::nullopt;
  return begun + std::chrono::seconds(*options.deadline);
}

std::string Session::snapshot_folder(const std::optional<ResolvedSnapshot>& snapshot) const {
  if (!snapshot) return {};
  return cache.repository(snapshot->spec.repo).layout.snapshot(snapshot->commit);
}

void Session::link_legacy_dirs(const RepoId& repo) {
  for (const std::string& warning : cache.link_legacy_dirs(repo)) log.warning(warning);
}

void Session::print_result(const std::string& text) {
  if (options.summary != "-") out << text << std::flush;
}

RunReport Session::begin_report() const {
  RunReport report;
  report.tool = program_version();
  report.command = text_of(options.command).name;
  report.timestamp = utc_now();
  report.duration_s = in_seconds(Clock::now() - begun);
  report.dry_run = options.dry_run;
  report.offline = options.offline;
  report.cache_dir = options.cache_dir;
  for (const HubEndpoint& endpoint : options.endpoints) report.endpoints.push_back(endpoint.name());
  report.variant = options.variant;
  return report;
}

int Session::fail_run(const Error& error) {
  log_error(error);
  RunReport report = begin_report();
  report.error = error;
  return finish(report);
}

int Session::finish(const RunReport& report) {
  for (const std::string& warning : notify_environment(report, options.ci, console))
    log.warning(warning);

  const auto space = disk_space(options.cache_dir);
  const RunContext context{.free = space ? std::optional(space->bytes) : std::nullopt,
                           .summary = write_summary(report)};
  for (const SummaryLine& line : closing_lines(report, context))
    line.is_error ? log.error(line.text) : log.info(line.text);

  // A hash thread may be in a sync of gigabytes. Destructors would wait for it, which takes longer
  // than an orchestrator allows after SIGTERM.
  if (report.signal) std::_Exit(exit_code(report));
  return exit_code(report);
}

std::string Session::write_summary(const RunReport& report) {
  const std::string text = serialize_summary(report);
  if (options.summary == "-") {
    out << text << std::flush;
    return {};
  }

  const Status written = write_summary_file(options.summary, text);
  if (written) return options.summary;
  log.warning("cannot write the summary: " + written.error().message);
  return {};
}

Error stopped_by(int signal, std::string hint) {
  return {ErrorKind::interrupted, signal == SIGINT ? "stopped by SIGINT" : "stopped by SIGTERM",
          std::move(hint)};
}

}  // namespace model_prep
