// SPDX-License-Identifier: Apache-2.0
#include "model_prep/program/options.h"

#include <algorithm>
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
#include "model_prep/program/places.h"
#include "model_prep/program/settings.h"

namespace model_prep {
namespace {

constexpr std::size_t kLargestToken = 64 * 1024;
constexpr std::size_t kLargestBundle = 16 * 1024 * 1024;  // of certificates; the system's have 0.2 MB

struct CommandText {
  Command command;
  const char* name;
  const char* text;
  const char* success;  ///< what exit code 0 means
};
constexpr CommandText kCommands[] = {
    {Command::download, "download", "Fetch the selected models (the default)", "every model is complete"},
    {Command::verify, "verify", "Hash what is cached against record and lock, and say which services will find it",
     "all of it is right"},
    {Command::list, "list", "Show what the manifest names and what the cache holds of it", "it is shown"},
    {Command::cleanup, "cleanup", "Remove revisions that are no longer pinned, and leftovers of interrupted downloads",
     "what could go is gone"},
    {Command::lock, "lock", "Print a manifest with the commits, sizes and digests that the Hub has now",
     "it is printed; with --check: no branch has moved"},
};

using Commands = unsigned;
constexpr Commands of(Command command) { return 1U << static_cast<unsigned>(command); }
constexpr Commands kDownload = of(Command::download);
constexpr Commands kVerify = of(Command::verify);
constexpr Commands kLock = of(Command::lock);
constexpr Commands kOnline = kDownload | kVerify | kLock;  // verify for --repair
constexpr Commands kList = of(Command::list);
constexpr Commands kCleanup = of(Command::cleanup);
constexpr Commands kAll = kOnline | kList | kCleanup;

/// A flag, once for all commands: for reading it, for refusing it and for --help.
struct Flag {
  const char* name;
  std::vector<std::string> variables;
  const char* type;  ///< nullptr: a switch, which takes no value
  const char* text;
  Commands commands;
  bool is_for(Command command) const { return (commands & of(command)) != 0; }
};

const std::vector<Flag>& flags() {
  static const std::vector<Flag> all = {
      {"--manifest", {"MODEL_PREP_MANIFEST"}, "FILE", "Which models exist; built in: three of them", kAll},
      {"--cache-dir", {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}, "DIR", "The hub cache, which holds models--...", kAll},
      {"--check", {}, nullptr, "Print nothing but what has moved since the pinned commits; 1 if something has", kLock},
      {"--json", {}, nullptr, "As JSON; otherwise a table, which fits a terminal and is not cut elsewhere", kList},
      {"--variant", {"MODEL_VARIANT"}, "NAME", "fp32, openvino-int8, onnx or all (default fp32)", kOnline | kList},
      {"--dry-run",
       {},
       nullptr,
       "Print what would be fetched, or removed; change nothing in the cache",
       kDownload | kCleanup},
      {"--cleanup", {}, nullptr, "After a successful download, do what the command cleanup does", kDownload},
      {"--repair",
       {},
       nullptr,
       "Fetch what is bad, move away what does not belong there, and look again; all about connections is for this",
       kVerify},
      {"--offline",
       {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"},
       nullptr,
       "No request at all; 0 if everything is there",
       kDownload},
      {"--endpoint", {"HF_ENDPOINT"}, "URL", "The Hub or a mirror (default https://huggingface.co)", kOnline},
      {"--summary",
       {"MODEL_PREP_SUMMARY"},
       "PATH",
       "Where the JSON summary goes; - is stdout (default $HF_HOME/model-prep-summary.json)",
       kDownload | kVerify | kCleanup},
      {"--jobs", {"MODEL_PREP_JOBS"}, "N", "Connections at once (default 8)", kOnline},
      {"--retries",
       {"MODEL_PREP_RETRIES"},
       "N",
       "Failures in a row without progress before a file is given up (default 5)",
       kOnline},
      {"--timeout",
       {"HF_HUB_DOWNLOAD_TIMEOUT", "DOWNLOAD_TIMEOUT"},
       "S",
       "Seconds a transfer may stand still (default 60)",
       kOnline},
      {"--deadline", {"MODEL_PREP_DEADLINE"}, "S", "Seconds for the whole run (default none)", kOnline},
      {"--ca-file",
       {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"},
       "FILE",
       "Authorities in PEM form to trust beside the system's; all the variables that are set count",
       kOnline},
      {"--log-level", {"MODEL_PREP_LOG_LEVEL"}, "LEVEL", "debug, info, warn, error or off (default info)", kAll},
      {"--log-format", {"MODEL_PREP_LOG_FORMAT"}, "FORMAT", "text, or json: one object per line (default text)", kAll},
      {"--progress",
       {},
       "MODE",
       "auto, bar, log or none: a bar on a terminal, else a line every 10 s [none if HF_HUB_DISABLE_PROGRESS_BARS]",
       kOnline},
  };
  return all;
}

constexpr std::string_view kFooter = R"(Environment (a flag beats it; an empty variable is unset):
  MODELS_TO_DOWNLOAD        models, comma-separated, where no MODEL is given
  HF_HOME, HF_HUB_CACHE     where the cache is: HF_HUB_CACHE, else $HF_HOME/hub, else ~/.cache/huggingface/hub
  TRANSFORMERS_CACHE        also gets links to the models, for older services
  HF_TOKEN                  the token; else HUGGING_FACE_HUB_TOKEN, the file HF_TOKEN_PATH, $HF_HOME/token
  HF_HUB_DISABLE_IMPLICIT_TOKEN   send no token
  HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY
  GITHUB_STEP_SUMMARY       gets a table of the models; under GITHUB_ACTIONS errors are annotations too)";

const CommandText& text_of(Command command) {
  return *std::find_if(std::begin(kCommands), std::end(kCommands),
                       [&](const CommandText& text) { return text.command == command; });
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

Status read_token(const Settings& settings, Options& options) {
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
    // A secret that is optional may be absent, and /dev/null is no token. What is there and was named is meant to be
    // read.
    const auto about = named && !content ? facts(name) : std::nullopt;
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

/// Authorities to trust beside the system's. Several
/// variables name one file more often than not, and that file is the system's own.
Status read_authorities(const Settings& settings, Options& options) {
  std::vector<FileFacts> seen;
  if (const auto system = facts(system_authorities())) seen.push_back(*system);
  for (const Settings::Found& found : settings.find_all("--ca-file")) {
    const std::string path = settings.expand(found.value);
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
  options.dry_run = settings.has("--dry-run");
  options.repair = settings.has("--repair");
  options.json = settings.has("--json");
  options.cleanup = settings.has("--cleanup");
  options.check = settings.has("--check");
  const auto offline = settings.get("HF_HUB_OFFLINE");
  options.offline = settings.has("--offline") || is_true(offline ? offline : settings.get("TRANSFORMERS_OFFLINE"));
  if (is_true(settings.get("HF_HUB_DISABLE_PROGRESS_BARS"))) options.progress = ProgressMode::none;
  auto places = find_places(settings);
  if (!places) return places.error();
  options.cache_dir = std::move(places->cache_dir);
  options.views = std::move(places->views);
  if (options.command == Command::verify) options.services = find_services(settings);
  const auto summary = settings.find("--summary");
  options.summary = summary ? summary->value : places->summary;
  const bool asks_hub =
      !options.offline && (options.command == Command::download || options.command == Command::lock || options.repair);
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
      // Who asks nobody needs neither, so a stale variable does no harm.
      asks_hub ? read_token(settings, options) : ok(),
      asks_hub ? read_authorities(settings, options) : ok(),
  };
  for (const Status& status : read)
    if (!status) return status;
  return ok();
}

/// What is on the command line, by CLI11, which reads all values as text: a bad one must be told with the name of where
/// it stands, and that may be a variable.
struct CommandLine {
  explicit CommandLine(const std::string& name) : app(kDescription, name) {
    app.set_help_flag("-h,--help", "Print this and exit");
    app.set_version_flag("--version", program_version());
  }
  static constexpr const char* kDescription =
      "Downloads models from the Hugging Face Hub, verified, into the cache that Python services read offline";

  void add(const Flag& flag) {
    const std::string variables = flag.variables.empty() ? "" : fmt::format(" [{}]", fmt::join(flag.variables, ", "));
    const std::string help = flag.text + variables;  // const: else CLI11 would take it for the switch's value
    if (flag.type == nullptr)
      app.add_flag(flag.name, help);
    else
      app.add_option(flag.name, values[flag.name], help)->type_name(flag.type);
  }
  static void add_models(CLI::App& to, std::vector<std::string>& models) {
    to.add_option("MODEL", models, "A key of the manifest, or org/name[@revision]; all of the manifest if none")
        ->type_name("");
  }

  CLI::App app;
  std::map<std::string, std::string> values;
  std::vector<std::string> models;
};

/// The help of one command, and of none: then the commands are listed too.
std::string help_text(const std::optional<Command>& chosen) {
  const Command command = chosen.value_or(Command::download);
  CommandLine line(chosen ? fmt::format("model-prep {}", text_of(command).name) : "model-prep");
  if (chosen) line.app.description(text_of(command).text);
  CommandLine::add_models(line.app, line.models);
  for (const Flag& flag : flags())
    if (flag.is_for(command)) line.add(flag);
  if (!chosen)
    for (const CommandText& each : kCommands) line.app.add_subcommand(each.name, each.text);
  line.app.footer(fmt::format("{}\nExit code: 0 {}; 1 anything else; 128 + n ended by signal n.", kFooter,
                              text_of(command).success));
  return line.app.help();
}

/// The command, its models, and the flags that were given, into `settings`.
Status take(const CommandLine& line, std::vector<std::string> models_before, Settings& settings, Options& options) {
  const auto chosen = line.app.get_subcommands();
  for (const CommandText& each : kCommands)
    if (!chosen.empty() && chosen.front()->get_name() == each.name) options.command = each.command;
  const char* name = text_of(options.command).name;
  options.models = line.models;
  if (chosen.empty())
    options.models = std::move(models_before);
  else if (!models_before.empty())
    return Error{ErrorKind::usage, fmt::format("the command {} comes before the models", name),
                 fmt::format("if '{}' is the name of a model: model-prep download {} {}", name,
                             fmt::join(models_before, " "), name)};
  for (const Flag& flag : flags()) {
    const bool given = line.app.count(flag.name) > 0;
    if (!flag.is_for(options.command)) {
      if (given)
        return Error{ErrorKind::usage, fmt::format("{} is of no use to the command {}", flag.name, name),
                     fmt::format("model-prep {} --help lists what is", name)};
      continue;
    }
    settings.know(flag.name, flag.variables);
    if (given) settings.give(flag.name, flag.type == nullptr ? "1" : line.values.at(flag.name));
  }
  return ok();
}

}  // namespace

std::string program_version() { return "model-prep " MODEL_PREP_VERSION; }

std::string_view command_name(Command command) { return text_of(command).name; }

Audience find_audience(const Environment& environment) {
  const auto actions = environment.find("GITHUB_ACTIONS");
  const auto summary = environment.find("GITHUB_STEP_SUMMARY");
  return {.step_summary = summary == environment.end() ? "" : summary->second,
          .annotations = actions != environment.end() && is_true(actions->second)};
}

Result<std::variant<Options, Print>> parse_options(const std::vector<std::string>& arguments,
                                                   const Environment& environment) {
  CommandLine line("model-prep");
  std::vector<std::string> models_before;
  CommandLine::add_models(line.app, models_before);
  for (const Flag& flag : flags()) line.add(flag);
  // After one command no other word is taken for one: `download verify` fetches a model of that name.
  line.app.require_subcommand(0, 1);
  for (const CommandText& each : kCommands) {
    CLI::App* command = line.app.add_subcommand(each.name, each.text)->fallthrough();
    CommandLine::add_models(*command, line.models);
  }
  Options options;
  options.audience = find_audience(environment);
  Settings settings(environment);
  try {
    line.app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // CLI11 takes them from the back
  } catch (const CLI::CallForHelp&) {
    std::optional<Command> chosen;
    for (const CommandText& each : kCommands)
      if (line.app.got_subcommand(each.name)) chosen = each.command;
    return std::variant<Options, Print>(Print{help_text(chosen)});
  } catch (const CLI::CallForVersion&) {
    return std::variant<Options, Print>(Print{program_version() + "\n"});
  } catch (const CLI::ParseError& error) {
    return Error{ErrorKind::usage, error.what(), "model-prep --help lists what there is"};
  }
  if (Status taken = take(line, std::move(models_before), settings, options); !taken) return taken.error();
  if (Status read = read_values(settings, options); !read) return read.error();
  return std::variant<Options, Print>(std::move(options));
}

}  // namespace model_prep
