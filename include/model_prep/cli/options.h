// SPDX-License-Identifier: Apache-2.0
// The command line and the environment, as one value.
//
//   model-prep [COMMAND] [flags and models in any order]
//
// Without a command it is `download`. The first word that is no flag's value decides; behind a
// command no word is one, so a model whose key is `verify` is reached as `download verify`. A flag
// that the command does not use is refused; a variable that it does not use is not looked at, since
// services and other commands have theirs.
//
// A value that does not parse is an error that names the flag or variable, what it held and what it
// wants. The environment is an argument, so that a test can be one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/cli/cache_paths.h"
#include "model_prep/cli/command_line.h"
#include "model_prep/cli/hub_endpoints.h"
#include "model_prep/io/http.h"
#include "model_prep/report/log.h"
#include "model_prep/report/notify_environment.h"
#include "model_prep/report/progress.h"

namespace model_prep {

CiEnvironment detect_ci(const Environment& environment);
/// From TERM and NO_COLOR.
TerminalSettings detect_terminal(const Environment& environment);

struct Options {
  Command command{Command::download};
  std::vector<std::string> models;
  std::optional<std::string> manifest;  ///< a file; nothing: the built-in one
  std::string cache_dir;                ///< absolute, without links
  std::vector<std::string>
      legacy_dirs;  ///< where older services look besides; likewise, and never the cache
  std::vector<Consumer> services;  ///< who looks where; for verify
  Variant variant{Variant::fp32};
  FileFilter patterns;                   ///< in the place of the variant's, if there are any
  std::vector<HubEndpoint> endpoints{};  ///< as they were named; never none
  std::string summary;                   ///< a file, or `-` for stdout
  bool offline{false};
  bool dry_run{false};
  bool repair{false};
  bool json{false};
  bool cleanup{false};  ///< after a download
  bool check{false};    ///< of `lock`
  int jobs{8};
  int retries{5};
  int timeout{60};                   ///< seconds
  std::optional<int> deadline;       ///< seconds
  std::optional<std::int64_t> rate;  ///< bytes per second
  LogLevel log_level{LogLevel::info};
  LogFormat log_format{LogFormat::text};
  ProgressMode progress{ProgressMode::automatic};
  TerminalSettings terminal;
  std::optional<Token> token;
  CiEnvironment audience;
  std::string authorities;  ///< PEM: certificates to trust beside the system's
  ProxySettings proxies{};
};

struct Parsed {
  Options options;
  std::optional<TextOutput> print;  ///< what was asked for instead of a run
};
Result<Parsed> parse_options(const std::vector<std::string>& arguments,
                             const Environment& environment);

}  // namespace model_prep
