// SPDX-License-Identifier: Apache-2.0
// Where the cache and the summary are, by flags and environment (docs/developing/hub-protocol.md,
// section 2), and where libraries will look for the models (docs/developing/hub-protocol.md,
// section 2.1). Every path is absolute and has its symbolic links resolved.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/cli/flag_values.h"

namespace model_prep {

struct CachePaths {
  std::string cache_dir;
  Strings legacy_dirs;  ///< where older services look; never the cache itself
  std::string summary;  ///< the default place of the summary
};
/// An error of kind usage if neither --cache-dir nor HF_HOME nor HOME names a place, or if one of
/// the directories cannot be meant (`FlagValues::check_path`).
Result<CachePaths> find_cache_paths(const FlagValues& values);

/// A library, and the directory in which it looks for `models--…` if it runs with this environment.
/// The flags of model-prep play no part, because a service does not get them.
struct Consumer {
  std::string name;
  std::string folder;       ///< empty if it looks nowhere
  std::string setting;      ///< the variable that sets its hub cache
  bool only_models{false};  ///< it loads no other kind of repository
};
Result<std::vector<Consumer>> find_consumers(const FlagValues& values);

/// Hugging Face's own directory, which holds the token: HF_HOME, else the default. Nothing without
/// a home directory.
std::optional<std::string> hf_folder(const FlagValues& values);

}  // namespace model_prep
