// SPDX-License-Identifier: Apache-2.0
// The hub's log as JSON, for the Python tests, and the manifest that locks its repositories.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "support/fake_hub.h"
#include "support/hub_site.h"

namespace model_prep::testing {

/// A JSON array; members are named as in LoggedRequest; `range` is null without a Range header.
std::string log_as_json(const std::vector<LoggedRequest>& log);

/// A model-prep manifest: every repository that has a main, with all its files locked. The key of a
/// model is the name part of its id, or the whole id if the name is taken.
std::string manifest_of(const std::deque<SiteRepo>& repos);

}  // namespace model_prep::testing
