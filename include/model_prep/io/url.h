// SPDX-License-Identifier: Apache-2.0
// Addresses, as libcurl reads them: what is parsed here goes to the host that was judged here.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model_prep/base/response.h"

namespace model_prep {

/// An http(s) address, or nothing. The text is kept as it is; the origin is in one spelling.
std::optional<Url> parse_url(std::string_view text);
/// `reference` (a Location) against `base`, RFC 3986 section 5; an absolute one is kept byte for
/// byte.
std::optional<Url> resolve_url(const Url& base, std::string_view reference);
/// Takes a user name that has no password out of an address, decoded: `https://name@host`. Nothing:
/// there is none.
std::optional<std::string> take_user(Url& url);
/// Everything but `A-Z a-z 0-9 _ . - ~` as %XX (docs/developing/hub-protocol.md, section 3.1).
std::string percent_encode(std::string_view text);
/// `Link: <https://…>; rel="next"`: the address, or nothing (docs/developing/hub-protocol.md,
/// section 3.3).
std::optional<std::string> next_link(std::string_view header);

}  // namespace model_prep
