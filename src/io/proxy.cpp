// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/proxy.h"

#include <cstdlib>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "model_prep/io/url.h"

namespace model_prep {
namespace {

void hide(std::string& text, std::string_view secret) {
  constexpr std::string_view kHidden = "***";
  if (secret.empty()) return;
  for (std::size_t at = 0; (at = text.find(secret, at)) != std::string::npos; at += kHidden.size())
    text.replace(at, secret.size(), kHidden);
}

}  // namespace

std::optional<Proxy> proxy_for(const Url& url) {
  const char* const variables[] = {url.https ? "https_proxy" : "http_proxy",
                                   url.https ? "HTTPS_PROXY" : "HTTP_PROXY", "all_proxy",
                                   "ALL_PROXY"};
  for (const char* variable : variables)
    if (const char* value = std::getenv(variable); value != nullptr && *value != '\0')
      return Proxy{variable, value};
  return std::nullopt;
}

std::string without_secrets(std::string text, const Proxy& proxy) {
  hide(text, proxy.address);
  const std::string_view login = find_user_info(proxy.address).value_or("");
  hide(text, login);
  if (const std::size_t colon = login.find(':'); colon != std::string_view::npos)
    hide(text, login.substr(colon + 1));
  return text;
}

Error proxy_refused(int status, const std::optional<Proxy>& proxy) {
  const std::string variable = proxy ? proxy->variable : "the environment";
  if (status == 407 || status == 401)
    return {ErrorKind::protocol,
            fmt::format("the proxy of {} wants a user name and a password, or others (status {})",
                        variable, status),
            fmt::format(
                "put them into {}: http://user:password@host:port, with special characters as %XX",
                variable)};
  // What may pass by itself: the proxy did not reach the host, or is busy.
  const bool passing = status == 408 || status == 429 || status >= 500;
  return {passing ? ErrorKind::network : ErrorKind::protocol,
          fmt::format("the proxy of {} refused the connection (status {})", variable, status),
          passing ? "" : "ask whoever runs the proxy to allow this host, or name it in NO_PROXY"};
}

Error proxy_unusable(const Proxy& proxy) {
  return {
      ErrorKind::protocol, fmt::format("{} is not the address of a proxy", proxy.variable),
      "it looks like http://host:port or http://user:password@host:port; also known are https and socks5"};
}

}  // namespace model_prep
