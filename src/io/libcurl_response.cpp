// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/libcurl_response.h"

#include <chrono>

#include <curl/curl.h>

#include "model_prep/io/url.h"

namespace model_prep {
namespace {

/// Negative if libcurl does not know it.
curl_off_t number(void* easy, CURLINFO what) {
  curl_off_t value = -1;
  curl_easy_getinfo(easy, what, &value);
  return value;
}

}  // namespace

std::string response_header(void* easy, const char* name) {
  curl_header* found = nullptr;
  if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &found) != CURLHE_OK) return {};
  return found->value;
}

/// A header that may be there several times, which means the same as one list (RFC 9110, section
/// 5.3).
std::string response_header_list(void* easy, const char* name) {
  std::string list;
  curl_header* found = nullptr;
  for (std::size_t i = 0; curl_easy_header(easy, name, i, CURLH_HEADER, -1, &found) == CURLHE_OK;
       ++i)
    list.append(i > 0 ? ", " : "").append(found->value);
  return list;
}

ResponseHead read_head(void* easy, const Url& request_url) {
  ResponseHead head;
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  head.status = static_cast<int>(status);
  if (const auto length = number(easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T); length >= 0)
    head.content_length = length;
  head.content_range = response_header(easy, "Content-Range");
  head.content_type = response_header(easy, "Content-Type");
  head.content_encoding = response_header(easy, "Content-Encoding");
  head.link = response_header_list(easy, "Link");
  head.rate_limit = response_header(easy, "RateLimit");
  head.error_code = response_header(easy, "X-Error-Code");
  head.error_message = response_header(easy, "X-Error-Message");
  head.linked_etag = response_header(easy, "X-Linked-Etag");
  head.linked_size = header_number(response_header(easy, "X-Linked-Size"));
  head.location = response_header(easy, "Location");
  if (!head.location.empty()) head.redirect = resolve_url(request_url, head.location);
  head.retry_after = std::chrono::seconds(number(easy, CURLINFO_RETRY_AFTER));
  return head;
}

}  // namespace model_prep
