// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/url.h"

#include <algorithm>
#include <cctype>

#include <curl/curl.h>
#include <fmt/format.h>

#include "model_prep/io/owned.h"

namespace model_prep {
namespace {

using UrlHandle = Owned<CURLU, curl_url_cleanup>;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string url_part(CURLU* url, CURLUPart part, unsigned int flags) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  const Owned<char, curl_free> owned(text);
  return text;
}

/// Scheme, host and port of an http(s) address in one spelling; empty if it is none.
std::string origin_of(const std::string& text) {
  const UrlHandle url(curl_url());
  if (!url || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) return {};
  const std::string scheme = lower(url_part(url.get(), CURLUPART_SCHEME, 0));
  if (scheme != "http" && scheme != "https") return {};
  const std::string host = lower(url_part(url.get(), CURLUPART_HOST, 0));
  const std::string port = url_part(url.get(), CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
  return fmt::format("{}://{}{}{}", scheme, host, port.empty() ? "" : ":", port);
}

}  // namespace

std::optional<Url> parse_url(std::string_view text) {
  const std::string copy(text);
  const std::string origin = origin_of(copy);
  // libcurl reads up to a NUL, and we would go on behind it. A host that is written oddly (%2534,
  // %34) may make an origin that is read as another one.
  if (origin.empty() || text.find('\0') != std::string_view::npos || origin_of(origin) != origin)
    return std::nullopt;
  return Url{copy, origin, origin.starts_with("https:")};
}

std::optional<Url> resolve_url(const Url& base, std::string_view reference) {
  if (reference.find('\0') != std::string_view::npos) return std::nullopt;
  if (reference.starts_with('/') && !reference.starts_with("//"))
    return parse_url(base.origin + std::string(reference));
  const std::size_t colon = reference.find("://");
  if (colon != std::string_view::npos && reference.find_first_of("/?#") > colon)
    return parse_url(reference);
  const UrlHandle url(curl_url());
  const std::string copy(reference);
  if (!url || curl_url_set(url.get(), CURLUPART_URL, base.text.c_str(), 0) != CURLUE_OK ||
      curl_url_set(url.get(), CURLUPART_URL, copy.c_str(), 0) != CURLUE_OK)
    return std::nullopt;
  return parse_url(url_part(url.get(), CURLUPART_URL, 0));
}

std::optional<std::string> take_user(Url& url) {
  const std::size_t begin = url.text.find("://") + 3;
  const std::size_t at = url.text.rfind('@', url.text.find_first_of("/?#", begin));
  if (at == std::string::npos || at < begin || url.text.find(':', begin) < at) return std::nullopt;
  const UrlHandle parsed(curl_url());
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.text.c_str(), 0) != CURLUE_OK)
    return std::nullopt;
  std::string user = url_part(parsed.get(), CURLUPART_USER, CURLU_URLDECODE);
  url.text.erase(begin, at + 1 - begin);
  return user;
}

std::string percent_encode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (std::isalnum(static_cast<unsigned char>(c)) != 0 &&
                        static_cast<unsigned char>(c) < 0x80) ||
                       c == '_' || c == '.' || c == '-' || c == '~';
    if (plain)
      encoded += c;
    else
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

std::optional<std::string> next_link(std::string_view header) {
  while (true) {
    const std::size_t open = header.find('<');
    const std::size_t close = header.find('>', open == std::string_view::npos ? 0 : open);
    if (open == std::string_view::npos || close == std::string_view::npos) return std::nullopt;
    const std::size_t following = header.find(',', close);
    const std::string parameters =
        lower(std::string(header.substr(close + 1, following - close - 1)));
    if (parameters.find("rel=\"next\"") != std::string::npos ||
        parameters.find("rel=next") != std::string::npos)
      return std::string(header.substr(open + 1, close - open - 1));
    if (following == std::string_view::npos) return std::nullopt;
    header.remove_prefix(following);
  }
}

}  // namespace model_prep
