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

std::optional<std::int64_t> header_number(const std::string& text) {
  return text.size() <= 18 ? parse_int(text) : std::nullopt;
}

}  // namespace model_prep
