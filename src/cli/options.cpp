// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/options.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/ranges.h>

#include "model_prep/base/parse_int.h"
#include "model_prep/cli/command_line.h"
#include "model_prep/cli/policy_flags.h"
#include "model_prep/core/consumer_table.h"
#include "model_prep/core/kserve_arguments.h"
#include "model_prep/core/rate_limiter.h"
#include "model_prep/io/directory.h"
#include "model_prep/io/libcurl_info.h"
#include "model_prep/io/plain_folder_writer.h"
#include "model_prep/io/posix.h"
#include "model_prep/io/tls.h"

namespace model_prep {
namespace {

constexpr std::size_t kMaxTokenFile = 64 * 1024;
constexpr std::size_t kMaxCaFile = 16 * 1024 * 1024;  // the system's bundle has 0.2 MB

/// Parses the value of a flag, if it has one. `expected` completes the error.
template <class Into, class Parse>
Status read_value(const FlagValues& values, const std::string& flag, Into& into, Parse parse,
                  const std::string& expected) {
  const auto found = values.find(flag);
  if (!found) return ok();

  const auto value = parse(found->value);
  if (!value) return bad_value(*found, expected);
  into = *value;
  return ok();
}

template <class Into>
Status read_number(const FlagValues& values, const std::string& flag, int low, int high,
                   Into& into) {
  const auto parse = [&](const std::string& text) {
    const auto value = parse_int<int>(text);
    return value && *value >= low && *value <= high ? value : std::nullopt;
  };
  return read_value(values, flag, into, parse,
                    fmt::format("a whole number from {} to {}", low, high));
}

template <class Enum>
Status read_choice(const FlagValues& values, const std::string& flag, Enum& into) {
  return read_value(values, flag, into, value_of<Enum>,
                    fmt::format("one of {}", fmt::join(kNames<Enum>, ", ")));
}

std::optional<Variant> parse_variant(std::string_view text) {
  auto variant = Variant::parse(text);
  return variant ? std::optional(std::move(*variant)) : std::nullopt;
}

/// The first of these variables that is set; false if none is.
Result<bool> first_boolean(const FlagValues& values, const Strings& variables) {
  for (const std::string& variable : variables)
    if (const auto text = values.get(variable)) return read_boolean({variable, *text});
  return false;
}

Strings read_list(const FlagValues& values, const std::string& flag) {
  Strings texts;
  for (const FlagValues::Value& found : values.find_all(flag)) texts.push_back(found.value);
  return texts;
}

Status read_policy(const FlagValues& values, Options& options) {
  const auto policy = find_policy(values);
  if (!policy) return policy.error();
  options.policy = *policy;
  return ok();
}

/// Whether the command may send requests.
bool uses_hub(const Options& options) {
  return options.command == Command::download || options.command == Command::lock ||
         options.command == Command::kserve_init || options.repair || options.builds;
}

Status read_consumers(const FlagValues& values, Options& options) {
  const Strings known = consumer_libraries();
  for (const FlagValues::Value& found : values.find_all("--for")) {
    if (std::ranges::find(known, found.value) == known.end())
      return bad_value(found, fmt::format("one of {}", fmt::join(known, ", ")));
    options.consumers.push_back(found.value);
  }
  return ok();
}

/// Its image has an HF_HOME, which is not meant: what KServe mounts is the destination.
Result<CachePaths> kserve_paths(const FlagValues& values, const Options& options) {
  if (options.destinations.empty()) return CachePaths{};  // that is an error, found already
  const auto named = values.find("--cache-dir");
  if (named)
    if (Status plain = values.check_path(*named); !plain) return plain.error();

  CachePaths paths;
  paths.cache_dir = named ? canonical_path(values.expand(named->value))
                          : PlainFolder(options.destinations.front()).cache_path();
  return paths;
}

Status read_paths(const FlagValues& values, Options& options) {
  const bool is_kserve = options.command == Command::kserve_init;
  const auto paths = is_kserve ? kserve_paths(values, options) : find_cache_paths(values);
  if (!paths) return paths.error();

  options.cache_dir = paths->cache_dir;
  options.cache_is_temporary = is_kserve && !values.find("--cache-dir");
  options.legacy_dirs = paths->legacy_dirs;
  const auto summary = values.find("--summary");
  if (summary)
    if (Status plain = values.check_path(*summary); !plain) return plain;
  options.summary = summary ? values.expand(summary->value) : paths->summary;
  if (summary)
    options.summary_source =
        values.has("--summary") ? SummarySource::flag : SummarySource::variable;
  if (options.command != Command::verify) return ok();

  const auto services = find_consumers(values);
  if (!services) return services.error();
  options.services = *services;
  return ok();
}

Status read_from(const FlagValues& values, Options& options) {
  for (const FlagValues::Value& found : values.find_all("--from")) {
    const Strings items = found.name == "--from" ? Strings{found.value} : split_list(found.value);
    if (items.empty()) return bad_value(found, "folders separated by commas or line ends");

    for (const std::string& item : items) {
      const FlagValues::Value one{found.name, item};
      if (Status plain = values.check_path(one); !plain) return plain;
      const std::string folder = canonical_path(values.expand(item));
      if ((folder + "/").starts_with(options.cache_dir + "/"))
        return bad_value(one, "a folder outside the cache " + options.cache_dir);

      const auto there = stat_path(folder);
      if (!there || !there->is_folder)
        options.warnings.push_back(
            fmt::format("{} names {}, which is not a folder: it is not used", one.name, folder));
      else if (std::ranges::find(options.from, folder) == options.from.end())
        options.from.push_back(folder);
    }
  }
  return ok();
}

Status read_export(const FlagValues& values, Options& options) {
  const auto found = values.find("--to");
  const bool is_export = options.command == Command::export_models;
  if (!found && values.has("--prefix") && !is_export)
    return Error{ErrorKind::usage, "--prefix needs --to", "add --to oci:FOLDER"};
  if (!found && !is_export) return ok();
  if (!found)
    return Error{ErrorKind::usage, "export needs --to, which says what to write and where",
                 "for a container image: --to oci:FOLDER"};
  auto target = parse_export_target(found->value);
  if (!target) return bad_value(*found, "oci:FOLDER[:TAG], dir:FOLDER or dir-flat:FOLDER");
  if (Status plain = values.check_path({found->name, target->folder}); !plain) return plain;

  target->folder = canonical_path(values.expand(target->folder));
  if ((target->folder + "/").starts_with(options.cache_dir + "/"))
    return bad_value(*found, "a folder outside the cache " + options.cache_dir);
  options.to = std::move(*target);
  if (options.to->kind != ExportKind::oci && values.has("--prefix"))
    return Error{ErrorKind::usage, "--prefix is for images: " + options.to->text() + " has none",
                 "leave it out"};
  return read_value(values, "--prefix", options.prefix, parse_image_prefix,
                    "a directory in the image, such as hub or /");
}

/// The token file of the standard place. Other tenants of the volume may be able to put a file
/// there: one of theirs, or a link to a secret that only this user can read.
std::optional<std::string> read_standard_token(const std::string& path, Strings& warnings) {
  const auto info = lstat_path(path);
  if (!info) return std::nullopt;

  const auto folder = stat_path(parent_path(path));
  const bool is_known =
      info->owner == geteuid() || info->owner == 0 || (folder && info->owner == folder->owner);
  if (info->is_link || info->link_count > 1 || !is_known) {
    warnings.push_back(fmt::format(
        "{} is not used as the token, because {}: to use it anyway, set HF_TOKEN_PATH to it", path,
        is_known ? "it is a link" : "it belongs to another user"));
    return std::nullopt;
  }

  const auto fd = Directory(parent_path(path)).open_file(path, O_RDONLY | O_NONBLOCK);
  return fd && is_still_at(*fd, path) ? read_file(*fd, kMaxTokenFile) : std::nullopt;
}

/// The first that is set of HF_TOKEN, HUGGING_FACE_HUB_TOKEN, and a file. Nothing if it is empty.
Result<std::optional<Token>> find_token(const FlagValues& values, Strings& warnings) {
  const std::optional<Token> none;
  const auto disabled = first_boolean(values, {"HF_HUB_DISABLE_IMPLICIT_TOKEN"});
  if (!disabled) return disabled.error();
  if (*disabled) return none;

  for (const char* variable : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})
    if (const std::string text = trimmed(values.get(variable).value_or("")); !text.empty())
      return parse_token(text, variable);

  const auto named = values.get("HF_TOKEN_PATH");
  const auto home = hf_folder(values);
  if (!named && !home) return none;
  if (named)
    if (Status plain = values.check_path({"HF_TOKEN_PATH", *named}); !plain) return plain.error();

  const std::string path = named ? values.expand(*named) : *home + "/token";
  if (const auto content =
          named ? read_file(path, kMaxTokenFile) : read_standard_token(path, warnings)) {
    const std::string text = trimmed(*content);
    return text.empty() ? none : parse_token(text, path);
  }

  // An optional secret may be absent, and /dev/null means no token. But a file or directory that is
  // named and there is meant to be read.
  const auto info = named ? stat_path(path) : std::nullopt;
  if (info && (info->is_file || info->is_folder))
    return Error{ErrorKind::usage,
                 fmt::format("HF_TOKEN_PATH is '{}', which cannot be read as a file", *named),
                 "it must be a file that contains only the token and that this user may read"};
  return none;
}

/// All certificates in a directory, which REQUESTS_CA_BUNDLE may name. Other files are ignored.
std::string certificates_in_directory(const std::string& directory) {
  // OpenSSL's directories hold each file under several names, so each is read once.
  std::set<std::string> files;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored))
    files.insert(canonical_path(entry.path().string()));

  std::string all;
  for (const std::string& file : files) {
    const auto pem = read_file(file, kMaxCaFile);
    if (pem && count_certificates(*pem)) all += *pem + "\n";
  }
  return all;
}

Status read_authorities(const FlagValues& values, Options& options) {
  const auto given = values.find_all("--ca-file");
  if (given.empty()) return ok();

  // Several variables often name one file, and that is often the system's own.
  std::vector<FileInfo> seen;
  if (const auto system = stat_path(system_authorities())) seen.push_back(*system);

  for (const FlagValues::Value& found : given) {
    const auto refuse = [&](std::string_view reason) {
      return Error{
          ErrorKind::usage, fmt::format("{} is '{}': {}", found.name, found.value, reason),
          "it must be a PEM file of certificates (-----BEGIN CERTIFICATE-----) or a directory of such files"};
    };
    const std::string path = values.expand(found.value);
    // A list, in which OpenSSL looks only for what a handshake needs.
    if (found.name == "SSL_CERT_DIR") {
      options.authorities.directories = path;
      continue;
    }

    const auto info = stat_path(path);
    if (!info) return refuse("no such file or directory");
    const auto is_same = [&](const FileInfo& other) { return other.is_same_file(*info); };
    if (std::ranges::any_of(seen, is_same)) continue;
    seen.push_back(*info);

    const auto pem =
        info->is_folder ? certificates_in_directory(path) : read_file(path, kMaxCaFile);
    if (!pem) return refuse("it cannot be read");
    const auto count = count_certificates(*pem);
    if (!count) return refuse(count.error().message);
    if (*count == 0) return refuse("it contains no certificate");
    options.authorities.pem += *pem + "\n";
  }
  return ok();
}

Status read_connection(const FlagValues& values, Options& options) {
  const auto endpoints = find_endpoints(values);
  if (!endpoints && (uses_hub(options) || values.has("--endpoint"))) return endpoints.error();
  options.endpoints = endpoints ? *endpoints : default_endpoints();

  // Without requests, a stale variable does no harm.
  if (!uses_hub(options) || options.offline)
    return read_authorities(values.without_variables(), options);
  const auto token = find_token(values, options.warnings);
  if (!token) return token.error();
  options.token = *token;
  return read_authorities(values, options);
}

/// What they say takes the place of the arguments.
Status read_kserve(Options& options) {
  const auto models = parse_kserve_arguments(options.models);
  if (!models) return models.error();

  // A folder has many spellings.
  std::map<std::string, std::string> by_folder;
  for (const KserveModel& model : *models)
    if (!by_folder.emplace(canonical_path(model.folder), model.name).second)
      return Error{ErrorKind::usage, "two models have the destination '" + model.folder + "'",
                   "every model has one destination of its own"};

  options.models.clear();
  for (const auto& [folder, name] : by_folder) {
    options.models.push_back(name);
    options.destinations.push_back(folder);
  }
  options.variant = Variant(Build::all);  // which libraries will read the files is not known
  return ok();
}

Status read_models(const FlagValues& values, Options& options) {
  if (options.command == Command::kserve_init) return read_kserve(options);
  const auto list = values.get("MODELS_TO_DOWNLOAD");
  if (!options.models.empty() || !list) return ok();

  options.models = split_list(*list);
  // Without a model, the run would take the whole manifest.
  if (options.models.empty() || list->find_first_of("\"'`[]{}") != std::string::npos)
    return bad_value({"MODELS_TO_DOWNLOAD", *list},
                     "models separated by commas or line ends, without quotes and brackets");
  return ok();
}

/// The switches that huggingface_hub has too. Every command that may send requests follows them,
/// also one that does not take the flag.
Status read_switches(const FlagValues& values, Options& options) {
  options.offline = values.has("--offline");
  if (!options.offline && uses_hub(options)) {
    const auto offline = first_boolean(values, {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"});
    if (!offline) return offline.error();
    options.offline = *offline;
  }

  const bool shows_none =
      (options.command == Command::list && !options.builds) || options.command == Command::cleanup;
  if (shows_none || values.has("--progress")) return ok();
  const auto quiet = first_boolean(values, {"HF_HUB_DISABLE_PROGRESS_BARS"});
  if (!quiet) return quiet.error();
  if (*quiet) options.progress = ProgressMode::none;
  return ok();
}

/// Everything that flags and variables set. The first bad value is reported.
Status read_options(const FlagValues& values, Options& options) {
  if (const auto found = values.find("--manifest")) options.manifest = found->value;
  if (const auto found = values.find("--manifest-key")) options.manifest_key = found->value;
  if (const auto found = values.find("--signature-key")) options.signature_key = found->value;
  options.patterns.include = read_list(values, "--include");
  options.patterns.exclude = read_list(values, "--exclude");

  options.dry_run = values.has("--dry-run");
  options.cleanup = values.has("--cleanup");
  options.repair = values.has("--repair");
  options.check = values.has("--check");
  options.builds = values.has("--builds");
  options.json = values.has("--json");

  const FlagValues network = uses_hub(options) ? values : values.without_variables();
  options.retries_given = network.find("--retries").has_value();

  for (const Status& result : {
           read_models(values, options),
           read_switches(values, options),
           read_value(values, "--variant", options.variant, parse_variant,
                      fmt::format("a build: {}, or onnx, openvino or gguf with a name, as in "
                                  "onnx:model_quantized",
                                  fmt::join(kNames<Build>, ", "))),
           read_choice(values, "--dependencies", options.dependencies),
           read_policy(values, options),
           read_choice(values, "--format", options.lock_format),
           read_paths(values, options),
           read_consumers(values, options),
           read_from(values, options),
           read_export(values, options),
           read_number(network, "--jobs", 1, 64, options.jobs),
           read_number(network, "--retries", 0, 1000, options.retries),
           read_number(network, "--patience", 0, 31'536'000, options.patience),
           read_number(network, "--timeout", 1, 86'400, options.timeout),
           // verify hashes until then, also if it sends no request.
           read_number(options.command == Command::verify ? values : network, "--deadline", 1,
                       31'536'000, options.deadline),
           read_value(network, "--limit-rate", options.rate, parse_rate,
                      "bytes per second, at least 4K: 500K, 10M, 1G or a plain number"),
           read_choice(values, "--log-level", options.log_level),
           read_choice(values, "--log-format", options.log_format),
           read_choice(values, "--progress", options.progress),
           read_connection(values, options),
       })
    if (!result) return result;
  return ok();
}

}  // namespace

std::string program_number() { return MODEL_PREP_VERSION; }

std::string program_version() { return "model-prep " MODEL_PREP_VERSION; }

std::string version_text() {
  Strings lines = transport_libraries();
  lines.insert(lines.begin(), {program_version(), tls_library()});
  return fmt::format("{}\n", fmt::join(lines, "\n"));
}

CiEnvironment detect_ci(const Environment& environment) {
  const FlagValues values(environment);
  return {.step_summary = values.get("GITHUB_STEP_SUMMARY").value_or(""),
          .annotations = boolean_of(values.get("GITHUB_ACTIONS").value_or("")).value_or(false)};
}

TerminalSettings detect_terminal(const Environment& environment) {
  const FlagValues values(environment);
  const std::string term = values.get("TERM").value_or("dumb");
  return {.live = term != "dumb", .colour = !values.get("NO_COLOR")};
}

Result<Options> parse_options(const Strings& arguments, const Environment& environment) {
  FlagValues values(environment);
  auto parsed = parse_command_line(arguments, values);
  if (!parsed || parsed->print) return parsed;

  Options& options = *parsed;
  options.ci = detect_ci(environment);
  options.terminal = detect_terminal(environment);
  options.proxies = ProxySettings(environment);
  if (Status read = read_options(values, options); !read) return read.error();
  return parsed;
}

}  // namespace model_prep
