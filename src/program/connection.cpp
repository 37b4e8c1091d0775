// SPDX-License-Identifier: Apache-2.0
#include "model_prep/program/connection.h"

#include <fmt/format.h>

namespace model_prep {
namespace {

TransportSettings transport_settings(const Session& session) {
  const Options& options = session.options;
  return {.user_agent = program_version() + "; " + transport_version(),
          .token = options.token,
          .authorities = options.authorities,
          .stall = std::chrono::seconds(options.timeout),
          .rate = options.rate,
          .connections = options.jobs,
          .wake_fd = session.signals.get()};
}

SchedulerSettings scheduler_settings(const Session& session, const Hub& hub) {
  const Options& options = session.options;
  SchedulerSettings settings{.retry = {.retries = options.retries},
                             .connections = options.jobs,
                             .hub_origin = hub.endpoint().origin,
                             .has_token = options.token.has_value(),
                             .offline = options.offline};
  if (options.deadline) settings.deadline = session.begun + std::chrono::seconds(*options.deadline);
  return settings;
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::make(Session& session) {
  auto hub = Hub::parse(session.options.endpoint);
  if (!hub) return hub.error();
  if (session.options.token && !hub->endpoint().https)
    session.log.warning(fmt::format("the token goes to {} unencrypted", hub->endpoint().origin));
  return std::make_unique<Connection>(session, std::move(*hub));
}

Connection::Connection(Session& session, Hub of_run)
    : hub(std::move(of_run)),
      transport(transport_settings(session)),
      hasher([this] { transport.wake(); }),
      fetcher({transport, hasher, session.signals, session.log, *session.observer, session.cache, hub},
              scheduler_settings(session, hub)) {}

}  // namespace model_prep
