// SPDX-License-Identifier: Apache-2.0
// Proxies (docs/reference.md), with Debian's tinyproxy.
#include <unistd.h>

#include "support/catch.h"
#include "support/hub_connection.h"
#include "support/hub_tls.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

bool tinyproxy_is_here() {
  for (const char* path : {"/usr/bin/tinyproxy", "/usr/sbin/tinyproxy"})
    if (::access(path, X_OK) == 0) return true;
  skip_test("THERE IS NO tinyproxy; docker/packages NAMES IT");
  return false;
}

std::string free_port() {
  const std::string origin = origin_of(listen_on_loopback(0));
  return origin.substr(origin.rfind(':') + 1);
}

/// A proxy that logs its requests. `settings`: more lines for its configuration.
class TinyProxy {
 public:
  explicit TinyProxy(const std::string& settings = {}) {
    for (int attempt = 0; attempt < 10; ++attempt) {
      port_ = free_port();  // another process may take it in the meantime
      const fs::path file = folder_ / "tinyproxy.conf";
      write_text(file, "Port " + port_ +
                           "\nListen 127.0.0.1\nAllow 127.0.0.1\nLogLevel Info\nTimeout 30\n" +
                           settings);
      program_ =
          std::make_unique<RunningProgram>(std::vector<std::string>{"tinyproxy", "-d", "-c", file},
                                           ProgramEnvironment{{"PATH", "/usr/bin:/usr/sbin"}});
      if (program_->wait_for_out("Accepting connections")) return;
    }
    throw std::runtime_error("tinyproxy does not start: " + program_->out());
  }

  std::string at(const std::string& login = {}) const {
    return "http://" + login + "127.0.0.1:" + port_;
  }
  /// Waits for it: the run may have ended before the proxy's line arrives here.
  bool saw(const std::string& request) const { return program_->wait_for_out("): " + request); }

 private:
  TemporaryFolder folder_;
  std::string port_;
  std::unique_ptr<RunningProgram> program_;
};

struct Site {
  FakeHub hub;
  HubRepo repo = small_repo();
  TestHost machine;

  Site() : machine(hub) { hub.add(repo); }
  explicit Site(const HubTls& tls) : hub(options(tls)), machine(hub) {
    hub.add(repo);
    write_text(machine.folder() / "ca.pem", tls.certificate);
  }
  static HubOptions options(const HubTls& tls) {
    HubOptions options;
    options.tls = tls;
    return options;
  }
  Run run(ProgramEnvironment changes) const {
    if (fs::exists(machine.folder() / "ca.pem"))
      changes["SSL_CERT_FILE"] = machine.folder() / "ca.pem";
    return machine.run({"org/small", "--retries", "2", "--log-level", "debug"}, changes);
  }
  std::string everything_said(const Run& run) const {
    return run.out + run.err + run.summary.dump();
  }
};

/// A port without a server, so a run that uses this proxy fails.
std::string dead_proxy(const std::string& login = {}) {
  return "http://" + login + "127.0.0.1:" + free_port();
}

constexpr const char* kSecret = "s3cr3t-of-the-proxy";

}  // namespace

TEST_CASE("plain http uses the proxy of HTTP_PROXY or ALL_PROXY, in upper or lower case") {
  if (!tinyproxy_is_here()) return;
  const std::string variable = GENERATE("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy");
  CAPTURE(variable);
  const TinyProxy proxy;
  const Site site;
  const Run run = site.run({{variable, proxy.at()}});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(proxy.saw("GET " + site.hub.endpoint() + "/api/models/org/small/revision/main"));
  CHECK(proxy.saw("GET " + site.hub.payload_origin()));
  CHECK(tree_of(site.machine.cache()) == published(site.repo));
}

TEST_CASE("https tunnels through the proxy, to hub and payload host alike") {
  if (!tinyproxy_is_here()) return;
  const std::string variable = GENERATE("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy");
  CAPTURE(variable);
  const TinyProxy proxy;
  const Site site(self_signed());
  const Run run = site.run({{variable, proxy.at()}});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(proxy.saw("CONNECT " + site.hub.endpoint().substr(8)));
  CHECK(proxy.saw("CONNECT " + site.hub.payload_origin().substr(8)));
}

TEST_CASE("blanks and line ends at the end of a proxy variable do not count") {
  if (!tinyproxy_is_here()) return;
  const TinyProxy proxy;
  const Site site(self_signed());
  const Run run = site.run({{"https_proxy", " "}, {"HTTPS_PROXY", proxy.at() + " \r\n"}});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(proxy.saw("CONNECT " + site.hub.endpoint().substr(8)));

  const Site direct(self_signed());
  CHECK(direct.run({{"HTTPS_PROXY", " \n"}}).exit_code == 0);
}

TEST_CASE("the scheme's proxy variable beats ALL_PROXY, and lower case beats upper case") {
  if (!tinyproxy_is_here()) return;
  const TinyProxy proxy;
  const Site site;
  CHECK(site.run({{"HTTP_PROXY", proxy.at()}, {"ALL_PROXY", dead_proxy()}}).exit_code == 0);
  fs::remove_all(site.machine.home());
  CHECK(site.run({{"http_proxy", proxy.at()}, {"HTTP_PROXY", dead_proxy()}}).exit_code == 0);
  fs::remove_all(site.machine.home());
  CHECK(site.run({{"HTTPS_PROXY", dead_proxy()}}).exit_code == 0);
}

TEST_CASE("a proxy gets the login from its variable, which is printed nowhere") {
  if (!tinyproxy_is_here()) return;
  const bool tls = GENERATE(false, true);
  const TinyProxy proxy("BasicAuth user " + std::string(kSecret) + "\n");
  const auto site = tls ? std::make_unique<Site>(self_signed()) : std::make_unique<Site>();
  const std::string address = proxy.at("user:" + std::string(kSecret) + "@");
  const Run run = site->run({{tls ? "HTTPS_PROXY" : "HTTP_PROXY", address}});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(proxy.saw(tls ? "CONNECT " : "GET "));
  CHECK_FALSE(contains(site->everything_said(run), kSecret));
  for (const LoggedRequest& request : site->hub.requests())
    CHECK_FALSE(request.headers.contains("proxy-authorization"));
}

TEST_CASE("a proxy that rejects the login is reported as such, without a retry") {
  if (!tinyproxy_is_here()) return;
  const bool tls = GENERATE(false, true);
  const std::string login = GENERATE("", "user:wr0ng-s3cr3t@");
  const std::string variable = tls ? "HTTPS_PROXY" : "HTTP_PROXY";
  const TinyProxy proxy("BasicAuth user " + std::string(kSecret) + "\n");
  const auto site = tls ? std::make_unique<Site>(self_signed()) : std::make_unique<Site>();
  const Run run = site->run({{variable, proxy.at(login)}});
  INFO(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "protocol");
  CHECK(run.summary["totals"]["requests"] == 1);
  CHECK(contains(run.err,
                 "the proxy in " + variable + " requires a user name and password (status 4"));
  CHECK(contains(run.err, "hint: set " + variable));
  CHECK_FALSE(contains(site->everything_said(run), "wr0ng"));
  CHECK(site->hub.requests().empty());
}

TEST_CASE("a proxy that forbids the tunnel is reported as such, without a retry") {
  if (!tinyproxy_is_here()) return;
  const TinyProxy proxy("ConnectPort 1\n");
  const Site site(self_signed());
  const Run run = site.run({{"HTTPS_PROXY", proxy.at()}});
  INFO(run.err);
  CHECK(run.error_kind("org/small") == "protocol");
  CHECK(run.summary["totals"]["requests"] == 1);
  CHECK(contains(run.err, "the proxy in HTTPS_PROXY refused the connection (status 403)"));
}

TEST_CASE("NO_PROXY exempts hosts, suffixes, addresses and networks from the proxy") {
  const auto [host, list] = GENERATE(table<std::string, std::string>({
      {"127.0.0.1", "127.0.0.1"},
      {"127.0.0.1", "10.0.0.0/8, 127.0.0.0/8"},
      {"127.0.0.1", "127.0.0.0/30"},
      {"127.0.0.1", "*"},
      {"127.0.0.1", "localhost,*"},
      {"127.0.0.1", "0.0.0.0/0"},
      {"hub.localhost", "hub.localhost,127.0.0.1"},
      {"hub.localhost", ".localhost,127.0.0.1"},
      {"hub.localhost", "localhost 127.0.0.1"},
      {"hub.localhost", "a.example , LOCALHOST , 127.0.0.1"},
  }));
  const std::string variable = GENERATE("NO_PROXY", "no_proxy");
  CAPTURE(host, list, variable);
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine("http://" + host + hub.endpoint().substr(hub.endpoint().rfind(':')));
  const Run run = machine.run({"org/small", "--retries", "0"},
                              {{"HTTP_PROXY", dead_proxy()}, {variable, list}});
  INFO(run.err);
  CHECK(run.exit_code == 0);
}

TEST_CASE("NO_PROXY exempts nothing else from the proxy") {
  const std::string list =
      GENERATE("127.0.0.2", "128.0.0.0/8", "127.0.0.2/32", "localhost", ".0.1", "example");
  CAPTURE(list);
  const Site site;
  const Run run = site.machine.run({"org/small", "--retries", "0"},
                                   {{"HTTP_PROXY", dead_proxy()}, {"NO_PROXY", list}});
  CHECK(run.error_kind("org/small") == "network");
  CHECK(site.hub.requests().empty());
}

TEST_CASE("an unreachable proxy is a network error that does not show its login") {
  const Site site;
  const std::string login = "user:" + std::string(kSecret) + "@";
  const std::string address =
      GENERATE_COPY(dead_proxy(login), "http://" + login + "no-such-proxy.invalid:3128",
                    "socks5h://" + login + "127.0.0.1:" + free_port());
  const Run run = site.run({{"http_proxy", address}});
  INFO(run.err);
  CHECK(run.error_kind("org/small") == "network");
  CHECK_FALSE(contains(site.everything_said(run), kSecret));
}

TEST_CASE("a proxy variable without a URL is reported without its value") {
  const Site site;
  const std::string login = "user:" + std::string(kSecret) + "@";
  const std::string address =
      GENERATE_COPY("ftp://" + login + "127.0.0.1:3128", "http://" + login + "a b:x",
                    "socks9://" + login + "127.0.0.1:1080", "http://" + login + "h:999999");
  const std::string variable = GENERATE("HTTP_PROXY", "ALL_PROXY");
  const Run run = site.run({{variable, address}});
  INFO(run.err);
  CHECK(run.error_kind("org/small") == "protocol");
  CHECK(run.summary["totals"]["requests"] == 1);
  CHECK(contains(run.err, variable + " is not a proxy URL"));
  CHECK_FALSE(contains(site.everything_said(run), kSecret));
}

}  // namespace model_prep::testing
