// SPDX-License-Identifier: Apache-2.0
#include "support/run_program.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "support/catch.h"
#include "support/temporary_folder.h"

namespace model_prep::testing {
namespace {

std::vector<std::string> shell(const std::string& script) { return {"/bin/sh", "-c", script}; }

}  // namespace

TEST_CASE("a program's exit code and both outputs are kept, however much it writes") {
  const ProgramResult result =
      run_program(shell("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; exit 3"));
  CHECK(result.exit_code == 3);
  CHECK_FALSE(result.signal.has_value());
  CHECK(result.out.size() == 300'000);
  CHECK(result.err.size() == 300'000);
}

TEST_CASE("a program gets the given environment and nothing else") {
  ::setenv("MODEL_PREP_STRAY", "1", 1);
  const ProgramResult stated =
      run_program(shell("echo $MODEL_PREP_STRAY-$GIVEN"), {{"GIVEN", "a=b"}});
  CHECK(stated.out == "-a=b\n");
  ProgramOptions options;
  options.environment = ProgramOptions::Environment::inherited;
  CHECK(run_program(shell("echo $MODEL_PREP_STRAY-$GIVEN"), {{"GIVEN", "c"}}, options).out ==
        "1-c\n");
  ::unsetenv("MODEL_PREP_STRAY");
}

TEST_CASE("working directory and standard input are as requested") {
  const TemporaryFolder folder;
  ProgramOptions options;
  options.folder = folder.path();
  CHECK(run_program({"pwd"}, {}, options).out == folder.path().string() + "\n");
  CHECK(run_program({"cat"}).exit_code == 0);
  options.input = ProgramOptions::Input::closed;
  CHECK(run_program({"cat"}, {}, options).exit_code == 1);
}

TEST_CASE("a program that exceeds its time is killed with its children") {
  ProgramOptions options;
  options.timeout = std::chrono::milliseconds(50);
  const ProgramResult result = run_program(shell("echo begun; sleep 60 & wait"), {}, options);
  CHECK(result.timed_out);
  CHECK(result.signal == SIGKILL);
  CHECK(result.out == "begun\n");
}

TEST_CASE("a missing program cannot be started") {
  CHECK_THROWS_AS(run_program({"/no/such/program"}), std::system_error);
}

TEST_CASE("a running program can be watched, signalled and waited for") {
  RunningProgram program(shell(
      "trap 'echo caught >&2; exit 7' TERM; echo ready >&2; echo out; while :; do sleep 0.01; done"));
  REQUIRE(program.wait_for_err("ready"));
  REQUIRE(program.wait_for_out("out"));
  CHECK(program.running());
  CHECK(program.err_lines() == std::vector<std::string>{"ready"});
  program.send_signal(SIGTERM);
  const ProgramResult result = program.wait();
  CHECK(result.exit_code == 7);
  CHECK(result.err == "ready\ncaught\n");
  CHECK_FALSE(program.running());
  CHECK_FALSE(program.wait_for_err("never", std::chrono::milliseconds(1)));
  program.send_signal(SIGTERM);
  CHECK(program.wait().exit_code == 7);
}

TEST_CASE("a running program does not outlive its object") {
  pid_t pid = 0;
  {
    const RunningProgram program(shell("sleep 60"));
    pid = program.pid();
  }
  CHECK(::kill(pid, 0) != 0);
}

TEST_CASE("a temporary directory is removed with its content, including unreadable directories") {
  std::filesystem::path path;
  {
    const TemporaryFolder folder;
    path = folder.path();
    std::filesystem::create_directories(folder / "a/b");
    std::ofstream(folder / "a/b/c") << "x";
    std::filesystem::create_directory_symlink("/", folder / "link");
    std::filesystem::permissions(folder / "a/b", std::filesystem::perms::none);
    std::filesystem::permissions(folder / "a", std::filesystem::perms::none);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

}  // namespace model_prep::testing
