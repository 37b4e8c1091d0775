// SPDX-License-Identifier: Apache-2.0
// The parts of http.h that need no libcurl.
#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "model_prep/effects/http.h"

namespace model_prep {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

std::string percent_encode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (std::isalnum(static_cast<unsigned char>(c)) != 0 && static_cast<unsigned char>(c) < 0x80) ||
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
    const std::string parameters = lower(std::string(header.substr(close + 1, following - close - 1)));
    if (parameters.find("rel=\"next\"") != std::string::npos || parameters.find("rel=next") != std::string::npos)
      return std::string(header.substr(open + 1, close - open - 1));
    if (following == std::string_view::npos) return std::nullopt;
    header.remove_prefix(following);
  }
}

}  // namespace model_prep
