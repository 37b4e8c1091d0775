// SPDX-License-Identifier: Apache-2.0
// The command line and the environment, as one value.
//
// A flag beats the environment; an empty variable is unset; a value that does not parse is an error that names the flag
// or variable, what it held and what it wants. The environment is an argument, so that a test can be one.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "model_prep/effects/http.h"
#include "model_prep/effects/log.h"
#include "model_prep/effects/progress.h"
#include "model_prep/values/error.h"

namespace model_prep {

using Environment = std::map<std::string, std::string>;

/// The machine that runs the program, where it wants to be told how that ended. Also for a command line that is wrong.
struct Audience {
  std::string step_summary;  ///< a file that GitHub Actions shows; empty: none
  bool annotations{false};   ///< GitHub Actions reads stderr
};
Audience find_audience(const Environment& environment);

struct Options {
  std::vector<std::string> models;
  std::optional<std::string> manifest;  ///< a file; nothing: the built-in one
  std::string cache_dir;                ///< absolute, without links
  std::vector<std::string> views;       ///< where older services look besides; likewise, and never the cache
  std::string variant;
  std::string endpoint;
  std::string summary;  ///< a file, or `-` for stdout
  bool offline{false};
  bool dry_run{false};
  int jobs{8};
  int retries{5};
  int timeout{60};              ///< seconds
  std::optional<int> deadline;  ///< seconds
  LogLevel log_level{LogLevel::info};
  LogFormat log_format{LogFormat::text};
  ProgressMode progress{ProgressMode::automatic};
  std::optional<Token> token;
  Audience audience;
  std::string authorities;  ///< PEM: certificates to trust beside the system's
};

/// Text that was asked for instead of a run: `--help`, `--version`.
struct Print {
  std::string text;
};

Result<std::variant<Options, Print>> parse_options(const std::vector<std::string>& arguments,
                                                   const Environment& environment);

std::string program_version();

}  // namespace model_prep
