// SPDX-License-Identifier: Apache-2.0
// Everything that a run needs to talk to the Hub: the endpoints with their tokens, the HTTP
// transport, the hash thread, and the fetch loop over them.
//
// Made once per run, after signals are blocked, since it starts a thread. Making it sends no
// request.
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
  /// Decides which endpoints get the token, and warns if it goes over an unencrypted connection.
  static std::unique_ptr<HubClient> make(Session& session);

  HubClient(Session& session, std::vector<HubEndpoint> with_tokens);

  /// In order of preference.
  const std::vector<HubEndpoint> endpoints;
  Transport transport;
  Hasher hasher;
  Fetcher fetcher;
};

}  // namespace model_prep
