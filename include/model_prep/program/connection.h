// SPDX-License-Identifier: Apache-2.0
// What a run has that asks the Hub: its addresses, the transport, the hash thread, and the loop over them. Made once
// for a run, after the signals.
#pragma once

#include <memory>

#include "model_prep/effects/hasher.h"
#include "model_prep/effects/http.h"
#include "model_prep/effects/hub.h"
#include "model_prep/program/fetcher.h"
#include "model_prep/program/session.h"

namespace model_prep {

class Connection {
 public:
  /// Nothing is asked yet.
  static Result<std::unique_ptr<Connection>> make(Session& session);
  Connection(Session& session, Hub of_run);

  const Hub hub;
  Transport transport;
  Hasher hasher;
  Fetcher fetcher;
};

}  // namespace model_prep
