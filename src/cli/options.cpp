// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/options.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/ranges.h>

#include "model_prep/base/parse_int.h"
#include "model_prep/cli/command_line.h"
#include "model_prep/core/rate_limiter.h"
#include "model_prep/io/libcurl_info.h"
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

Strings read_list(const FlagValues& values, const std::string& flag) {
  Strings texts;
  for (const FlagValues::Value& found : values.find_all(flag)) texts.push_back(found.value);
  return texts;
}

Status read_paths(const FlagValues& values, Options& options) {
  const auto paths = find_cache_paths(values);
  if (!paths) return paths.error();

  options.cache_dir = paths->cache_dir;
  options.legacy_dirs = paths->legacy_dirs;
  const auto summary = values.find("--summary");
  options.summary = summary ? summary->value : paths->summary;
  if (summary)
    options.summary_source =
        values.has("--summary") ? SummarySource::flag : SummarySource::variable;
  if (options.command == Command::verify) options.services = find_consumers(values);
  return ok();
}

/// The first that is set of HF_TOKEN, HUGGING_FACE_HUB_TOKEN, and a file. Nothing if it is empty.
Result<std::optional<Token>> find_token(const FlagValues& values) {
  const std::optional<Token> none;
  if (is_true(values.get("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return none;
  for (const char* variable : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})
    if (const std::string text = trimmed(values.get(variable).value_or("")); !text.empty())
      return parse_token(text, variable);

  const auto named = values.get("HF_TOKEN_PATH");
  const auto home = hf_folder(values);
  if (!named && !home) return none;
  const std::string path = named ? values.expand(*named) : *home + "/token";
  if (const auto content = read_file(path, kMaxTokenFile)) {
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
  // Several variables often name one file, and that is often the system's own.
  std::vector<FileInfo> seen;
  if (const auto system = stat_path(system_authorities())) seen.push_back(*system);

  for (const FlagValues::Value& found : values.find_all("--ca-file")) {
    const auto refuse = [&](std::string_view reason) {
      return Error{
          ErrorKind::usage, fmt::format("{} is '{}': {}", found.name, found.value, reason),
          "it must be a PEM file of certificates (-----BEGIN CERTIFICATE-----) or a directory of such files"};
    };
    const std::string path = values.expand(found.value);
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
    options.authorities += *pem + "\n";
  }
  return ok();
}

Status read_connection(const FlagValues& values, Options& options) {
  const bool uses_hub =
      options.command == Command::download || options.command == Command::lock || options.repair;
  const auto endpoints = find_endpoints(values);
  if (!endpoints && uses_hub) return endpoints.error();
  options.endpoints = endpoints ? *endpoints : default_endpoints();

  // Without requests, a stale variable does no harm.
  if (!uses_hub || options.offline) return ok();
  const auto token = find_token(values);
  if (!token) return token.error();
  options.token = *token;
  return read_authorities(values, options);
}

/// Everything that flags and variables set. The first bad value is reported.
Status read_options(const FlagValues& values, Options& options) {
  if (options.models.empty())
    options.models = split_list(values.get("MODELS_TO_DOWNLOAD").value_or(""));
  if (const auto found = values.find("--manifest")) options.manifest = found->value;
  options.patterns.include = read_list(values, "--include");
  options.patterns.exclude = read_list(values, "--exclude");

  options.dry_run = values.has("--dry-run");
  options.cleanup = values.has("--cleanup");
  options.repair = values.has("--repair");
  options.check = values.has("--check");
  options.json = values.has("--json");

  // Every command follows these variables, also those that do not take --offline.
  const auto offline = values.get("HF_HUB_OFFLINE");
  options.offline =
      values.has("--offline") || is_true(offline ? offline : values.get("TRANSFORMERS_OFFLINE"));
  if (is_true(values.get("HF_HUB_DISABLE_PROGRESS_BARS"))) options.progress = ProgressMode::none;

  for (const Status& result : {
           read_choice(values, "--variant", options.variant),
           read_paths(values, options),
           read_number(values, "--jobs", 1, 64, options.jobs),
           read_number(values, "--retries", 0, 1000, options.retries),
           read_number(values, "--timeout", 1, 86'400, options.timeout),
           read_number(values, "--deadline", 1, 31'536'000, options.deadline),
           read_value(values, "--limit-rate", options.rate, parse_rate,
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

std::string program_version() { return "model-prep " MODEL_PREP_VERSION; }

CiEnvironment detect_ci(const Environment& environment) {
  const FlagValues values(environment);
  return {.step_summary = values.get("GITHUB_STEP_SUMMARY").value_or(""),
          .annotations = is_true(values.get("GITHUB_ACTIONS"))};
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
