// SPDX-License-Identifier: Apache-2.0
// JSON around the hub: its log for Python tests, and the manifest that locks its repositories.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "support/fake_hub.h"
#include "support/hub_site.h"

namespace model_prep::testing {

/// A JSON array, the members named as in LoggedRequest; `range` is null without one.
std::string log_as_json(const std::vector<LoggedRequest>& log);

/// A manifest of model-prep: every repository that has a main, all its files locked. The key of a
/// model is the name part of its id, or the whole id if the name is taken.
std::string manifest_of(const std::deque<SiteRepo>& repos);

}  // namespace model_prep::testing
