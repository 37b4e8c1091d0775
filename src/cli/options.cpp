// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/options.h"

#include <algorithm>
#include <filesystem>
#include <set>

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

constexpr std::size_t kLargestToken = 64 * 1024;
constexpr std::size_t kLargestBundle =
    16 * 1024 * 1024;  // of certificates; the system's have 0.2 MB

/// Puts a whole number between `low` and `high` into `into`, if there is one.
template <class Into>
Status read_number(const FlagValues& settings, const std::string& flag, int low, int high,
                   Into& into) {
  const auto found = settings.find(flag);
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
Status read_choice(const FlagValues& settings, const std::string& flag, const Choices<T>& choices,
                   T& into) {
  const auto found = settings.find(flag);
  if (!found) return ok();
  std::vector<std::string_view> names;
  for (const auto& [name, value] : choices) {
    if (name == found->value) {
      into = value;
      return ok();
    }
    names.push_back(name);
  }
  return bad_value(*found, fmt::format("one of {}", fmt::join(names, ", ")));
}

Status read_rate(const FlagValues& settings, std::optional<std::int64_t>& into) {
  const auto found = settings.find("--limit-rate");
  if (!found) return ok();
  into = parse_rate(found->value);
  return into ? ok()
              : bad_value(*found, "bytes per second, 4K at least: 500K, 10M, 1G or a plain number");
}

Status read_token(const FlagValues& settings, Options& options) {
  if (is_true(settings.get("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return ok();
  std::string name;
  std::string text;
  for (const char* variable : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})
    if (text.empty()) text = trimmed(settings.get(name = variable).value_or(""));
  if (text.empty()) {
    const auto named = settings.get("HF_TOKEN_PATH");
    if (named)
      name = settings.expand(*named);
    else if (const auto home = hf_folder(settings))
      name = *home + "/token";
    else
      return ok();
    const auto content = read_file(name, kLargestToken);
    // A secret that is optional may be absent, and /dev/null is no token. What is there and was
    // named is meant to be read.
    const auto about = named && !content ? stat_path(name) : std::nullopt;
    if (about && (about->is_file || about->is_folder))
      return Error{ErrorKind::usage,
                   fmt::format("HF_TOKEN_PATH is '{}': it is no file that can be read", *named),
                   "it wants a file with the token alone, readable for the user that this runs as"};
    text = trimmed(content.value_or(""));
  }
  if (text.empty()) return ok();
  if (Status good = check_token(text, name); !good) return good;
  options.token.emplace(text);
  return ok();
}

/// The certificates of all files in a folder, which REQUESTS_CA_BUNDLE may name; what else lies
/// there is left alone. OpenSSL's own folders hold each file under several names.
std::string certificates_in_folder(const std::string& folder) {
  namespace fs = std::filesystem;
  std::set<std::string> files;
  std::error_code fault;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, fault))
    files.insert(canonical_path(entry.path().string()));
  std::string all;
  for (const std::string& file : files) {
    const auto pem = read_file(file, kLargestBundle);
    if (pem && count_certificates(*pem)) all += *pem + "\n";
  }
  return all;
}

/// Authorities to trust beside the system's. Several
/// variables name one file more often than not, and that file is the system's own.
Status read_authorities(const FlagValues& settings, Options& options) {
  std::vector<FileInfo> seen;
  if (const auto system = stat_path(system_authorities())) seen.push_back(*system);
  for (const FlagValues::Value& found : settings.find_all("--ca-file")) {
    const std::string path = settings.expand(found.value);
    const auto refuse = [&](std::string_view why) {
      return Error{
          ErrorKind::usage, fmt::format("{} is '{}': {}", found.name, found.value, why),
          "it wants a file of certificates in PEM form, -----BEGIN CERTIFICATE-----, or a folder of such"};
    };
    const auto about = stat_path(path);
    if (!about) return refuse("there is no such file");
    if (std::any_of(seen.begin(), seen.end(),
                    [&](const FileInfo& one) { return one.is_same_file(*about); }))
      continue;
    seen.push_back(*about);
    const auto pem =
        about->is_folder ? certificates_in_folder(path) : read_file(path, kLargestBundle);
    if (!pem) return refuse("it cannot be read");
    const auto count = count_certificates(*pem);
    if (!count) return refuse(count.error().message);
    if (*count == 0) return refuse("there is no certificate in it");
    options.authorities += *pem + "\n";
  }
  return ok();
}

Status read_values(const FlagValues& settings, Options& options) {
  if (const auto found = settings.find("--manifest")) options.manifest = found->value;
  for (FlagValues::Value& found : settings.find_all("--include"))
    options.patterns.include.push_back(std::move(found.value));
  for (FlagValues::Value& found : settings.find_all("--exclude"))
    options.patterns.exclude.push_back(std::move(found.value));
  if (const auto found = settings.find("--variant")) {
    const auto variant = parse_variant(found->value);
    if (!variant)
      return bad_value(*found, fmt::format("one of {}", fmt::join(kVariantNames, ", ")));
    options.variant = *variant;
  }
  if (options.models.empty())
    options.models = split_list(settings.get("MODELS_TO_DOWNLOAD").value_or(""));
  options.dry_run = settings.has("--dry-run");
  options.repair = settings.has("--repair");
  options.json = settings.has("--json");
  options.cleanup = settings.has("--cleanup");
  options.check = settings.has("--check");
  const auto offline = settings.get("HF_HUB_OFFLINE");
  options.offline = settings.has("--offline") ||
                    is_true(offline ? offline : settings.get("TRANSFORMERS_OFFLINE"));
  if (is_true(settings.get("HF_HUB_DISABLE_PROGRESS_BARS"))) options.progress = ProgressMode::none;
  auto places = find_cache_paths(settings);
  if (!places) return places.error();
  options.cache_dir = std::move(places->cache_dir);
  options.legacy_dirs = std::move(places->legacy_dirs);
  if (options.command == Command::verify) options.services = find_consumers(settings);
  const auto summary = settings.find("--summary");
  options.summary = summary ? summary->value : places->summary;
  const bool of_hub =
      options.command == Command::download || options.command == Command::lock || options.repair;
  const bool asks_hub = of_hub && !options.offline;
  auto endpoints = find_endpoints(settings);
  if (!endpoints && of_hub) return endpoints.error();
  options.endpoints = endpoints ? std::move(*endpoints) : default_endpoints();
  const Status read[] = {
      read_number(settings, "--jobs", 1, 64, options.jobs),
      read_number(settings, "--retries", 0, 1000, options.retries),
      read_number(settings, "--timeout", 1, 86'400, options.timeout),
      read_number(settings, "--deadline", 1, 31'536'000, options.deadline),
      read_rate(settings, options.rate),
      read_choice(settings, "--log-level",
                  Choices<LogLevel>{{"debug", LogLevel::debug},
                                    {"info", LogLevel::info},
                                    {"warn", LogLevel::warning},
                                    {"error", LogLevel::error},
                                    {"off", LogLevel::off}},
                  options.log_level),
      read_choice(settings, "--log-format",
                  Choices<LogFormat>{{"text", LogFormat::text}, {"json", LogFormat::json}},
                  options.log_format),
      read_choice(settings, "--progress",
                  Choices<ProgressMode>{{"auto", ProgressMode::automatic},
                                        {"bar", ProgressMode::bar},
                                        {"log", ProgressMode::log},
                                        {"none", ProgressMode::none}},
                  options.progress),
      // Who asks nobody needs neither, so a stale variable does no harm.
      asks_hub ? read_token(settings, options) : ok(),
      asks_hub ? read_authorities(settings, options) : ok(),
  };
  for (const Status& status : read)
    if (!status) return status;
  return ok();
}

}  // namespace

CiEnvironment detect_ci(const Environment& environment) {
  const auto actions = environment.find("GITHUB_ACTIONS");
  const auto summary = environment.find("GITHUB_STEP_SUMMARY");
  return {.step_summary = summary == environment.end() ? "" : summary->second,
          .annotations = actions != environment.end() && is_true(actions->second)};
}

TerminalSettings detect_terminal(const Environment& environment) {
  const auto value_of = [&](const char* name) {
    const auto variable = environment.find(name);
    return variable == environment.end() ? std::string() : variable->second;
  };
  const std::string term = value_of("TERM");
  return {.live = !term.empty() && term != "dumb", .colour = value_of("NO_COLOR").empty()};
}

Result<Parsed> parse_options(const std::vector<std::string>& arguments,
                             const Environment& environment) {
  FlagValues settings(environment);
  auto given = read_command_line(arguments, settings);
  if (!given) return given.error();
  Parsed parsed;
  if (const auto* print = std::get_if<TextOutput>(&*given)) {
    parsed.print = *print;
    return parsed;
  }
  parsed.options.audience = detect_ci(environment);
  parsed.options.proxies = ProxySettings(environment);
  parsed.options.terminal = detect_terminal(environment);
  parsed.options.command = std::get<ParsedCommand>(*given).command;
  parsed.options.models = std::move(std::get<ParsedCommand>(*given).models);
  if (Status read = read_values(settings, parsed.options); !read) return read.error();
  return parsed;
}

}  // namespace model_prep
