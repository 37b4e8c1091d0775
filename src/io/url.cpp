// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/url.h"

#include <cctype>
#include <new>

#include <curl/curl.h>
#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/io/owned.h"

namespace model_prep {
namespace {

using UrlHandle = Owned<CURLU, curl_url_cleanup>;

std::string url_part(CURLU* url, CURLUPart part, unsigned int flags) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  const Owned<char, curl_free> owned(text);
  return text;
}

/// Null for a text that is not a URL.
UrlHandle parsed(const std::string& text) {
  UrlHandle url(curl_url());
  if (!url) throw std::bad_alloc();
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) url.reset();
  return url;
}

/// The normalized scheme, host and port of an http(s) URL; empty for anything else.
std::string origin_of(const std::string& text) {
  const UrlHandle url = parsed(text);
  if (!url) return {};

  const std::string scheme = lower_case(url_part(url.get(), CURLUPART_SCHEME, 0));
  if (scheme != "http" && scheme != "https") return {};

  const std::string host = lower_case(url_part(url.get(), CURLUPART_HOST, 0));
  const std::string port = url_part(url.get(), CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
  return fmt::format("{}://{}{}{}", scheme, host, port.empty() ? "" : ":", port);
}

}  // namespace

std::optional<Url> parse_url(std::string_view text) {
  // libcurl would stop reading at a NUL, and we would not.
  if (text.find('\0') != std::string_view::npos) return std::nullopt;

  // An oddly encoded host (%2534, %34) can give an origin that itself parses as another one.
  const std::string copy(text);
  const std::string origin = origin_of(copy);
  if (origin.empty() || origin_of(origin) != origin) return std::nullopt;

  return Url{copy, origin, origin.starts_with("https:")};
}

std::optional<Url> resolve_url(const Url& base, std::string_view reference) {
  if (reference.find('\0') != std::string_view::npos) return std::nullopt;

  // Absolute paths and absolute URLs are not sent through libcurl, which would re-encode them.
  if (reference.starts_with('/') && !reference.starts_with("//")) {
    const std::string text = base.origin + std::string(reference);
    return parsed(text) ? std::optional(Url{text, base.origin, base.https}) : std::nullopt;
  }
  const std::size_t colon = reference.find("://");
  if (colon != std::string_view::npos && reference.find_first_of("/?#") > colon)
    return parse_url(reference);

  const UrlHandle url = parsed(base.text);
  if (!url ||
      curl_url_set(url.get(), CURLUPART_URL, std::string(reference).c_str(), 0) != CURLUE_OK)
    return std::nullopt;
  return parse_url(url_part(url.get(), CURLUPART_URL, 0));
}

std::optional<std::string_view> find_user_info(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos) return std::nullopt;

  // A scheme comes first of all: later, `://` may be part of a password.
  const std::size_t scheme = text.find("://");
  const bool has_scheme = scheme < text.find('@') && scheme == text.find(':');
  const std::size_t begin = has_scheme ? scheme + 3 : 0;
  return text.substr(begin, at - begin);
}

std::string strip_user_info(std::string_view text) {
  std::string stripped(text);
  if (const auto login = find_user_info(text))
    stripped.erase(static_cast<std::size_t>(login->data() - text.data()), login->size() + 1);
  return stripped;
}

Url with_login(Url url, const Url& endpoint) {
  const auto login = find_user_info(endpoint.text);
  if (!login || url.origin != endpoint.origin) return url;

  // An `@` in the path or the query ends no user info.
  const std::size_t begin = url.text.find("://") + 3;
  const std::size_t end = std::min(url.text.find_first_of("/?#", begin), url.text.size());
  const std::string host = strip_user_info(url.text.substr(begin, end - begin));
  url.text.replace(begin, end - begin, fmt::format("{}@{}", *login, host));
  return url;
}

std::optional<std::string> take_user(Url& url) {
  const auto login = find_user_info(url.text);
  const UrlHandle parsed_url = parsed(url.text);
  // An `@` in the path or the query does not end a user name.
  if (!login || login->find_first_of(":/?#") != std::string_view::npos || !parsed_url)
    return std::nullopt;

  std::string user = url_part(parsed_url.get(), CURLUPART_USER, CURLU_URLDECODE);
  url.text = strip_user_info(url.text);
  return user;
}

std::string percent_encode(std::string_view text, std::string_view also_plain) {
  const std::string plain = fmt::format("{}.-~{}", kWordCharacters, also_plain);
  std::string encoded;
  for (const char c : text)
    if (plain.find(c) != std::string::npos)
      encoded += c;
    else
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return encoded;
}

std::optional<std::string> next_link(std::string_view header) {
  while (true) {
    header.remove_prefix(std::min(header.find('<'), header.size()));
    const std::size_t close = header.find('>');
    if (close == std::string_view::npos) return std::nullopt;

    const std::size_t end = std::min(header.find(',', close), header.size());
    const std::string parameters = lower_case(header.substr(close, end - close));
    if (parameters.find("rel=\"next\"") != std::string::npos ||
        parameters.find("rel=next") != std::string::npos)
      return std::string(header.substr(1, close - 1));
    header.remove_prefix(end);
  }
}

}  // namespace model_prep
