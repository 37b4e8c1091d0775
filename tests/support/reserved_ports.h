// SPDX-License-Identifier: Apache-2.0
// Ports for a hub that is not there all the time.
#pragma once

#include "support/hub_connection.h"
#include "support/hub_options.h"

namespace model_prep::testing {

/// Ports that nobody else gets before its hub is there and after it has gone. A program that asks
/// again would else reach the hub of another test.
struct ReservedPorts {
  Descriptor hub = bind_on_loopback(0);
  Descriptor payload = bind_on_loopback(0);

  std::string address() const { return origin_of(hub); }
  HubOptions options() const {
    return {.hub_port = port_of(hub), .payload_port = port_of(payload)};
  }
};

}  // namespace model_prep::testing
