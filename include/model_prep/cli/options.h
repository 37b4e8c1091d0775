// SPDX-License-Identifier: Apache-2.0
// The command line and the environment as one value.
//
//   model-prep [COMMAND] [flags and models in any order]
//
// Without a command it is `download`. The first word that is not a flag's value decides; after a
// command no word is one, so `download verify` downloads a model whose key is `verify`. A flag that
// the command does not take is refused. A variable that it does not use is not looked at, because
// other services and commands have theirs in the same environment.
//
// A value that does not parse is an error of kind usage: the flag or variable, its value, and what
// it must be. The environment is an argument, so that a test can pass its own. `Options` is a value
// that does not change during the run; any thread may read it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/cli/cache_paths.h"
#include "model_prep/cli/flags.h"
#include "model_prep/cli/hub_endpoints.h"
#include "model_prep/core/export_target.h"
#include "model_prep/io/http.h"
#include "model_prep/report/log.h"
#include "model_prep/report/notify_environment.h"
#include "model_prep/report/progress.h"

namespace model_prep {

/// As `1.2.3`, and as `model-prep 1.2.3`.
std::string program_number();
std::string program_version();
/// What --version prints: that, and a line for each library that scanners look for, with its
/// version at run time.
std::string version_text();

CiEnvironment detect_ci(const Environment& environment);
/// From TERM and NO_COLOR.
TerminalSettings detect_terminal(const Environment& environment);

/// What says where the summary goes.
enum class SummarySource : std::uint8_t { default_place, variable, flag };

/// What a run does about other repositories that a model needs (commands/dependencies.h).
enum class DependencyMode : std::uint8_t { report, fetch, require };
template <>
inline constexpr std::string_view kNames<DependencyMode>[] = {"report", "fetch", "require"};

/// What `lock` prints.
enum class LockFormat : std::uint8_t { lock, cyclonedx };
template <>
inline constexpr std::string_view kNames<LockFormat>[] = {"lock", "cyclonedx"};

struct Options {
  Command command{Command::download};
  std::optional<std::string> print;  ///< --help or --version: print this instead of a run

  Strings models;                            ///< empty: the whole manifest
  Strings destinations{};                    ///< of `kserve-init`: a folder for each of `models`
  std::optional<std::string> manifest;       ///< a file; nothing: the built-in one
  std::optional<std::string> manifest_key;   ///< a public key that must have signed it
  std::optional<std::string> signature_key;  ///< a public key that must have signed each model
  Variant variant{Build::fp32};
  FileFilter patterns;  ///< replace the variant's patterns, unless empty
  DependencyMode dependencies{DependencyMode::report};
  Policy policy;  ///< tightens the manifest's

  bool dry_run{false};
  bool cleanup{false};  ///< after a download
  bool repair{false};
  Strings consumers;  ///< of `verify`: the libraries that must load the models
  bool check{false};  ///< of `lock`
  LockFormat lock_format{LockFormat::lock};
  bool builds{false};                ///< of `list`: those on the Hub
  std::optional<ExportTarget> to{};  ///< of `export`, always set there, and `download`
  std::string prefix{"hub"};         ///< of `export`: as `parse_image_prefix` gives it
  bool offline{false};

  std::string cache_dir;           ///< absolute, without links
  bool cache_is_temporary{false};  ///< of `kserve-init`, unless the user names one
  Strings from;                    ///< folders that may have the files; canonical, never the cache
  Strings legacy_dirs;             ///< where older services look; never the cache itself
  std::vector<Consumer> services;  ///< for `verify`: the libraries, and where each looks
  std::string summary;             ///< a file, or `-` for stdout; empty: none
  SummarySource summary_source{SummarySource::default_place};

  std::vector<HubEndpoint> endpoints{};  ///< in order of preference, never empty
  std::optional<Token> token;
  ExtraAuthorities authorities;
  int jobs{8};
  int retries{5};
  bool retries_given{false};         ///< by the user
  int patience{300};                 ///< seconds with hosts that are down
  int timeout{60};                   ///< seconds
  std::optional<int> deadline;       ///< seconds
  std::optional<std::int64_t> rate;  ///< bytes per second

  bool json{false};
  LogLevel log_level{LogLevel::info};
  LogFormat log_format{LogFormat::text};
  ProgressMode progress{ProgressMode::automatic};
  CiEnvironment ci;
  TerminalSettings terminal;
  Strings warnings;  ///< about variables and files that were not used
  ProxySettings proxies{};
};

Result<Options> parse_options(const Strings& arguments, const Environment& environment);

}  // namespace model_prep
