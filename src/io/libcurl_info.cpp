// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/libcurl_info.h"

#include <unistd.h>

#include <curl/curl.h>
#include <fmt/format.h>

#include "model_prep/core/authority_files.h"

namespace model_prep {

std::string transport_version() {
  return fmt::format("libcurl/{}", curl_version_info(CURLVERSION_NOW)->version);
}

Strings system_authority_files() {
  const char* built_in = curl_version_info(CURLVERSION_NOW)->cainfo;
  return authority_files(built_in == nullptr ? "" : built_in);
}

std::string system_authorities() {
  return first_readable(system_authority_files(),
                        [](const std::string& file) { return ::access(file.c_str(), R_OK) == 0; });
}

}  // namespace model_prep
