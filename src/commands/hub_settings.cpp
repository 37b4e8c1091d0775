// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/hub_settings.h"

#include "model_prep/io/libcurl_info.h"

namespace model_prep {

TransportSettings transport_settings(const Session& session) {
  const Options& options = session.options;
  return {.user_agent = program_version() + "; " + transport_version(),
          .authorities = options.authorities,
          .proxies = options.proxies,
          .stall = std::chrono::seconds(options.timeout),
          .rate = options.rate,
          .connections = options.jobs,
          .counts_as_download = options.command == Command::download && !options.dry_run,
          .wake_fd = session.signals.get()};
}

SchedulerSettings scheduler_settings(const Session& session,
                                     const std::vector<HubEndpoint>& endpoints) {
  const Options& options = session.options;
  SchedulerSettings settings{.retry = {.max_failures = options.retries},
                             .patience = {.limit = std::chrono::seconds(options.patience)},
                             .connections = options.jobs,
                             .offline = options.offline,
                             .deadline = session.deadline()};

  if (options.retries_given) settings.patience.max_steps = options.retries;
  for (const HubEndpoint& endpoint : endpoints)
    settings.endpoints.push_back({endpoint.name(), endpoint.hub.endpoint().origin, endpoint.use});
  return settings;
}

std::vector<HubEndpoint> endpoints_with_tokens(Session& session) {
  std::vector<HubEndpoint> endpoints = session.options.endpoints;
  give_token(endpoints, session.options.token);

  for (const HubEndpoint& endpoint : endpoints) {
    if (endpoint.use == TokenUse::sent && !endpoint.hub.endpoint().https)
      session.log.warning("the token is sent to " + endpoint.hub.endpoint().origin +
                          " unencrypted");
    if (endpoint.use == TokenUse::withheld)
      session.log.debug(endpoint.name() +
                        " is sent no token: it is not the Hub, and no token is configured for it");
  }
  return endpoints;
}

}  // namespace model_prep
