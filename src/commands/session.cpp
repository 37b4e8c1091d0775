// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/session.h"

#include <cstdlib>
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "model_prep/report/notify_environment.h"
#include "model_prep/report/run_summary_text.h"
#include "model_prep/report/summary_json.h"

namespace model_prep {
namespace {

constexpr std::size_t kLargestManifest = 64 * 1024 * 1024;

/// A file is replaced whole. What is no file is written to: /dev/null shall not become one.
Status put(const std::string& path, const std::string& text) {
  const auto there = stat_path(path);
  if (there && !there->is_file && !there->is_folder) return append_to_file(path, text);
  const Directory folder(canonical_path(parent_path(path)));
  const std::string name = path.substr(path.find_last_of('/') + 1);
  Status written = create_directories(folder.path());
  if (written) written = folder.write_atomically(folder.path() + "/" + name, text, folder.path());
  return written;
}

std::string utc_now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

}  // namespace

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

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
  std::string text(built_in_manifest_text());
  if (options.manifest) {
    const auto content = read_file(*options.manifest, kLargestManifest);
    if (!content)
      return Error{ErrorKind::usage, fmt::format("cannot read the manifest {}", *options.manifest),
                   "check the path given with --manifest or MODEL_PREP_MANIFEST"};
    text = *content;
  }
  return parse_manifest(text, options.manifest.value_or("(built in)"));
}

Result<std::vector<ModelSpec>> Session::select() const {
  const auto known = manifest();
  if (!known) return known.error();
  auto specs = select_models(*known, options.models, options.variant, options.patterns);
  if (!specs) return specs.error();
  if (Status refs = check_ref_conflicts(*specs); !refs) return refs.error();
  return specs;
}

void Session::log_warnings(const std::vector<ModelSpec>& specs) {
  for (const ModelSpec& spec : specs) {
    log_variant_warning(spec);
    if (!spec.revision.commit())
      log.warning(fmt::format("{} is not pinned: revision {} may change from run to run", spec.key,
                              spec.revision.text()));
  }
}

void Session::log_variant_warning(const ModelSpec& spec) {
  if (spec.variant != spec.variant_requested && !spec.filter.from_command_line)
    log.warning(fmt::format("{} has no variant {}: taking {}", spec.key, spec.variant_requested,
                            spec.variant));
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

RunReport Session::begin_report() const {
  RunReport report;
  report.tool = program_version();
  report.command = text_of(options.command).name;
  report.timestamp = utc_now();
  report.duration_s = seconds(Clock::now() - begun);
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
  const RunContext around{.free = space ? std::optional(space->bytes) : std::nullopt,
                          .summary = write_summary(report)};
  for (const SummaryLine& line : closing_lines(report, around))
    line.is_error ? log.error(line.text) : log.info(line.text);
  // A sync of gigabytes may be under way in a hash thread: whoever asked us to stop shall not wait
  // for it.
  if (report.signal) std::_Exit(exit_code(report));
  return exit_code(report);
}

std::string Session::write_summary(const RunReport& report) {
  const std::string text = serialize_summary(report);
  if (options.summary == "-") {
    out << text << std::flush;
    return {};
  }
  const Status written = put(options.summary, text);
  if (written) return options.summary;
  log.warning("the summary is not written: " + written.error().message);
  return {};
}

}  // namespace model_prep
