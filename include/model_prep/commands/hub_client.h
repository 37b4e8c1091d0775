// SPDX-License-Identifier: Apache-2.0
// What a run has that asks the Hub: its endpoints, the transport, the hash thread, and the loop
// over them. Made once for a run, after the signals.
#pragma once

#include <memory>
#include <vector>

#include "model_prep/cli/hub_endpoints.h"
#include "model_prep/commands/fetcher.h"
#include "model_prep/commands/session.h"
#include "model_prep/io/hasher.h"
#include "model_prep/io/http.h"

namespace model_prep {

class HubClient {
 public:
  /// Nothing is asked yet.
  static std::unique_ptr<HubClient> make(Session& session);
  HubClient(Session& session, std::vector<HubEndpoint> of_run);

  const std::vector<HubEndpoint> endpoints;  ///< each with the token that it gets
  Transport transport;
  Hasher hasher;
  Fetcher fetcher;
};

}  // namespace model_prep
