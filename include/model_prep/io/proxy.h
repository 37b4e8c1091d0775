// SPDX-License-Identifier: Apache-2.0
// Which proxy the environment names for an address, and how to speak of it without its password.
//
// libcurl connects through proxies and decides by NO_PROXY (hosts, suffixes, addresses, CIDR, `*`).
// Two things are done here: HTTP_PROXY in capitals, which libcurl leaves aside for the sake of CGI
// programs, and messages, which name the variable and never what it holds.
#pragma once

#include <optional>
#include <string>

#include "model_prep/base/error.h"
#include "model_prep/base/response.h"

namespace model_prep {

struct Proxy {
  std::string variable;  ///< HTTPS_PROXY
  std::string address;   ///< may hold a user name and a password
};

/// What libcurl takes for this address, unless NO_PROXY forbids: the scheme's variable, else
/// ALL_PROXY; each in lower case first; an empty one is unset.
std::optional<Proxy> proxy_for(const Url& url);

/// A text of libcurl's in which the proxy's address, its user name and its password are not to be
/// read.
std::string without_secrets(std::string text, const Proxy& proxy);

/// The proxy answered `status` to a CONNECT, or 407 to a request.
Error proxy_refused(int status, const std::optional<Proxy>& proxy);

/// The variable holds no address of a proxy.
Error proxy_unusable(const Proxy& proxy);

}  // namespace model_prep
