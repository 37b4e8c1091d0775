// SPDX-License-Identifier: Apache-2.0
// A host that is down when the program starts, or for a while: --patience.
#include <memory>

#include "support/catch.h"
#include "support/reserved_ports.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++found;
  return found;
}

}  // namespace

TEST_CASE("a hub that comes up after the program is waited for, by every command that asks it") {
  const auto [arguments, answer] = GENERATE(
      table<std::vector<std::string>, std::string>({{{"org/small"}, "ready"},
                                                    {{"org/small", "--dry-run"}, "org/small"},
                                                    {{"lock", "org/small"}, "sha256"}}));
  const ReservedPorts ports;
  const TestHost machine(ports.address());
  const auto program = machine.start(arguments);
  REQUIRE(program->wait_for_err("trying again"));
  const FakeHub hub(ports.options(), {small_repo()});
  const Run run = machine.end_of(*program);
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(contains(run.out + run.err, answer));
  CHECK(
      contains(run.err, "for up to 5 min; check the network, the proxy variables and HF_ENDPOINT"));
  CHECK(count_of(run.err, "; check the network") == 1);
}

TEST_CASE("a hub that is up but not ready is waited for, and costs no file an attempt") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const Fault::On on = GENERATE(Fault::On::repo_info, Fault::On::resolve, Fault::On::payload);
  hub.add(Fault{.on = on, .times = 2, .what = Status{503}});
  const TestHost machine(hub);
  const Run run = machine.run({"org/small", "--jobs", "1"});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
  CHECK(count_of(run.err, "is unavailable (status 503): trying again") == 2);
  CHECK_FALSE(contains(run.err, "failure 1 of"));
}

TEST_CASE("a hub that stays down ends the run after --patience, with few requests") {
  const bool answers = GENERATE(false, true);
  FakeHub busy;
  busy.add(Fault{.times = -1, .what = Status{503}});
  const TestHost machine(answers ? busy.endpoint() : "http://127.0.0.1:1");
  const Run run = machine.run({"org/small", "org/other"}, {{"MODEL_PREP_PATIENCE", "2"}});
  INFO(run.err);
  CHECK(run.exit_code == 1);
  CHECK(run.summary["duration_s"] >= 2.0);
  CHECK(run.error_kind("org/small") == (answers ? "server" : "network"));
  CHECK(run.error_kind("org/other") == (answers ? "server" : "network"));
  CHECK(contains(run.err, "; gave up after"));
  CHECK(run.summary["totals"]["requests"] < 12);
}

TEST_CASE("a deadline ends the wait for a hub that is down") {
  const TestHost machine("http://127.0.0.1:1");
  const Run run = machine.run({"org/small", "--deadline", "1"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "deadline");
}

TEST_CASE("without patience a hub that is down ends the run after its attempts") {
  const TestHost machine("http://127.0.0.1:1");
  const Run run = machine.run({"org/small", "--patience", "0", "--retries", "2"});
  INFO(run.err);
  CHECK(run.error_kind("org/small") == "network");
  CHECK(run.summary["totals"]["requests"] == 2);
  CHECK(contains(run.err, "failure 1 of 2"));
}

TEST_CASE("a hub that goes down in the middle of a download is waited for") {
  const HubRepo repo = large_repo(30'000'000);
  const ReservedPorts ports;
  HubOptions options = ports.options();
  options.bytes_per_second_per_connection = 8'000'000;
  auto hub = std::make_unique<FakeHub>(options);
  hub->add(repo);
  const TestHost machine(*hub);
  const auto program = machine.start({"org/large", "--jobs", "2"});
  REQUIRE(hub->wait_until(
      [](const auto& log) { return sent_of(log, "model.safetensors") > 6'000'000; }));
  hub.reset();
  REQUIRE(program->wait_for_err("trying again"));
  const FakeHub again(options, {repo});
  const Run run = machine.end_of(*program);
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
  CHECK(sent_of(again, "model.safetensors") < 30'000'000);
}

}  // namespace model_prep::testing
