// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/response.h"

#include "model_prep/base/parse_int.h"

namespace model_prep {

std::string display(const Url& url) {
  const std::size_t scheme = url.text.find("://");
  if (scheme == std::string::npos) return url.origin;
  const std::size_t path = url.text.find_first_of("/?#", scheme + 3);
  if (path == std::string::npos) return url.origin;
  return url.origin + url.text.substr(path, url.text.find_first_of("?#", path) - path);
}

std::string strip_user_info(const std::string& text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string::npos) return text;
  const std::size_t scheme = text.find("://");
  const std::size_t begin = scheme == std::string::npos || scheme > at ? 0 : scheme + 3;
  return text.substr(0, begin) + text.substr(at + 1);
}

std::optional<std::int64_t> header_number(const std::string& text) {
  return text.size() <= 18 ? parse_int(text) : std::nullopt;
}

}  // namespace model_prep
