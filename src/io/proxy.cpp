// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/proxy.h"

#include <algorithm>
#include <initializer_list>
#include <iterator>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/io/url.h"

namespace model_prep {
namespace {

using Environment = std::map<std::string, std::string>;

std::optional<Proxy> first_set(const Environment& environment,
                               std::initializer_list<const char*> variables) {
  for (const char* variable : variables) {
    const auto found = environment.find(variable);
    if (found == environment.end()) continue;

    const std::string_view address = trimmed_end(found->second);
    if (!address.empty()) return Proxy{variable, std::string(address)};
  }
  return std::nullopt;
}

void hide(std::string& text, std::string_view secret) {
  constexpr std::string_view kHidden = "***";
  if (secret.empty()) return;

  for (std::size_t at = 0; (at = text.find(secret, at)) != std::string::npos; at += kHidden.size())
    text.replace(at, secret.size(), kHidden);
}

std::string in_words_of_libcurl(std::string list) {
  std::string words;
  std::ranges::replace(list, ',', ' ');
  for (std::string_view word : split(list, ' ')) {
    if (word.empty()) continue;
    if (word == "*") return "*";

    if (word.ends_with("/0"))
      word = word.find(':') == std::string_view::npos ? "0.0.0.0/1,128.0.0.0/1" : "::/1,8000::/1";
    words += words.empty() ? "" : ",";
    std::ranges::copy_if(word, std::back_inserter(words),
                         [](char c) { return c != '[' && c != ']'; });
  }
  return words;
}

}  // namespace

ProxySettings::ProxySettings(const Environment& environment)
    : http_(first_set(environment, {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"})),
      https_(first_set(environment, {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})) {
  if (const auto list = first_set(environment, {"no_proxy", "NO_PROXY"}))
    no_proxy_ = in_words_of_libcurl(list->address);
}

std::string redact(std::string text, const Proxy& proxy) {
  hide(text, proxy.address);

  const std::string_view login = find_user_info(proxy.address).value_or("");
  hide(text, login);
  if (const std::size_t colon = login.find(':'); colon != std::string_view::npos)
    hide(text, login.substr(colon + 1));
  return text;
}

bool is_from_proxy(const ResponseHead& head, const Url& url, const std::optional<Proxy>& proxy,
                   long port, std::string_view challenge) {
  if (head.status != 401 || !proxy || url.https) return head.status == 407;

  // Connected to the port of the URL itself: NO_PROXY excluded this host.
  const bool direct = url.origin.ends_with(fmt::format(":{}", port)) || port == 80;
  return !direct && head.error_code.empty() && head.error_message.empty() &&
         challenge.starts_with("Basic");
}

Error proxy_refused(int status, const std::optional<Proxy>& proxy) {
  const std::string variable = proxy ? proxy->variable : "the environment";
  if (status == 407 || status == 401)
    return {ErrorKind::protocol,
            fmt::format("the proxy in {} requires a user name and password (status {})", variable,
                        status),
            fmt::format("set {} to http://user:password@host:port, special characters as %XX",
                        variable)};

  // These may pass: the proxy did not reach the host, or is busy.
  const bool transient = status == 408 || status == 429 || status >= 500;
  return {
      transient ? ErrorKind::network : ErrorKind::protocol,
      fmt::format("the proxy in {} refused the connection (status {})", variable, status),
      transient ? "" : "ask the proxy's administrator to allow this host, or add it to NO_PROXY"};
}

Error proxy_unusable(const Proxy& proxy) {
  return {ErrorKind::protocol, fmt::format("{} is not a proxy URL", proxy.variable),
          "write http://host:port or http://user:password@host:port; https and socks5 work too"};
}

}  // namespace model_prep
