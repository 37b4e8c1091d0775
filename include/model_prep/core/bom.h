// SPDX-License-Identifier: Apache-2.0
// A bill of materials of the models of a lock: CycloneDX 1.6, in JSON.
//
// Each model is a component, named by its package URL (`pkg:huggingface/org/name@<commit>`), with
// the licenses that its card declares, and its files with their sizes and SHA-256. git's ids of
// plain git files are properties, since they are no digests of the content alone. What the models
// need is in `dependencies`; a dependency that is not locked is a component without a version.
//
// The text depends on its arguments alone, not on their order: there is no time and no serial
// number in it. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model_prep/base/model_spec.h"
#include "model_prep/core/dependencies.h"

namespace model_prep {

struct BomModel {
  const ResolvedSnapshot* snapshot;
  std::span<const Dependency> dependencies{};
};

/// `version` is this program's.
std::string cyclonedx_text(const std::vector<BomModel>& models, std::string_view version);

/// The id of SPDX for a license of the Hub; empty if SPDX has none, or if the Hub's id leaves open
/// which one is meant (`gpl`, `bsd`).
std::string_view spdx_id(std::string_view license);

}  // namespace model_prep
