// SPDX-License-Identifier: Apache-2.0
// The Hub and its mirrors, as --endpoint and HF_ENDPOINT name them, and which of them gets a token.
//
//   HF_ENDPOINT=https://hf_abc@mirror.internal/hf,https://huggingface.co
//
// The token of the run (HF_TOKEN) goes to the Hub, or to the endpoint if only one is named. With
// several endpoints it goes to the Hub's own origin only: adding a mirror to the list must never
// leak the token to it. A user name without a password is another token, for that endpoint alone.
// It is accepted in the variable only, because other users can read a command line. A user name
// with a password is Basic authentication.
//
// A comma separates two addresses only where the next one begins, so a password may contain commas.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model_prep/cli/flag_values.h"
#include "model_prep/core/source_selector.h"
#include "model_prep/io/http.h"
#include "model_prep/io/hub_api.h"

namespace model_prep {

struct HubEndpoint {
  Hub hub;
  std::optional<Token> token{};
  TokenUse use{TokenUse::none};
  /// The URL without its login, for messages.
  std::string name() const { return display(hub.endpoint()); }
};

/// In order of preference, each once; the Hub if none is named. Fails with `usage`. HF_ENDPOINT
/// counts also for a command that does not take --endpoint: its models may be named by addresses.
Result<std::vector<HubEndpoint>> find_endpoints(const FlagValues& settings);
/// Only the Hub.
std::vector<HubEndpoint> default_endpoints();

/// Fails with `usage` for an empty token and for one with a blank, a quote or a control character.
/// The message names `where` it was set, and never the token.
Result<std::optional<Token>> parse_token(const std::string& text, const std::string& where);
/// Decides for each endpoint whether it gets the token of the run, its own, or none.
void give_token(std::vector<HubEndpoint>& endpoints, const std::optional<Token>& token);

/// One source for each endpoint, with the URL that `address` returns for its Hub. Those whose
/// answer was `wrong` are left out, unless all were: then any of them may be asked again.
template <class Address>
std::vector<Source> sources_at(const std::vector<HubEndpoint>& endpoints, const Address& address,
                               const std::set<std::size_t>& wrong = {}) {
  std::vector<Source> sources;
  for (std::size_t i = 0; i < endpoints.size(); ++i)
    if (wrong.size() >= endpoints.size() || !wrong.contains(i))
      sources.push_back({i, address(endpoints[i].hub)});
  return sources;
}

}  // namespace model_prep
