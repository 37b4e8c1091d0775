// SPDX-License-Identifier: Apache-2.0
// list: what the manifest names and how much of it is cached, on stdout.
#include <algorithm>
#include <sstream>

#include "prepared.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

nlohmann::json listed(const TestHost& machine, const std::string& model) {
  const Run run = machine.run({"list", "--json", model});
  CAPTURE(run.err);
  REQUIRE(run.exit_code == 0);
  return nlohmann::json::parse(run.out)["models"][0];
}

std::string state_of(const TestHost& machine, const std::string& model) {
  return listed(machine, model)["state"];
}

}  // namespace

TEST_CASE("list shows the built-in models with their sizes before anything is cached") {
  FakeHub hub;
  const TestHost machine(hub);
  const Run run = machine.run({"list"});
  CHECK(run.exit_code == 0);
  CHECK(run.err.empty());
  CHECK(contains(
      run.out, "MODEL              REPOSITORY                              REVISION      VARIANT"));
  CHECK(contains(run.out,
                 "all-MiniLM-L6-v2   sentence-transformers/all-MiniLM-L6-v2  fa97f6e7cb1a  fp32"));
  CHECK(contains(run.out, " MB  missing  -\n"));
  CHECK(hub.requests().empty());
  CHECK_FALSE(fs::exists(machine.home()));
}

TEST_CASE("list shows a model as cached, partial, other revision or missing") {
  Prepared prepared;
  const std::string snapshot = prepared.in_repo("snapshots/" + main_of(prepared.repo));
  const auto cached = listed(prepared.machine, prepared.pinned);
  CHECK(cached["state"] == "cached");
  CHECK(cached["where"] == snapshot);
  CHECK(cached["commit"] == main_of(prepared.repo));
  CHECK(cached["size"] == prepared.machine.run({prepared.pinned}).summary["totals"]["bytes"]);
  CHECK(state_of(prepared.machine, "org/small") == "cached");  // by refs/main
  CHECK(state_of(prepared.machine, "org/none") == "missing");

  const auto other = listed(prepared.machine, "org/small@" + std::string(40, 'a'));
  CHECK(other["state"] == "other revision");
  CHECK(other["where"] == snapshot);
  CHECK(other["size"].is_null());

  fs::remove(prepared.blob("config.json"));
  CHECK(state_of(prepared.machine, prepared.pinned) == "partial");
  CHECK(prepared.hub.requests().empty());
}

TEST_CASE("a wrong ref, or a snapshot without a record, makes a model partial") {
  Prepared prepared;
  fs::remove(prepared.in_repo("refs/main"));
  CHECK(state_of(prepared.machine, prepared.pinned) == "partial");
  prepared.machine.run({prepared.pinned});
  REQUIRE(state_of(prepared.machine, prepared.pinned) == "cached");
  fs::remove(prepared.record());
  fs::remove_all(prepared.in_repo("trees"));
  CHECK(state_of(prepared.machine, prepared.pinned) == "partial");
}

TEST_CASE("an interrupted download makes a model partial") {
  FakeHub hub;
  const HubRepo repo = large_repo(3'000'000);
  hub.add(repo);
  hub.add(Fault{.on = Fault::On::payload,
                .path = "model.safetensors",
                .times = -1,
                .what = Reset{.after = 2'000'000}});
  TestHost machine(hub);
  machine.use_manifest(hub.manifest());
  REQUIRE(machine.run({"--retries", "0"}).exit_code == 1);
  const Run run = machine.run({"list", "--json"});
  CHECK(nlohmann::json::parse(run.out)["models"][0]["state"] == "partial");
}

TEST_CASE("list does not touch the last run's summary, and is plain text when piped") {
  Prepared prepared;
  const std::string before = read_text(prepared.machine.summary());
  const Run run = prepared.machine.run({"list", prepared.pinned});
  CHECK(read_text(prepared.machine.summary()) == before);
  CHECK(contains(run.out, prepared.in_repo("snapshots/" + main_of(prepared.repo)).string() + "\n"));
  CHECK_FALSE(contains(run.out, "\x1b"));
  CHECK_FALSE(contains(run.out, "…"));
}

TEST_CASE("on a terminal the table fits its width") {
  if (run_program({"/bin/sh", "-c", "command -v script"}).exit_code != 0) {
    skip_test("THERE IS NO script(1) FOR A PSEUDO-TERMINAL");
    return;
  }
  Prepared prepared;
  const Run run = prepared.machine.shell("exec script -qefc 'stty cols 90; $PROGRAM list " +
                                         prepared.pinned + "' /dev/null");
  CHECK(run.exit_code == 0);
  CHECK(contains(run.out, "…"));
  std::istringstream lines(run.out);
  for (std::string line; std::getline(lines, line);) {
    const auto characters = std::count_if(line.begin(), line.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    });
    CHECK(characters <= 91);  // and a carriage return
  }
}

TEST_CASE("list fails for an unknown model") {
  FakeHub hub;
  const TestHost machine(hub);
  const Run run = machine.run({"list", "nosuch"});
  CHECK(run.exit_code == 1);
  CHECK(run.out.empty());
  CHECK(contains(run.err, "unknown model 'nosuch'"));
}

}  // namespace model_prep::testing
