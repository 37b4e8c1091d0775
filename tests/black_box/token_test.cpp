// SPDX-License-Identifier: Apache-2.0
// Secrets: which servers get the token, and that no output contains it or a password.
#include <csignal>
#include <fstream>

#include "support/catch.h"
#include "support/hub_tls.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

// A text that cannot occur by chance.
const std::string kToken = "hf_xyzzyTOKENxyzzy0123456789";
// Also finds it truncated, in capitals or as base64.
const std::string kTraces[] = {"xyzzyTOKEN",     "TOKENxyzzy",   "XYZZY",
                               "eHl6enlUT0tFTn", "h5enp5VE9LRU", "4eXp6eVRPS0VO"};

HubOptions with_token(HubOptions options = {}) {
  options.tokens = {kToken};
  return options;
}

bool has_trace(const std::string& text) {
  for (const std::string& trace : kTraces)
    if (contains(text, trace)) return true;
  return false;
}

/// The names and contents of everything in the directory.
std::string everything_in(const fs::path& folder) {
  std::string all;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    all += entry.path().string() + "\n";
    if (entry.is_symlink()) all += fs::read_symlink(entry.path()).string() + "\n";
    if (entry.is_regular_file() && !entry.is_symlink()) all += read_text(entry.path()) + "\n";
  }
  return all;
}

std::string command_line_of(pid_t pid) {
  return read_text("/proc/" + std::to_string(pid) + "/cmdline");
}

/// How the program gets the token: by a variable, or by a file outside of its output.
enum class Source { variable, file };

struct TokenPlace {
  FakeHub hub;
  TestHost machine;
  TemporaryFolder secrets;
  ProgramEnvironment environment;

  TokenPlace(Source source, HubOptions options = {})
      : hub(with_token(std::move(options))), machine(hub) {
    if (source == Source::variable) {
      environment["HF_TOKEN"] = kToken;
    } else {
      write_text(secrets / "token", kToken + "\n");
      environment["HF_TOKEN_PATH"] = secrets / "token";
    }
  }

  /// Neither the output of the run nor any file that it left has a trace of the token.
  void check_silence(const Run& run) const {
    INFO(run.err);
    CHECK(contains(run.err, "debug"));  // messages of that level were logged
    CHECK_FALSE(has_trace(run.out));
    CHECK_FALSE(has_trace(run.err));
    CHECK_FALSE(has_trace(run.summary.dump()));
    CHECK_FALSE(has_trace(everything_in(machine.folder())));
  }
  /// The Hub's origin got the token, so it was in use, and the payload host did not.
  void check_origins() const {
    bool sent = false;
    for (const LoggedRequest& request : hub.requests()) {
      const bool has = request.headers.contains("authorization");
      CHECK((request.origin == "hub" || !has));
      CHECK_FALSE(has_trace(request.target));
      sent = sent || has;
    }
    CHECK(sent);
  }
};

std::vector<std::string> debug(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--log-level", "debug", "--retries", "1"});
  return arguments;
}

}  // namespace

TEST_CASE("an endpoint with a login in its URL gets that, and not the token") {
  const std::string login = "dXNlcjp3b3Jk";  // user:word, in base64
  HubOptions options;
  options.tokens = {login};
  FakeHub hub(options);
  hub.add(small_repo());
  std::string with_login = hub.endpoint();
  with_login.replace(0, 7, "http://user:word@");
  const TestHost machine(with_login);
  const Run run = machine.run({"org/small"}, {{"HF_TOKEN", kToken}});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  REQUIRE_FALSE(hub.requests("resolve").empty());
  for (const LoggedRequest& request : hub.requests())
    if (request.origin == "hub") CHECK(request.headers.at("authorization") == "Basic " + login);
}

TEST_CASE("the token is in nothing that any run writes, and goes to the Hub's origin only") {
  const Source source = GENERATE(Source::variable, Source::file);
  TokenPlace place(source);
  place.hub.add(small_repo());
  const auto run = [&](const std::vector<std::string>& arguments, ProgramEnvironment more = {}) {
    more.insert(place.environment.begin(), place.environment.end());
    return place.machine.run(debug(arguments), more);
  };

  SECTION("a run that succeeds, with redirects on the way") {
    const Run good = run({"org/small"});
    CHECK(good.exit_code == 0);
    CHECK_FALSE(place.hub.requests("payload").empty());
    place.check_silence(good);
  }
  SECTION("a summary on stdout") {
    const Run good = run({"org/small", "--summary", "-"});
    CHECK(contains(good.out, "\"success\": true"));
    place.check_silence(good);
  }
  SECTION("a run that is refused") {
    place.hub.add(Fault{.times = -1, .what = Status{403, {{"X-Error-Code", "GatedRepo"}}, "no"}});
    const Run refused = run({"org/small"});
    CHECK(refused.error_kind("org/small") == "gated");
    place.check_silence(refused);
  }
  SECTION("a hub that echoes the token in its error") {
    place.hub.add(Fault{.times = -1, .what = Redirect{"https://127.0.0.1:1/"}});
    const Run astray = run({"org/small"});
    CHECK(astray.exit_code == 1);
    place.check_silence(astray);
  }
  SECTION("a run that fails for the network, with a JSON log") {
    place.hub.add(Fault{.times = -1, .what = Reset{}});
    const Run failed = run({"org/small", "--log-format", "json"});
    CHECK(failed.error_kind("org/small") == "network");
    place.check_silence(failed);
  }
  SECTION("a redirect to another port of the same host") {
    FakeHub other;
    place.hub.add(Fault{.on = Fault::On::repo_info,
                        .what = Redirect{other.endpoint() + "/api/models/org/small"}});
    const Run astray = run({"org/small"});
    CHECK(astray.exit_code == 1);
    REQUIRE_FALSE(other.requests().empty());
    for (const LoggedRequest& request : other.requests())
      CHECK_FALSE(request.headers.contains("authorization"));
    place.check_silence(astray);
  }
  SECTION("a redirect to itself, spelled differently") {
    place.hub.add(Fault{.on = Fault::On::repo_info,
                        .what = Redirect{"http://other@" + place.hub.endpoint().substr(7) +
                                         "/api/models/org/small/revision/main?again"}});
    const Run again = run({"org/small"});
    CHECK(again.exit_code == 0);
    place.check_silence(again);
  }
  place.check_origins();
}

TEST_CASE("a killed run leaves no token on its command line or on disk") {
  TokenPlace place(Source::variable);
  place.hub.add(large_repo(3'000'000));
  place.hub.add(Fault{.on = Fault::On::payload, .times = -1, .what = Stall{.after = 100'000}});
  const auto program = place.machine.start(debug({"org/large"}), place.environment);
  REQUIRE(place.hub.wait_until(
      [](const auto& log) { return sent_of(log, "model.safetensors") >= 100'000; }));
  CHECK_FALSE(has_trace(command_line_of(program->pid())));
  CHECK(contains(command_line_of(program->pid()), "org/large"));
  program->send_signal(GENERATE(SIGKILL, SIGTERM));
  place.check_silence(place.machine.end_of(*program));
  place.check_origins();
}

TEST_CASE("the token goes to a hub behind TLS, not to its payload host") {
  HubOptions options;
  options.tls = self_signed();
  const TokenPlace place(Source::variable, options);
  const_cast<TokenPlace&>(place).hub.add(small_repo());
  write_text(place.secrets / "ca.pem", options.tls->certificate);
  const Run run = place.machine.run(debug({"org/small", "--ca-file", place.secrets / "ca.pem"}),
                                    place.environment);
  CHECK(run.exit_code == 0);
  CHECK_FALSE(contains(run.err, "unencrypted"));
  place.check_silence(run);
  place.check_origins();
}

TEST_CASE("over plain http the token is sent only to an http endpoint, with a warning") {
  TokenPlace place(Source::variable);
  place.hub.add(small_repo());
  const Run run = place.machine.run(debug({"org/small"}), place.environment);
  CHECK(contains(run.err, "the token is sent to " + place.hub.endpoint() + " unencrypted"));
  place.check_origins();
}

TEST_CASE("a password in the endpoint's URL is shown nowhere") {
  const std::string password = "xyzzyTOKENxyzzy";
  FakeHub hub;
  hub.add(small_repo());
  const std::string port = hub.endpoint().substr(hub.endpoint().rfind(':'));
  const std::string address = GENERATE_COPY(
      "http://user:" + password + "@127.0.0.1" + port, "http://user:" + password + "@127.0.0.1:1",
      "http://user:" + password + "@no-such-host.invalid",
      "http://user:" + password + "@127.0.0.1" + port + "/?query",
      "http://user:" + password + "@a b c", "ftp://user:" + password + "@127.0.0.1",
      "user:" + password + "@127.0.0.1", "http://user:12/" + password + "@127.0.0.1");
  const TestHost machine(address);
  const Run run = machine.run(debug({"org/small"}));
  INFO(address << "\n" << run.err);
  CHECK(run.exit_code == 1);  // the test hub has tokens, no passwords
  CHECK_FALSE(has_trace(run.out + run.err + run.summary.dump()));
  CHECK_FALSE(has_trace(everything_in(machine.folder())));
}

TEST_CASE("a token with an invalid character is reported without showing it") {
  const TestHost machine("http://127.0.0.1:1");
  const Run run = machine.run({"org/small"}, {{"HF_TOKEN", kToken + "\nX-Evil: 1"}});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "the token in HF_TOKEN contains an invalid character"));
  CHECK_FALSE(has_trace(run.out + run.err));
}

}  // namespace model_prep::testing
