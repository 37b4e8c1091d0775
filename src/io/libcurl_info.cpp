// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/libcurl_info.h"

#include <unistd.h>

#include <curl/curl.h>
#include <fmt/format.h>

namespace model_prep {

std::string transport_version() {
  return fmt::format("libcurl/{}", curl_version_info(CURLVERSION_NOW)->version);
}

std::string system_authorities() {
  const char* file = curl_version_info(CURLVERSION_NOW)->cainfo;
  return file == nullptr ? "" : file;
}

bool has_system_authorities() {
  const std::string file = system_authorities();
  return file.empty() || ::access(file.c_str(), R_OK) == 0;
}

}  // namespace model_prep
