// SPDX-License-Identifier: Apache-2.0
// The Hub and its mirrors, as --endpoint and HF_ENDPOINT name them, and which of them gets the
// token.
//
//   HF_ENDPOINT=https://hf_abc@mirror.internal/hf,https://huggingface.co
//
// The token of the run (HF_TOKEN) was given for the Hub, or for the one endpoint that is named. Of
// several it goes to the Hub's own origin only: who adds a mirror to a list shall not send it a
// secret by that. Another token is named with its endpoint, as a user name without a password, and
// goes there instead. That is for the variable alone: a command line can be read by everyone on the
// machine. A user name with a password is what it is anywhere, Basic authorization.
//
// A comma ends an address where the next one begins, so that one in a password needs no thought,
// and is not shown.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model_prep/cli/flag_values.h"
#include "model_prep/core/mirror_selector.h"
#include "model_prep/io/http.h"
#include "model_prep/io/hub_api.h"

namespace model_prep {

struct HubEndpoint {
  Hub hub;
  std::optional<Token> token{};
  TokenUse use{TokenUse::none};
  /// As it may be shown.
  std::string name() const { return display(hub.endpoint()); }
};

/// In order of preference, each once; the Hub if none is named.
Result<std::vector<HubEndpoint>> find_endpoints(const FlagValues& settings);
/// The Hub alone.
std::vector<HubEndpoint> default_endpoints();

/// `where` it stands is told, the token is not.
Status check_token(const std::string& text, const std::string& where);
/// Says for each whether it gets this token, its own, or none.
void give_token(std::vector<HubEndpoint>& endpoints, const std::optional<Token>& token);

/// What `address` makes of each of them.
template <class Address>
std::vector<Source> sources_at(const std::vector<HubEndpoint>& endpoints, Address address) {
  std::vector<Source> sources;
  for (std::size_t i = 0; i < endpoints.size(); ++i)
    sources.push_back({i, address(endpoints[i].hub)});
  return sources;
}

}  // namespace model_prep
