// SPDX-License-Identifier: Apache-2.0
// URLs as libcurl parses them (CURLU), so that the host that is checked here is the host that
// libcurl connects to. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model_prep/base/response.h"

namespace model_prep {

/// Empty for anything but an http(s) URL. The text is kept as it is; the origin is normalized.
std::optional<Url> parse_url(std::string_view text);
/// Resolves `reference` (a Location) against `base` (RFC 3986, section 5). An absolute URL is kept
/// byte for byte.
std::optional<Url> resolve_url(const Url& base, std::string_view reference);

/// `user:password` of an address: all between its scheme, if any, and its last '@'. The text need
/// not be a valid URL: whatever might be a password is included, so that it can be hidden. Empty
/// optional: there is no '@'.
std::optional<std::string_view> find_user_info(std::string_view text);
/// The text without its user info and '@'.
std::string strip_user_info(std::string_view text);
/// `url` with the user info of `endpoint`, and no other, if they are of one origin.
Url with_login(Url url, const Url& endpoint);
/// Removes a user name without a password, as in `https://name@host`, and returns it decoded.
std::optional<std::string> take_user(Url& url);

/// Encodes everything but `A-Z a-z 0-9 _ . - ~` and what is in `also_plain` as %XX
/// (docs/developing/hub-protocol.md, section 3.1).
std::string percent_encode(std::string_view text, std::string_view also_plain = "");
/// The URL of `Link: <https://…>; rel="next"` (docs/developing/hub-protocol.md, section 3.3).
std::optional<std::string> next_link(std::string_view header);

}  // namespace model_prep
