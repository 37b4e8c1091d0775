// SPDX-License-Identifier: Apache-2.0
#include "model_prep/program/options.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "model_prep/effects/http.h"
#include "model_prep/effects/posix.h"
#include "model_prep/effects/tls.h"
#include "model_prep/program/manifest.h"

namespace model_prep {
namespace {

constexpr std::size_t kLargestToken = 64 * 1024;
constexpr std::size_t kLargestBundle = 16 * 1024 * 1024;  // of certificates; the system's have 0.2 MB

constexpr std::string_view kFooter = R"(Environment (a flag beats it; an empty variable is unset):
  MODELS_TO_DOWNLOAD        models, comma-separated, where no MODEL is given
  HF_HOME, HF_HUB_CACHE     where the cache is: HF_HUB_CACHE, else $HF_HOME/hub, else ~/.cache/huggingface/hub
  TRANSFORMERS_CACHE        also gets links to the models, for older services
  HF_TOKEN                  the token; else HUGGING_FACE_HUB_TOKEN, the file HF_TOKEN_PATH, $HF_HOME/token
  HF_HUB_DISABLE_IMPLICIT_TOKEN   send no token
  HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY
  GITHUB_STEP_SUMMARY       gets a table of the models; under GITHUB_ACTIONS errors are annotations too
Exit code: 0 every model is complete; 1 anything else; 128 + n ended by signal n.)";

/// CLI11 reads the flags as text. The environment is looked up here and not by CLI11, because several options have a
/// chain of variables and a bad value must be told with the name of where it stands.
class Settings {
 public:
  Settings(CLI::App& app, const Environment& environment) : app_(app), environment_(environment) {}

  void option(const std::string& flag, std::vector<std::string> variables, const std::string& type,
              const std::string& text) {
    std::string help = text;
    if (!variables.empty()) help += fmt::format(" [{}]", fmt::join(variables, ", "));
    app_.add_option(flag, values_[flag], help)->type_name(type);
    variables_[flag] = std::move(variables);
  }

  struct Found {
    std::string name;  // of the flag or variable
    std::string value;
  };
  std::optional<Found> find(const std::string& flag) const {
    if (app_.count(flag) > 0) return Found{flag, values_.at(flag)};
    for (const std::string& variable : variables_.at(flag))
      if (const auto value = get(variable)) return Found{variable, *value};
    return std::nullopt;
  }
  /// Like `find`, but all of the variables that are set.
  std::vector<Found> find_all(const std::string& flag) const {
    if (app_.count(flag) > 0) return {Found{flag, values_.at(flag)}};
    std::vector<Found> found;
    for (const std::string& variable : variables_.at(flag))
      if (const auto value = get(variable)) found.push_back({variable, *value});
    return found;
  }
  std::optional<std::string> get(const std::string& variable) const {
    const auto found = environment_.find(variable);
    return found == environment_.end() || found->second.empty() ? std::nullopt : std::optional(found->second);
  }

 private:
  CLI::App& app_;
  const Environment& environment_;
  std::map<std::string, std::string> values_;
  std::map<std::string, std::vector<std::string>> variables_;
};

Error bad_value(const Settings::Found& found, std::string_view wants) {
  return {ErrorKind::usage, fmt::format("{} is '{}', but wants {}", found.name, found.value, wants), {}};
}

/// Puts a whole number between `low` and `high` into `into`, if there is one.
template <class Into>
Status read_number(const Settings& settings, const std::string& flag, int low, int high, Into& into) {
  const auto found = settings.find(flag);
  if (!found) return ok();
  int value = 0;
  const char* end = found->value.data() + found->value.size();
  const auto [rest, error] = std::from_chars(found->value.data(), end, value);
  if (error != std::errc{} || rest != end || value < low || value > high)
    return bad_value(*found, fmt::format("a whole number from {} to {}", low, high));
  into = value;
  return ok();
}

template <class T>
using Choices = std::vector<std::pair<std::string_view, T>>;

template <class T>
Status read_choice(const Settings& settings, const std::string& flag, const Choices<T>& choices, T& into) {
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

/// huggingface_hub's rule (hub-protocol.md section 2): anything but these is false.
bool is_true(std::optional<std::string> value) {
  if (!value) return false;
  std::transform(value->begin(), value->end(), value->begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  constexpr std::array<std::string_view, 4> kTrue = {"1", "ON", "YES", "TRUE"};
  return std::find(kTrue.begin(), kTrue.end(), *value) != kTrue.end();
}

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    if (std::string item = trimmed(text.substr(0, comma)); !item.empty()) items.push_back(std::move(item));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return items;
}

/// `~` and `$NAME`, `${NAME}` at any place, as huggingface_hub expands its folders. An unknown name stays as it is.
std::string expand(const std::string& path, const Settings& settings) {
  std::string text = path;
  if (text == "~" || text.starts_with("~/")) text = settings.get("HOME").value_or("~") + text.substr(1);
  for (std::size_t at = 0; (at = text.find('$', at)) != std::string::npos; ++at) {
    const bool braced = text.compare(at + 1, 1, "{") == 0;
    std::size_t end = at + (braced ? 2 : 1);
    const std::size_t begin = end;
    while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_')) ++end;
    const auto value = settings.get(text.substr(begin, end - begin));
    if (braced && text.compare(end, 1, "}") == 0) ++end;
    if (value) text.replace(at, end - at, *value);
  }
  return text;
}

/// Where things lie (product: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, $HF_HOME/hub, the home folder's cache).
struct Places {
  std::optional<std::string> hf_home;
  std::optional<std::string> usual_home;  // HF_HOME's default
};

Places find_places(const Settings& settings) {
  Places places;
  if (const auto home = settings.get("HF_HOME")) places.hf_home = canonical_path(expand(*home, settings));
  if (const auto xdg = settings.get("XDG_CACHE_HOME"))
    places.usual_home = canonical_path(expand(*xdg, settings) + "/huggingface");
  else if (const auto home = settings.get("HOME"))
    places.usual_home = canonical_path(*home + "/.cache/huggingface");
  return places;
}

Status read_places(const Settings& settings, Options& options) {
  const Places places = find_places(settings);
  const auto named = settings.find("--cache-dir");
  if (named && named->value.empty()) return bad_value(*named, "a folder");
  if (named) {
    options.cache_dir = canonical_path(expand(named->value, settings));
  } else if (const auto& home = places.hf_home ? places.hf_home : places.usual_home) {
    options.cache_dir = canonical_path(*home + "/hub");
  } else {
    return Error{ErrorKind::usage, "no place for the cache: neither HF_HOME nor HOME is set",
                 "set HF_HOME, or give --cache-dir"};
  }
  std::vector<std::string> views;
  if (places.hf_home) views = {*places.hf_home, canonical_path(*places.hf_home + "/hub")};
  if (const auto older = settings.get("TRANSFORMERS_CACHE")) views.push_back(canonical_path(expand(*older, settings)));
  for (const std::string& view : views)
    if (view != options.cache_dir && std::find(options.views.begin(), options.views.end(), view) == options.views.end())
      options.views.push_back(view);
  const auto summary = settings.find("--summary");
  std::string folder = options.cache_dir;
  if (places.hf_home || !named) folder = places.hf_home.value_or(places.usual_home.value_or(folder));
  options.summary = summary ? summary->value : folder + "/model-prep-summary.json";
  return ok();
}

Status read_token(const Settings& settings, Options& options) {
  if (is_true(settings.get("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return ok();
  std::string name;
  std::string text;
  for (const char* variable : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})
    if (text.empty()) text = trimmed(settings.get(name = variable).value_or(""));
  if (text.empty()) {
    const Places places = find_places(settings);
    const auto& home = places.hf_home ? places.hf_home : places.usual_home;
    const auto named = settings.get("HF_TOKEN_PATH");
    if (named)
      name = expand(*named, settings);
    else if (home)
      name = *home + "/token";
    else
      return ok();
    const auto content = read_file(name, kLargestToken);
    // A secret that is optional may be absent, and /dev/null is no token. What is there and was named is meant to be
    // read.
    const auto about = named && !content && !options.offline ? facts(name) : std::nullopt;
    if (about && (about->is_file || about->is_folder))
      return Error{ErrorKind::usage, fmt::format("HF_TOKEN_PATH is '{}': it is no file that can be read", *named),
                   "it wants a file with the token alone, readable for the user that this runs as"};
    text = trimmed(content.value_or(""));
  }
  if (text.empty()) return ok();
  // A line end inside would let the token write headers of its own.
  if (std::any_of(text.begin(), text.end(), [](unsigned char c) { return c <= 0x20 || c >= 0x7f; }))
    return Error{ErrorKind::usage, fmt::format("the token in {} has a character that no token has", name),
                 "copy it again from the Hub's settings page"};
  options.token.emplace(text);
  return ok();
}

/// The certificates of all files in a folder, which REQUESTS_CA_BUNDLE may name; what else lies there is left alone.
/// OpenSSL's own folders hold each file under several names.
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

/// Authorities to trust beside the system's. An offline run asks nobody, so a stale variable does it no harm. Several
/// variables name one file more often than not, and that file is the system's own.
Status read_authorities(const Settings& settings, Options& options) {
  if (options.offline) return ok();
  std::vector<FileFacts> seen;
  if (const auto system = facts(system_authorities())) seen.push_back(*system);
  for (const Settings::Found& found : settings.find_all("--ca-file")) {
    const std::string path = expand(found.value, settings);
    const auto refuse = [&](std::string_view why) {
      return Error{ErrorKind::usage, fmt::format("{} is '{}': {}", found.name, found.value, why),
                   "it wants a file of certificates in PEM form, -----BEGIN CERTIFICATE-----, or a folder of such"};
    };
    const auto about = facts(path);
    if (!about) return refuse("there is no such file");
    if (std::any_of(seen.begin(), seen.end(), [&](const FileFacts& one) { return one.is_same_file(*about); })) continue;
    seen.push_back(*about);
    const auto pem = about->is_folder ? certificates_in_folder(path) : read_file(path, kLargestBundle);
    if (!pem) return refuse("it cannot be read");
    const auto count = count_certificates(*pem);
    if (!count) return refuse(count.error().message);
    if (*count == 0) return refuse("there is no certificate in it");
    options.authorities += *pem + "\n";
  }
  return ok();
}

Status read_values(const Settings& settings, Options& options) {
  if (const auto found = settings.find("--manifest")) options.manifest = found->value;
  options.variant = "fp32";
  if (const auto found = settings.find("--variant")) {
    options.variant = found->value;
    if (std::find(std::begin(kVariants), std::end(kVariants), found->value) == std::end(kVariants))
      return bad_value(*found, fmt::format("one of {}", fmt::join(kVariants, ", ")));
  }
  options.endpoint = "https://huggingface.co";
  if (const auto found = settings.find("--endpoint")) options.endpoint = found->value;
  if (options.models.empty()) options.models = split_list(settings.get("MODELS_TO_DOWNLOAD").value_or(""));
  const auto offline = settings.get("HF_HUB_OFFLINE");
  options.offline = options.offline || is_true(offline ? offline : settings.get("TRANSFORMERS_OFFLINE"));
  if (is_true(settings.get("HF_HUB_DISABLE_PROGRESS_BARS"))) options.progress = ProgressMode::none;
  const Status read[] = {
      read_number(settings, "--jobs", 1, 64, options.jobs),
      read_number(settings, "--retries", 0, 1000, options.retries),
      read_number(settings, "--timeout", 1, 86'400, options.timeout),
      read_number(settings, "--deadline", 1, 31'536'000, options.deadline),
      read_choice(settings, "--log-level",
                  Choices<LogLevel>{{"debug", LogLevel::debug},
                                    {"info", LogLevel::info},
                                    {"warn", LogLevel::warning},
                                    {"error", LogLevel::error},
                                    {"off", LogLevel::off}},
                  options.log_level),
      read_choice(settings, "--log-format", Choices<LogFormat>{{"text", LogFormat::text}, {"json", LogFormat::json}},
                  options.log_format),
      read_choice(settings, "--progress",
                  Choices<ProgressMode>{{"auto", ProgressMode::automatic},
                                        {"bar", ProgressMode::bar},
                                        {"log", ProgressMode::log},
                                        {"none", ProgressMode::none}},
                  options.progress),
      read_places(settings, options),
      read_token(settings, options),
      read_authorities(settings, options),
  };
  for (const Status& status : read)
    if (!status) return status;
  return ok();
}

void declare(CLI::App& app, Settings& settings, Options& options) {
  app.set_help_flag("-h,--help", "Print this and exit");
  app.set_version_flag("--version", program_version());
  app.add_option("MODEL", options.models, "A key of the manifest, or org/name[@revision]; all of the manifest if none")
      ->type_name("");
  app.add_subcommand("download", "Fetch the selected models (the default)")->fallthrough();
  settings.option("--manifest", {"MODEL_PREP_MANIFEST"}, "FILE", "Which models exist; built in: three of them");
  settings.option("--cache-dir", {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}, "DIR",
                  "The hub cache, which holds models--...");
  settings.option("--variant", {"MODEL_VARIANT"}, "NAME", "fp32, openvino-int8, onnx or all (default fp32)");
  app.add_flag("--dry-run", options.dry_run, "Print what would be fetched; write nothing into the cache");
  app.add_flag("--offline", options.offline,
               "No request at all; 0 if everything is there [HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE]");
  settings.option("--endpoint", {"HF_ENDPOINT"}, "URL", "The Hub or a mirror (default https://huggingface.co)");
  settings.option("--summary", {"MODEL_PREP_SUMMARY"}, "PATH",
                  "Where the JSON summary goes; - is stdout (default $HF_HOME/model-prep-summary.json)");
  settings.option("--jobs", {"MODEL_PREP_JOBS"}, "N", "Connections at once (default 8)");
  settings.option("--retries", {"MODEL_PREP_RETRIES"}, "N",
                  "Failures in a row without progress before a file is given up (default 5)");
  settings.option("--timeout", {"HF_HUB_DOWNLOAD_TIMEOUT", "DOWNLOAD_TIMEOUT"}, "S",
                  "Seconds a transfer may stand still (default 60)");
  settings.option("--deadline", {"MODEL_PREP_DEADLINE"}, "S", "Seconds for the whole run (default none)");
  settings.option("--ca-file", {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}, "FILE",
                  "Authorities in PEM form to trust beside the system's; all the variables that are set count");
  settings.option("--log-level", {"MODEL_PREP_LOG_LEVEL"}, "LEVEL", "debug, info, warn, error or off (default info)");
  settings.option("--log-format", {"MODEL_PREP_LOG_FORMAT"}, "FORMAT",
                  "text, or json: one object per line (default text)");
  settings.option(
      "--progress", {}, "MODE",
      "auto, bar, log or none: a bar on a terminal, else a line every 10 s [none if HF_HUB_DISABLE_PROGRESS_BARS]");
  app.footer(std::string(kFooter));
}

}  // namespace

std::string program_version() { return "model-prep " MODEL_PREP_VERSION; }

Audience find_audience(const Environment& environment) {
  const auto actions = environment.find("GITHUB_ACTIONS");
  const auto summary = environment.find("GITHUB_STEP_SUMMARY");
  return {.step_summary = summary == environment.end() ? "" : summary->second,
          .annotations = actions != environment.end() && is_true(actions->second)};
}

Result<std::variant<Options, Print>> parse_options(const std::vector<std::string>& arguments,
                                                   const Environment& environment) {
  CLI::App app("Downloads models from the Hugging Face Hub, verified, into the cache that Python services read offline",
               "model-prep");
  Options options;
  options.audience = find_audience(environment);
  Settings settings(app, environment);
  declare(app, settings, options);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // CLI11 takes them from the back
  } catch (const CLI::CallForHelp&) {
    return std::variant<Options, Print>(Print{app.help()});
  } catch (const CLI::CallForVersion&) {
    return std::variant<Options, Print>(Print{program_version() + "\n"});
  } catch (const CLI::ParseError& error) {
    return Error{ErrorKind::usage, error.what(), "model-prep --help lists what there is"};
  }
  if (Status read = read_values(settings, options); !read) return read.error();
  return std::variant<Options, Print>(std::move(options));
}

}  // namespace model_prep
