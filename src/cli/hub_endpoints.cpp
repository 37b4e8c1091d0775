// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/hub_endpoints.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr const char* kHub = "https://huggingface.co";
constexpr const char* kFlag = "--endpoint";
constexpr const char* kVariable = "HF_ENDPOINT";

/// Splits at each comma after which an address begins, or nothing.
Strings split_addresses(std::string_view text) {
  Strings addresses;
  for (const std::string_view part : split(text, ',')) {
    const std::string lower = lower_case(trimmed(part));
    if (addresses.empty() || lower.empty() || lower.starts_with("http://") ||
        lower.starts_with("https://"))
      addresses.emplace_back(part);
    else
      addresses.back().append(",").append(part);
  }

  for (std::string& address : addresses) address = trimmed(address);
  std::erase(addresses, "");
  return addresses;
}

/// Whether there is a comma outside the password. Two mistyped endpoints would be taken for one,
/// which would get the token.
bool has_comma(const std::string& address) {
  const std::string_view login = find_user_info(address).value_or("");
  const std::string_view user = login.substr(0, login.find(':'));
  return user.find(',') != std::string_view::npos ||
         strip_user_info(address).find(',') != std::string::npos;
}

/// `name` is the flag or the variable that holds the address.
Result<HubEndpoint> parse_endpoint(const std::string& address, const std::string& name) {
  if (has_comma(address))
    return Error{ErrorKind::usage, fmt::format("{}: a URL contains a comma", name),
                 name == kFlag ? "pass --endpoint once for each URL"
                               : "each URL of a list must begin with http:// or https://"};

  const auto hub = Hub::parse(address);
  if (!hub)
    return Error{hub.error().kind, fmt::format("{}: {}", name, hub.error().message),
                 hub.error().hint};

  HubEndpoint endpoint{.hub = *hub};
  const auto text = endpoint.hub.take_token();
  if (!text) return endpoint;

  if (name == kFlag)
    return Error{ErrorKind::usage,
                 "--endpoint contains a user name without a password, which is taken as a token",
                 "other users can read a command line: set HF_ENDPOINT=https://TOKEN@host instead"};
  const auto token = parse_token(*text, name);
  if (!token) return token.error();
  endpoint.token = *token;
  return endpoint;
}

/// Adds an endpoint, or completes the one that is already listed with its login or token.
void add_endpoint(std::vector<HubEndpoint>& endpoints, HubEndpoint endpoint) {
  const auto same = std::ranges::find(endpoints, endpoint.name(), &HubEndpoint::name);
  if (same == endpoints.end()) return endpoints.push_back(std::move(endpoint));

  const bool has_login = same->hub.endpoint().text != same->name();
  if (!has_login) same->hub = std::move(endpoint.hub);
  if (!same->token) same->token = std::move(endpoint.token);
}

}  // namespace

Result<std::optional<Token>> parse_token(const std::string& text, const std::string& where) {
  // A line end would let the token add headers of its own.
  const auto is_allowed = [](char c) { return c > 0x20 && c < 0x7f; };
  const bool is_quoted = text.find_first_of("\"'`") != std::string::npos;
  if (!text.empty() && !is_quoted && std::ranges::all_of(text, is_allowed))
    return std::optional(Token(text));

  return Error{ErrorKind::usage,
               fmt::format("the token in {} contains {}", where,
                           is_quoted ? "quotes" : "an invalid character"),
               is_quoted ? "remove them: docker's --env-file passes quotes on"
                         : "copy it again from the Hub's settings page"};
}

Result<std::vector<HubEndpoint>> find_endpoints(const FlagValues& settings) {
  auto given = settings.find_all(kFlag);
  const auto list = settings.get(kVariable);
  if (given.empty() && list) given.push_back({kVariable, *list});

  std::vector<HubEndpoint> endpoints;
  for (const FlagValues::Value& found : given) {
    const bool is_list = found.name != kFlag;
    const Strings addresses = is_list ? split_addresses(found.value) : Strings{found.value};
    if (addresses.empty()) return bad_value(found, "the URL of the Hub or of mirrors");

    for (const std::string& address : addresses) {
      auto endpoint = parse_endpoint(address, found.name);
      if (!endpoint) return endpoint.error();
      add_endpoint(endpoints, std::move(*endpoint));
    }
  }
  return endpoints.empty() ? default_endpoints() : endpoints;
}

std::vector<HubEndpoint> default_endpoints() { return {HubEndpoint{.hub = *Hub::parse(kHub)}}; }

void give_token(std::vector<HubEndpoint>& endpoints, const std::optional<Token>& token) {
  for (HubEndpoint& endpoint : endpoints) {
    const bool may_have = endpoints.size() == 1 || endpoint.hub.endpoint().origin == kHub;
    // A request has room for one of them, and the login was written for this endpoint.
    const bool has_login = find_user_info(endpoint.hub.endpoint().text).has_value();
    if (!endpoint.token && may_have && !has_login) endpoint.token = token;

    endpoint.use = endpoint.token ? TokenUse::sent
                   : has_login    ? TokenUse::login
                   : token        ? TokenUse::withheld
                                  : TokenUse::none;
  }
}

}  // namespace model_prep
