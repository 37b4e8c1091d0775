// SPDX-License-Identifier: Apache-2.0
// The arguments of `kserve-init`, as KServe gives them to its storage initializer: an address and
// the folder in which its files are to be, once for each model.
//
// `hf://org/name[:revision]` is KServe's own form (PyPI's kserve-storage 0.21.0, `_download_hf`):
// only here a revision is behind a colon. Everywhere else that is a build (core/model_selection.h).
// Pure.
#pragma once

#include <string>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/base/types.h"

namespace model_prep {

struct KserveModel {
  std::string name;    ///< `org/name[@revision]`, as every other command takes it
  std::string folder;  ///< absolute
};

/// A `usage` error if they are no pairs, if an address is not one of a model on the Hub, or if a
/// model or a folder is named twice. At least one pair. The folder of one model may lie in that of
/// another, if that is a mount point: the outer one comes first.
Result<std::vector<KserveModel>> parse_kserve_arguments(const Strings& arguments);

}  // namespace model_prep
