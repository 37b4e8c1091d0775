// SPDX-License-Identifier: Apache-2.0
// What the options of a run mean for the fetch loop: the endpoints with their tokens, and the
// settings of the HTTP transport and of the scheduler.
#pragma once

#include <vector>

#include "model_prep/cli/hub_endpoints.h"
#include "model_prep/commands/session.h"
#include "model_prep/core/scheduler.h"
#include "model_prep/io/http.h"

namespace model_prep {

/// In order of preference. Decides which of them get the token, and warns if it goes over an
/// unencrypted connection.
std::vector<HubEndpoint> endpoints_with_tokens(Session& session);

TransportSettings transport_settings(const Session& session);
SchedulerSettings scheduler_settings(const Session& session,
                                     const std::vector<HubEndpoint>& endpoints);

}  // namespace model_prep
