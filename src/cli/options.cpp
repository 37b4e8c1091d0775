// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/options.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <type_traits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model_prep/base/parse_int.h"
#include "model_prep/cli/cache_paths.h"
#include "model_prep/cli/flag_values.h"
#include "model_prep/core/rate_limiter.h"
#include "model_prep/io/http.h"
#include "model_prep/io/libcurl_info.h"
#include "model_prep/io/posix.h"
#include "model_prep/io/tls.h"

namespace model_prep {
namespace {

constexpr std::size_t kMaxTokenFile = 64 * 1024;
constexpr std::size_t kMaxCaFile = 16 * 1024 * 1024;  // the system's bundle has 0.2 MB

template <class Into>
Status read_number(const FlagValues& values, const std::string& flag, int low, int high,
                   Into& into) {
  const auto found = values.find(flag);
  if (!found) return ok();

  const auto value = parse_int<int>(found->value);
  if (!value || *value < low || *value > high)
    return bad_value(*found, fmt::format("a whole number from {} to {}", low, high));

  into = *value;
  return ok();
}

template <class T>
using Choices = std::vector<std::pair<std::string_view, T>>;

template <class T>
Status read_choice(const FlagValues& values, const std::string& flag, T& into,
                   const std::type_identity_t<Choices<T>>& choices) {
  const auto found = values.find(flag);
  if (!found) return ok();

  std::vector<std::string_view> names;
  for (const auto& [name, value] : choices) {
    names.push_back(name);
    if (name != found->value) continue;
    into = value;
    return ok();
  }
  return bad_value(*found, fmt::format("one of {}", fmt::join(names, ", ")));
}

Status first_error(std::initializer_list<Status> results) {
  const auto failed =
      std::find_if(results.begin(), results.end(), [](const Status& result) { return !result; });
  return failed == results.end() ? ok() : *failed;
}

Status read_models(const FlagValues& values, Options& options) {
  if (options.models.empty())
    options.models = split_list(values.get("MODELS_TO_DOWNLOAD").value_or(""));
  if (const auto found = values.find("--manifest")) options.manifest = found->value;
  for (FlagValues::Value& found : values.find_all("--include"))
    options.patterns.include.push_back(std::move(found.value));
  for (FlagValues::Value& found : values.find_all("--exclude"))
    options.patterns.exclude.push_back(std::move(found.value));

  const auto variant = values.find("--variant");
  if (!variant) return ok();

  const auto parsed = parse_variant(variant->value);
  if (!parsed) return bad_value(*variant, fmt::format("one of {}", fmt::join(kVariantNames, ", ")));
  options.variant = *parsed;
  return ok();
}

Status read_actions(const FlagValues& values, Options& options) {
  options.dry_run = values.has("--dry-run");
  options.cleanup = values.has("--cleanup");
  options.repair = values.has("--repair");
  options.check = values.has("--check");

  // Every command follows these variables, also those that do not take --offline.
  const auto offline = values.get("HF_HUB_OFFLINE");
  options.offline =
      values.has("--offline") || is_true(offline ? offline : values.get("TRANSFORMERS_OFFLINE"));
  return ok();
}

Status read_paths(const FlagValues& values, Options& options) {
  auto paths = find_cache_paths(values);
  if (!paths) return paths.error();

  options.cache_dir = std::move(paths->cache_dir);
  options.legacy_dirs = std::move(paths->legacy_dirs);
  const auto summary = values.find("--summary");
  options.summary = summary ? summary->value : paths->summary;
  if (options.command == Command::verify) options.services = find_consumers(values);
  return ok();
}

Status read_limits(const FlagValues& values, Options& options) {
  if (const auto found = values.find("--limit-rate")) {
    options.rate = parse_rate(found->value);
    if (!options.rate)
      return bad_value(*found, "bytes per second, at least 4K: 500K, 10M, 1G or a plain number");
  }
  return first_error({
      read_number(values, "--jobs", 1, 64, options.jobs),
      read_number(values, "--retries", 0, 1000, options.retries),
      read_number(values, "--timeout", 1, 86'400, options.timeout),
      read_number(values, "--deadline", 1, 31'536'000, options.deadline),
  });
}

Status read_output(const FlagValues& values, Options& options) {
  options.json = values.has("--json");
  if (is_true(values.get("HF_HUB_DISABLE_PROGRESS_BARS"))) options.progress = ProgressMode::none;
  return first_error({
      read_choice(values, "--log-level", options.log_level,
                  {{"debug", LogLevel::debug},
                   {"info", LogLevel::info},
                   {"warn", LogLevel::warning},
                   {"error", LogLevel::error},
                   {"off", LogLevel::off}}),
      read_choice(values, "--log-format", options.log_format,
                  {{"text", LogFormat::text}, {"json", LogFormat::json}}),
      read_choice(values, "--progress", options.progress,
                  {{"auto", ProgressMode::automatic},
                   {"bar", ProgressMode::bar},
                   {"log", ProgressMode::log},
                   {"none", ProgressMode::none}}),
  });
}

Status set_token(std::string text, const std::string& source, Options& options) {
  if (Status good = check_token(text, source); !good) return good;
  options.token.emplace(std::move(text));
  return ok();
}

/// The first that is set of HF_TOKEN, HUGGING_FACE_HUB_TOKEN, and a file.
Status read_token(const FlagValues& values, Options& options) {
  if (is_true(values.get("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return ok();
  for (const char* variable : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})
    if (std::string text = trimmed(values.get(variable).value_or("")); !text.empty())
      return set_token(std::move(text), variable, options);

  const auto named = values.get("HF_TOKEN_PATH");
  const auto home = hf_folder(values);
  if (!named && !home) return ok();
  const std::string path = named ? values.expand(*named) : *home + "/token";
  const auto content = read_file(path, kMaxTokenFile);

  // An optional secret may be absent, and /dev/null means no token. But a file or directory that is
  // named and there is meant to be read.
  const auto info = named && !content ? stat_path(path) : std::nullopt;
  if (info && (info->is_file || info->is_folder))
    return Error{ErrorKind::usage,
                 fmt::format("HF_TOKEN_PATH is '{}', which cannot be read as a file", *named),
                 "it must be a file that holds only the token and that this user may read"};

  std::string text = trimmed(content.value_or(""));
  return text.empty() ? ok() : set_token(std::move(text), path, options);
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
          "it must be a file of certificates in PEM form, -----BEGIN CERTIFICATE-----, or a directory of them"};
    };
    const std::string path = values.expand(found.value);
    const auto info = stat_path(path);
    if (!info) return refuse("there is no such file");
    if (std::any_of(seen.begin(), seen.end(),
                    [&](const FileInfo& other) { return other.is_same_file(*info); }))
      continue;
    seen.push_back(*info);

    const auto pem =
        info->is_folder ? certificates_in_directory(path) : read_file(path, kMaxCaFile);
    if (!pem) return refuse("it cannot be read");
    const auto count = count_certificates(*pem);
    if (!count) return refuse(count.error().message);
    if (*count == 0) return refuse("there is no certificate in it");
    options.authorities += *pem + "\n";
  }
  return ok();
}

Status read_connection(const FlagValues& values, Options& options) {
  const bool uses_hub =
      options.command == Command::download || options.command == Command::lock || options.repair;
  auto endpoints = find_endpoints(values);
  if (!endpoints && uses_hub) return endpoints.error();
  options.endpoints = endpoints ? std::move(*endpoints) : default_endpoints();

  // Without requests, a stale variable does no harm.
  if (!uses_hub || options.offline) return ok();
  if (Status token = read_token(values, options); !token) return token;
  return read_authorities(values, options);
}

}  // namespace

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

Result<Parsed> parse_options(const std::vector<std::string>& arguments,
                             const Environment& environment) {
  FlagValues values(environment);
  auto command = parse_command_line(arguments, values);
  if (!command) return command.error();

  Parsed parsed{.options = {}, .print = std::move(command->print)};
  if (parsed.print) return parsed;
  parsed.options.command = command->command;
  parsed.options.models = std::move(command->models);
  parsed.options.ci = detect_ci(environment);
  parsed.options.terminal = detect_terminal(environment);
  parsed.options.proxies = ProxySettings(environment);

  for (const auto read :
       {read_models, read_actions, read_paths, read_limits, read_output, read_connection})
    if (Status result = read(values, parsed.options); !result) return result.error();
  return parsed;
}

}  // namespace model_prep
