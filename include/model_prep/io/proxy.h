// SPDX-License-Identifier: Apache-2.0
// The proxies that the environment names, and errors about them that reveal no password.
//
// libcurl connects through the proxy, and applies NO_PROXY (CURLOPT_PROXY, CURLOPT_NOPROXY). It
// does not read the variables itself: it would ignore HTTP_PROXY in capitals, for the sake of CGI
// programs, take a line end at the end of a variable for a part of the address, and not understand
// some entries of NO_PROXY. Error messages name the variable and never its value.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "model_prep/base/error.h"
#include "model_prep/base/response.h"

namespace model_prep {

struct Proxy {
  std::string variable;  ///< HTTPS_PROXY
  std::string address;   ///< may contain a user name and a password
};

class ProxySettings {
 public:
  ProxySettings() = default;
  /// In libcurl's order: the variable of the scheme, else ALL_PROXY; each in lower case first.
  /// Blanks and line ends at the end of a variable do not count, and an empty one counts as unset.
  explicit ProxySettings(const std::map<std::string, std::string>& environment);

  /// The proxy for this URL, unless NO_PROXY excludes its host, which only libcurl knows.
  const std::optional<Proxy>& proxy_for(const Url& url) const { return url.https ? https_ : http_; }

  /// NO_PROXY in the words of libcurl, to which `*` means all hosts only if it is alone, and which
  /// knows neither `[::1]` nor a network of all addresses, such as `::/0`. Empty if it is not set.
  const std::string& no_proxy() const { return no_proxy_; }

 private:
  std::string no_proxy_;
  std::optional<Proxy> http_;
  std::optional<Proxy> https_;
};

/// A message of libcurl's without the proxy's address, user name and password.
std::string redact(std::string text, const Proxy& proxy);

/// Whether the response is the proxy's own, and not the server's. Servers do not send 407. A proxy
/// may also answer a plain request with 401 (tinyproxy does, for a wrong password); the Hub's own
/// 401 gives a reason and asks for a token. `port` is the one that we are connected to, `challenge`
/// the header WWW-Authenticate.
bool is_from_proxy(const ResponseHead& head, const Url& url, const std::optional<Proxy>& proxy,
                   long port, std::string_view challenge);

/// The proxy answered `status` to a CONNECT, or rejected the login of a plain request (401 or 407).
Error proxy_refused(int status, const std::optional<Proxy>& proxy);

/// The variable does not hold a proxy address.
Error proxy_unusable(const Proxy& proxy);

}  // namespace model_prep
