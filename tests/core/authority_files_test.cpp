// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/authority_files.h"

#include <set>

#include "support/catch.h"

namespace model_prep {
namespace {

/// What is chosen where these files are there.
std::string authority_of(std::string_view of_libcurl, const std::set<std::string>& there) {
  return first_readable(authority_files(of_libcurl),
                        [&](const std::string& file) { return there.contains(file); });
}

}  // namespace

TEST_CASE("CA certificates are found where each distribution keeps them") {
  const std::string place =
      GENERATE("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
               "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/ca-bundle.pem",
               "/var/lib/ca-certificates/ca-bundle.pem", "/etc/ssl/cert.pem");
  CHECK(authority_of("", {place, "/etc/ssl/certs/another.crt"}) == place);
}

TEST_CASE("the CA file that libcurl was built with comes first, if it is there") {
  const std::string debian = "/etc/ssl/certs/ca-certificates.crt";
  CHECK(authority_of("/opt/ca.pem", {"/opt/ca.pem", debian}) == "/opt/ca.pem");
  CHECK(authority_of("/opt/ca.pem", {debian}) == debian);
  CHECK(authority_of(debian, {"/etc/ssl/cert.pem"}) == "/etc/ssl/cert.pem");
}

TEST_CASE("without any CA file nothing is chosen, and each place is named once") {
  const std::string debian = "/etc/ssl/certs/ca-certificates.crt";
  CHECK(authority_of(debian, {}).empty());
  CHECK(authority_files(debian).front() == debian);
  CHECK(authority_files(debian) == authority_files(""));
  CHECK(authority_files("/opt/ca.pem").size() == authority_files("").size() + 1);
}

TEST_CASE("no further place is asked for once a CA file is found") {
  int asked = 0;
  first_readable(authority_files(""), [&](const std::string&) { return ++asked == 2; });
  CHECK(asked == 2);
}

}  // namespace model_prep
