// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/authority_files.h"

#include <algorithm>
#include <iterator>

namespace model_prep {
namespace {

constexpr const char* kPlaces[] = {
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Ubuntu, Alpine, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",                   // Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",                             // openSUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Fedora, Red Hat
    "/var/lib/ca-certificates/ca-bundle.pem",             // openSUSE
    "/etc/ssl/cert.pem",                                  // Alpine
};

}  // namespace

Strings authority_files(std::string_view of_libcurl) {
  Strings files;
  if (!of_libcurl.empty()) files.emplace_back(of_libcurl);
  std::ranges::copy_if(kPlaces, std::back_inserter(files),
                       [&](std::string_view place) { return place != of_libcurl; });
  return files;
}

std::string first_readable(const Strings& files,
                           const std::function<bool(const std::string&)>& is_readable) {
  const auto found = std::ranges::find_if(files, is_readable);
  return found == files.end() ? "" : *found;
}

}  // namespace model_prep
