// SPDX-License-Identifier: Apache-2.0
// TLS: which certificates are trusted, and how the others are reported (docs/reference.md,
// docs/security.md).
#include <regex>

#include "support/catch.h"
#include "support/hub_tls.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;

HubOptions with_tls(HubTls tls) {
  HubOptions options;
  options.tokens = {"hf_secret"};
  options.tls = std::move(tls);
  return options;
}

/// A hub behind TLS, and a machine that may be given its CA.
struct Secure {
  TestAuthority authority{"Test Root"};
  FakeHub hub;
  HubRepo repo = small_repo();
  TestHost machine{hub};
  fs::path ca = machine.folder() / "root.pem";

  explicit Secure(const CertificateWish& wish = {}) : Secure(wish, HubTls::Where::both) {}
  Secure(const CertificateWish& wish, HubTls::Where where) : hub(with_tls(certified(wish, where))) {
    hub.add(repo);
    write_text(ca, authority.pem());
  }
  /// Makes a directory as openssl-rehash leaves it, with the CA.
  std::string hashed_directory() const {
    const fs::path roots = machine.folder() / "hashed";
    fs::create_directories(roots);
    write_text(roots / authority.name_by_hash(), authority.pem());
    return roots;
  }
  /// A run on a system whose /etc holds only what this command puts there.
  Run run_with_etc(const std::string& command) const {
    return machine.shell("exec unshare -m sh -c 'mount -t tmpfs none /etc && " + command +
                         " && exec \"$PROGRAM\" org/small'");
  }
  HubTls certified(const CertificateWish& wish, HubTls::Where where) const {
    HubTls tls = authority.certify(wish);
    tls.where = where;
    return tls;
  }
};

/// The run failed because of the certificate, at once and without a request.
void check_no_request(const Run& run, const FakeHub& hub, const std::vector<std::string>& said) {
  INFO(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "protocol");
  CHECK(run.summary["totals"]["retries"] == 0);
  CHECK(hub.requests().empty());
  CHECK(hub.connections() == 1);
  for (const std::string& part : said) {
    INFO(part);
    CHECK(contains(run.model("org/small")["error"]["message"].get<std::string>(), part));
  }
  CHECK(contains(run.model("org/small")["error"]["hint"].get<std::string>(), "--ca-file"));
}

}  // namespace

TEST_CASE("a CA named by flag or variable is trusted, for hub and payload host alike") {
  const std::string name =
      GENERATE("--ca-file", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE");
  CAPTURE(name);
  const Secure secure;
  const Run run = name == "--ca-file" ? secure.machine.run({"org/small", "--ca-file", secure.ca})
                                      : secure.machine.run({"org/small"}, {{name, secure.ca}});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(tree_of(secure.machine.cache()) == published(secure.repo));
}

TEST_CASE("the CA files of all variables are combined, and the flag replaces them") {
  const Secure secure;
  const TestAuthority other("Other Root");
  const fs::path its = secure.machine.folder() / "other.pem";
  write_text(its, other.pem());
  CHECK(secure.machine.run({"org/small"}, {{"SSL_CERT_FILE", its}, {"CURL_CA_BUNDLE", secure.ca}})
            .exit_code == 0);
  fs::remove_all(secure.machine.home());
  const std::string roots = secure.hashed_directory();
  for (const auto& variable :
       ProgramEnvironment{{"CURL_CA_BUNDLE", secure.ca}, {"SSL_CERT_DIR", roots}}) {
    CAPTURE(variable.first);
    const Run run = secure.machine.run({"org/small", "--ca-file", its}, {variable});
    CHECK(run.error_kind("org/small") == "protocol");
  }
}

TEST_CASE("SSL_CERT_DIR is a list of directories, in which an authority is found by its hash") {
  const Secure secure;
  const std::string roots = secure.hashed_directory();
  const Run run = secure.machine.run({"org/small"}, {{"SSL_CERT_DIR", "/nonexistent:" + roots}});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(tree_of(secure.machine.cache()) == published(secure.repo));
}

TEST_CASE("CA certificates are found where other distributions keep them") {
  if (!may_mount()) return;
  const std::string place =
      GENERATE("/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem");
  CAPTURE(place);
  const Secure secure;
  const Run run = secure.run_with_etc("install -D " + secure.ca.string() + " " + place);
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(tree_of(secure.machine.cache()) == published(secure.repo));
}

TEST_CASE("on a system without CA certificates the hint says where they were looked for") {
  if (!may_mount()) return;
  const Secure secure;
  const Run run = secure.run_with_etc("true");
  check_no_request(run, secure.hub, {"unknown issuer"});
  const std::string hint = run.model("org/small")["error"]["hint"];
  for (const char* said :
       {"this system has no CA certificates", "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt", "install ca-certificates"})
    CHECK(contains(hint, said));
}

TEST_CASE("no CA certificates are looked for without a TLS connection") {
  if (!may_trace()) return;
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const std::string trace = machine.folder() / "trace";
  const Run run =
      machine.shell("strace -f -qq -e trace=%file -o " + trace + " \"$PROGRAM\" org/small",
                    {{"PATH", "/usr/bin:/bin"}, {"ASAN_OPTIONS", "detect_leaks=0"}});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK_FALSE(contains(read_text(trace), "/etc/ssl/cert"));
}

TEST_CASE("a directory of certificates is accepted in place of a file") {
  const Secure secure;
  const fs::path folder = secure.machine.folder() / "roots";
  fs::create_directories(folder);
  fs::copy(secure.ca, folder / "mine.crt");
  write_text(folder / "README", "nothing to see");
  write_text(folder / "broken.pem",
             "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  CHECK(secure.machine.run({"org/small"}, {{"REQUESTS_CA_BUNDLE", folder}}).exit_code == 0);
}

TEST_CASE(
    "a file without a usable certificate is reported by flag or variable, before any request") {
  const Secure secure;
  const auto [content, why] = GENERATE(table<std::string, std::string>({
      {"", "no such file or directory"},
      {"no certificate", "it contains no certificate"},
      {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
       "certificate 1 cannot be read"},
  }));
  const fs::path file = secure.machine.folder() / "authorities";
  if (!content.empty()) write_text(file, content);
  for (const std::string name :
       {"--ca-file", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}) {
    const Run run = name == "--ca-file" ? secure.machine.run({"org/small", "--ca-file", file})
                                        : secure.machine.run({"org/small"}, {{name, file}});
    CHECK(run.exit_code == 1);
    CHECK(contains(run.err,
                   "model-prep: " + name + " is '" + file.string() + "': " + why + "\nhint: "));
  }
  CHECK(secure.hub.connections() == 0);
}

TEST_CASE("a stale CA variable does not fail an offline run") {
  const Secure secure;
  REQUIRE(secure.machine.run({"org/small", "--ca-file", secure.ca}).exit_code == 0);
  CHECK(secure.machine.run({"org/small", "--offline"}, {{"SSL_CERT_FILE", "/no/such/file"}})
            .exit_code == 0);
}

TEST_CASE("an unknown CA is reported with the certificate, without a retry") {
  const Secure secure({.subject = "mirror of Test"});
  check_no_request(
      secure.machine.run({"org/small"}), secure.hub,
      {"its certificate is not trusted: unknown issuer (subject CN=mirror of Test; issuer CN=Test Root)"});
}

TEST_CASE("a CA of the same name but with another key is not trusted") {
  const Secure secure;
  const TestAuthority namesake("Test Root");
  write_text(secure.ca, namesake.pem());
  check_no_request(secure.machine.run({"org/small", "--ca-file", secure.ca}), secure.hub,
                   {"issuer CN=Test Root)"});
}

TEST_CASE("an expired certificate is reported with its expiry date") {
  const Secure secure({.expires = hours(-24)});
  check_no_request(secure.machine.run({"org/small", "--ca-file", secure.ca}), secure.hub,
                   {"its certificate is not trusted: expired on ",
                    " GMT (subject CN=test hub; issuer CN=Test Root)"});
}

TEST_CASE("a certificate that is not yet valid is reported with its start date") {
  const Secure secure({.begins = hours(24)});
  check_no_request(secure.machine.run({"org/small", "--ca-file", secure.ca}), secure.hub,
                   {"its certificate is not trusted: not valid before ",
                    " GMT: is this machine's clock right?"});
}

TEST_CASE("a certificate for other hosts is reported with their names") {
  const Secure secure({.names = "DNS:a.example,DNS:b.example,IP:127.0.0.2,DNS:d.example"});
  check_no_request(
      secure.machine.run({"org/small", "--ca-file", secure.ca}), secure.hub,
      {"not valid for this host, but for: DNS:a.example, DNS:b.example, IP Address:127.0.0.2, and others "
       "(subject CN=test hub; issuer CN=Test Root)"});
}

TEST_CASE("a self-signed certificate is reported as such, and trusted if named itself") {
  const HubTls tls = self_signed();
  FakeHub hub(with_tls(tls));
  hub.add(small_repo());
  const TestHost machine(hub);
  check_no_request(machine.run({"org/small"}), hub,
                   {"self-signed (subject CN=test hub; issuer CN=test hub)"});
  write_text(machine.folder() / "hub.pem", tls.certificate);
  CHECK(machine.run({"org/small", "--ca-file", machine.folder() / "hub.pem"}).exit_code == 0);
}

TEST_CASE("a certificate cannot forge lines of the log") {
  const Secure secure({.subject = "evil\n2026-01-01T00:00:00Z info  all is well\x1b[2J"});
  const Run run = secure.machine.run({"org/small"});
  check_no_request(run, secure.hub, {"subject CN=evil\\0A2026"});
  CHECK_FALSE(contains(run.err, "\x1b"));
  CHECK_FALSE(contains(run.err, "\n2026-01-01"));
}

TEST_CASE("the system's CAs stay trusted in addition to named ones") {
  // libcurl's own settings are not visible from outside, but the program's reads are.
  if (!may_trace()) return;
  const Secure secure;
  const fs::path trace = secure.machine.folder() / "trace";
  const Run run =
      secure.machine.shell("strace -f -qq -e trace=openat,open -o " + trace.string() +
                               " \"$PROGRAM\" org/small --ca-file " + secure.ca.string(),
                           {{"PATH", "/usr/bin:/bin"},
                            {"SSL_CERT_DIR", "/nonexistent"},
                            {"ASAN_OPTIONS", "detect_leaks=0"}}  // not under strace
      );
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(contains(read_text(trace), "\"/etc/ssl/certs/ca-certificates.crt\""));
}

TEST_CASE("a redirect from https to http is refused, and the token never leaves TLS") {
  const Secure secure({}, HubTls::Where::hub_only);
  const Run run =
      secure.machine.run({"org/small", "--ca-file", secure.ca}, {{"HF_TOKEN", "hf_secret"}});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "protocol");
  CHECK(contains(run.err, "refusing a redirect from https to http"));
  CHECK(secure.hub.requests("payload").empty());
  CHECK(run.summary["totals"]["retries"] == 0);
}

TEST_CASE("plain http from a TLS endpoint is a network error, and nothing is sent") {
  FakeHub hub;
  const TestHost machine("https" + hub.endpoint().substr(4));
  const Run run = machine.run({"org/small", "--retries", "0", "--timeout", "1"});
  CHECK(run.exit_code == 1);
  CHECK((run.error_kind("org/small") == "network" || run.error_kind("org/small") == "timeout"));
  CHECK(hub.requests().empty());
}

}  // namespace model_prep::testing
