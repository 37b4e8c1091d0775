// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/libcurl_info.h"

#include <unistd.h>

#include <curl/curl.h>
#include <fmt/format.h>

#include "model_prep/core/authority_files.h"
#include "model_prep/io/posix.h"

namespace model_prep {

std::string transport_version() {
  return fmt::format("libcurl/{}", curl_version_info(CURLVERSION_NOW)->version);
}

Strings transport_libraries() {
  const auto* found = curl_version_info(CURLVERSION_NOW);
  Strings libraries{fmt::format("libcurl {}", found->version)};
  if (const unsigned http2 = found->nghttp2_ver_num; http2 != 0)
    libraries.push_back(
        fmt::format("nghttp2 {}.{}.{}", http2 >> 16, (http2 >> 8) & 0xff, http2 & 0xff));
  return libraries;
}

Strings system_authority_files() {
  const char* built_in = curl_version_info(CURLVERSION_NOW)->cainfo;
  return authority_files(built_in == nullptr ? "" : built_in);
}

std::string system_authorities() {
  // A volume that docker could not find is an empty folder in its place.
  return first_readable(system_authority_files(), [](const std::string& file) {
    const auto found = stat_path(file);
    return found && found->is_file && found->size > 0 && ::access(file.c_str(), R_OK) == 0;
  });
}

}  // namespace model_prep
