// SPDX-License-Identifier: Apache-2.0
// «Will my service find this offline?»: looks where each kind of service would look
// (`cli/cache_paths.h`), as it would: refs/<ref> as it stands, then the snapshot's files
// (docs/developing/hub-protocol.md, section 5.1). Who loads models only is not asked for datasets
// and spaces, and left out where there is nothing else.
//
// That a service would look elsewhere is a warning and no failure: what is asked is whether the
// cache is right, and the environment of an init container is often not that of the services, so
// nobody but the user can say which of them counts.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model_prep/base/model_spec.h"
#include "model_prep/cli/options.h"
#include "model_prep/report/run_report.h"

namespace model_prep {

/// A model that is known, and the folder in which it really lies.
struct LocatedModel {
  const ResolvedSnapshot* snapshot;
  std::string folder;
};

std::vector<ConsumerReport> check_consumers(const Options& options,
                                            std::span<const LocatedModel> models);
/// A line each.
std::string consumers_table(const std::vector<ConsumerReport>& services,
                            std::optional<int> columns);

}  // namespace model_prep
