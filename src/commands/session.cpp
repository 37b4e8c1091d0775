// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/session.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>

#include <unistd.h>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/commands/built_in_manifest.h"
#include "model_prep/io/signature.h"
#include "model_prep/io/streams.h"
#include "model_prep/report/notify_environment.h"
#include "model_prep/report/run_summary_text.h"
#include "model_prep/report/summary_json.h"

namespace model_prep {
namespace {

constexpr std::size_t kMaxManifestBytes = 64 * 1024 * 1024;

/// stdout or stderr, if this path is another name for what it refers to, such as /dev/stdout. A
/// file that is opened by such a name is written from its beginning, over what is there.
std::optional<int> standard_output(const std::string& path) {
  if (path == "-") return STDOUT_FILENO;

  const auto named = stat_path(path);
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    const auto open = stat_path(fmt::format("/proc/self/fd/{}", fd));
    if (named && open && named->is_same_file(*open)) return fd;
  }
  return std::nullopt;
}

/// A regular file is replaced as a whole, or else overwritten: one that is mounted by itself cannot
/// be replaced. A device or a pipe is written to. A link stays.
Status write_summary_file(const std::string& path, bool is_named, const std::string& text) {
  // The default place is on the volume, where another tenant may have planted a link.
  const auto here = lstat_path(path);
  const bool is_link = here && here->is_link;
  const bool is_own = here && (here->owner == 0 || here->owner == geteuid());
  if (is_link && (!is_named || !is_own))
    return Error{ErrorKind::permission, path + " is a symlink, which is not followed",
                 "remove it, or name another file with --summary"};

  const auto existing = stat_path(path);
  const bool is_device = existing && !existing->is_file && !existing->is_folder;
  if (is_device || (is_link && !existing)) return append_to_file(path, text);

  const std::string target = is_link ? canonical_path(path) : path;
  const Directory folder(canonical_path(parent_path(target)));
  if (Status created = create_directories(folder.path()); !created) return created;

  const std::string file = folder.path() + "/" + file_name(target);
  Status replaced = folder.write_atomically(file, text, folder.path());
  if (replaced || replaced.error().kind == ErrorKind::disk_full) return replaced;
  const auto overwritten = overwrite_existing(file, text);
  if (!overwritten) return overwritten.error();
  return *overwritten ? ok() : replaced;
}

std::string utc_now() {
  return format_utc(std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
}

Strings command_names() {
  Strings names;
  for (const CommandText& command : commands()) names.emplace_back(command.name);
  return names;
}

}  // namespace

Session::Session(const Options& of_run, const SignalFd& of_process)
    : options(of_run),
      signals(of_process),
      columns(terminal_columns(STDOUT_FILENO)),
      begun(Clock::now()),
      console(options.terminal),
      log(console, options.log_level, options.log_format),
      observer(options.progress, console, log),
      cache(options.cache_dir, options.legacy_dirs),
      summary_fd_(options.summary_source == SummarySource::default_place
                      ? std::nullopt
                      : standard_output(options.summary)) {}

Status Session::check_manifest_signature(const std::string& text) const {
  const std::string& manifest = *options.manifest;
  const std::string& key = *options.manifest_key;
  if (manifest == "-")
    return Error{ErrorKind::usage, "a manifest from stdin cannot have a signature beside it",
                 "name a file with --manifest, or unset --manifest-key"};

  const auto key_text = read_to_end(key, kMaxManifestBytes, signals);
  if (!key_text && key_text.error().kind == ErrorKind::interrupted) return key_text.error();
  if (!key_text)
    return Error{ErrorKind::usage, "cannot read the manifest's key: " + key_text.error().message,
                 "check the path given with --manifest-key or MODEL_PREP_MANIFEST_KEY"};

  const auto signature = read_to_end(manifest + ".sig", kMaxManifestBytes, signals);
  if (!signature && signature.error().kind == ErrorKind::interrupted) return signature.error();
  if (!signature)
    return Error{
        ErrorKind::signature_missing,
        fmt::format("the manifest {} has no signature: {}", manifest, signature.error().message),
        fmt::format("copy its signature too, or sign it: openssl dgst -sha256 -sign "
                    "PRIVATE.pem -out {0}.sig {0}",
                    manifest)};

  Status checked = check_signature(text, *signature, *key_text);
  if (checked) return checked;
  if (checked.error().kind == ErrorKind::usage)
    return Error{ErrorKind::usage,
                 fmt::format("cannot use the manifest's key {}: {}", key, checked.error().message),
                 "make one with: openssl pkey -in PRIVATE.pem -pubout"};
  return Error{ErrorKind::signature_mismatch,
               fmt::format("the signature {}.sig is wrong: {}", manifest, checked.error().message),
               fmt::format("{} or its signature was changed, or another key than that of {} signed "
                           "it: get both again from whoever signed them",
                           manifest, key)};
}

Result<Manifest> Session::read_manifest() const {
  if (!options.manifest && options.manifest_key)
    return Error{ErrorKind::usage, "the built-in manifest has no signature",
                 "name a signed one with --manifest, or unset --manifest-key"};
  if (!options.manifest) return parse_manifest(built_in_manifest_text(), "(built in)");

  const std::string& path = *options.manifest;
  const auto text = read_to_end(path, kMaxManifestBytes, signals);
  if (!text && text.error().kind == ErrorKind::interrupted) return text.error();
  if (!text)
    return Error{ErrorKind::usage, "cannot read the manifest: " + text.error().message,
                 "check the path given with --manifest or MODEL_PREP_MANIFEST"};

  if (options.manifest_key)
    if (Status checked = check_manifest_signature(*text); !checked) return checked.error();
  return parse_manifest(*text, path == "-" ? "(stdin)" : path);
}

Result<const Manifest*> Session::manifest() {
  if (manifest_) return &*manifest_;

  auto read = read_manifest();
  if (!read) return read.error();
  return &manifest_.emplace(std::move(*read));
}

ModelNames Session::model_names() const {
  ModelNames names{.names = options.models,
                   .other_words = command_names(),
                   .manifest_only = options.manifest_key.has_value(),
                   .pinned_by_manifest = options.command == Command::kserve_init};
  for (const HubEndpoint& endpoint : options.endpoints) names.endpoints.push_back(endpoint.name());
  return names;
}

const Manifest& Session::known_manifest() const {
  static const Manifest none;
  return manifest_ ? *manifest_ : none;
}

Policy Session::policy() const {
  return tightened(manifest_ ? manifest_->policy : Policy(), options.policy);
}

Result<std::vector<ModelSpec>> Session::select() {
  const auto known = manifest();
  if (!known) return known.error();

  auto specs =
      select_models(**known, model_names(), options.variant, options.patterns, options.policy);
  if (!specs) return specs.error();

  // Two models of one repository may not move the same ref to different commits.
  if (Status refs = check_ref_conflicts(*specs); !refs) return refs.error();
  return specs;
}

Result<std::map<RepoId, Pins>> Session::select_pins() {
  const auto known = manifest();
  if (!known) return known.error();
  return model_prep::select_pins(**known, model_names());
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

  log.warning(fmt::format("{} has no variant {}: using {}", spec.key, spec.variant_requested.text(),
                          spec.variant.text()));
}

void Session::update_variant(ModelSpec& spec, const ResolvedSnapshot& snapshot) {
  if (spec.variant == snapshot.spec.variant) return;
  spec.variant = snapshot.spec.variant;
  log_variant_warning(spec);
}

void Session::warn(const Strings& texts) {
  for (const std::string& text : texts) log.warning(text);
}

void Session::log_error(const Error& error) {
  log.error(error.message);
  if (!error.hint.empty()) log.error("hint: " + error.hint);
}

std::optional<TimePoint> Session::deadline() const {
  if (!options.deadline) return std::nullopt;
  return begun + std::chrono::seconds(*options.deadline);
}

Status Session::wait(std::chrono::milliseconds time) const {
  signals.wait(time);
  if (const auto signal = signals.read()) return stopped_by(*signal, "run it again");
  if (Clock::now() < deadline().value_or(TimePoint::max())) return ok();
  return Error{ErrorKind::deadline, "the run's deadline has passed",
               "allow more time with --deadline, or run it again when the other process has ended"};
}

std::string Session::snapshot_folder(const std::optional<ResolvedSnapshot>& snapshot) const {
  if (!snapshot) return {};
  return cache.repository(snapshot->spec.repo).layout.snapshot(snapshot->commit);
}

void Session::link_legacy_dirs(const RepoId& repo) {
  for (const std::string& warning : cache.link_legacy_dirs(repo)) log.warning(warning);
}

void Session::print_result(const std::string& text) {
  if (summary_fd_ == STDOUT_FILENO || output_error_) return;

  const Status written = write_output(STDOUT_FILENO, text);
  if (written) return;
  output_error_ = written.error();
  log_error(*output_error_);
}

RunReport Session::begin_report() const {
  RunReport report;
  report.tool = program_version();
  report.command = text_of(options.command).name;
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
  const auto signal = error.kind == ErrorKind::interrupted ? signals.read() : std::nullopt;
  if (options.command == Command::list || options.command == Command::lock)
    return signal ? 128 + *signal : 1;

  RunReport report = begin_report();
  report.signal = signal;
  report.error = error;
  return finish(std::move(report));
}

int Session::finish(RunReport report) {
  if (!report.error) report.error = output_error_;
  report.timestamp = utc_now();

  std::string summary = summary_fd_ ? "" : options.summary;
  if (const Status written = write_summary(serialize_summary(report)); !written) {
    summary.clear();
    const Error error{written.error().kind, "cannot write the summary: " + written.error().message,
                      written.error().hint};
    const bool is_required = summary_fd_ || options.summary_source == SummarySource::flag;
    if (is_required && !report.error) report.error = error;
    if (is_required)
      log_error(error);
    else
      log.warning(error.message + (error.hint.empty() ? "" : "; " + error.hint));
  }

  for (const std::string& warning : notify_environment(report, options.ci, console))
    log.warning(warning);

  const auto space = disk_space(options.cache_dir);
  const RunContext context{.free = space ? std::optional(space->bytes) : std::nullopt,
                           .summary = summary};
  for (const SummaryLine& line : closing_lines(report, context))
    line.is_error ? log.error(line.text) : log.info(line.text);

  // Destructors would wait for what `keep` is for, longer than an orchestrator allows after
  // SIGTERM.
  const auto is_deadline = [](const std::optional<Error>& error) {
    return error && error->kind == ErrorKind::deadline;
  };
  const bool must_end = report.signal || is_deadline(report.error) ||
                        std::ranges::any_of(report.models, is_deadline, &ModelReport::error);
  if (must_end) std::_Exit(exit_code(report));
  return exit_code(report);
}

Status Session::write_summary(const std::string& text) const {
  if (options.summary.empty()) return ok();
  if (summary_fd_) return write_output(*summary_fd_, text);
  return write_summary_file(options.summary, options.summary_source != SummarySource::default_place,
                            text);
}

Error stopped_by(int signal, std::string hint) {
  return {ErrorKind::interrupted, signal == SIGINT ? "stopped by SIGINT" : "stopped by SIGTERM",
          std::move(hint)};
}

}  // namespace model_prep
