// SPDX-License-Identifier: Apache-2.0
// Where things lie, as flags and environment say (docs/reference.md;
// docs/developing/hub-protocol.md, section 2 and docs/developing/hub-protocol.md, section 2.1).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/cli/flag_values.h"

namespace model_prep {

/// All absolute and without links.
struct CachePaths {
  std::string cache_dir;
  std::vector<std::string> legacy_dirs;  ///< where older services look besides; never the cache
  std::string summary;                   ///< the summary's default
};
Result<CachePaths> find_cache_paths(const FlagValues& settings);

/// A kind of service, and the folder in which it looks for `models--…` under this environment,
/// which is taken to be the service's too. What model-prep itself is told by flag does not count.
struct Consumer {
  enum class Loads : std::uint8_t { models, anything };
  std::string name;
  std::string folder;   ///< absolute, without links; empty: nowhere
  std::string setting;  ///< the variable that would send it to another hub cache
  Loads loads{Loads::anything};
};
std::vector<Consumer> find_consumers(const FlagValues& settings);

/// Hugging Face's own folder, where the token lies: HF_HOME, else its default. Nothing without a
/// home folder.
std::optional<std::string> hf_folder(const FlagValues& settings);

}  // namespace model_prep
