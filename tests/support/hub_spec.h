// SPDX-License-Identifier: Apache-2.0
// Repositories from a JSON file, and the two built-in sets.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "support/hub_content.h"

namespace model_prep::testing {

struct HubSpec {
  std::vector<HubRepo> repos;
  std::vector<std::string> tokens;
};

/// {"repos":[{"id","access","renamed_to","has_tree_api","card":{…},"scan":{…},
///   "refs":{"main":"<commit>"},
///   "commits":{"<commit>":[{"path","text"} | {"path","size","seed","lfs"} |
///   {"path","from","lfs"}]}}],"tokens":[…]}
/// `access` is open, gated, gated_masked, private or disabled; `from` is relative to the spec's
/// folder. Throws std::invalid_argument with the reason.
HubSpec read_spec(const std::filesystem::path& file);

/// The three default models: real ids, commits and file names; small real or generated content, 44
/// MB in all.
HubSpec demo_spec();

/// sentence-transformers/all-MiniLM-L6-v2, its 30 files in their real sizes (977 MB); files below
/// 2 KB have the real content.
HubSpec minilm_spec();

}  // namespace model_prep::testing
