// SPDX-License-Identifier: Apache-2.0
// Runs a program for a test, in an environment that the test defines completely.
//
//   auto result = run_program({kProgram, "--help"}, {{"HF_HOME", folder.path()}});
//   CHECK(result.exit_code == 0);
//
// The child gets PATH, the sanitizer options (ASAN_OPTIONS, LSAN_OPTIONS, TSAN_OPTIONS,
// UBSAN_OPTIONS) and `env`, nothing else. It blocks and ignores no signal and leads its own process
// group.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace model_prep::testing {

struct ProgramOptions {
  enum class Input { dev_null, closed };
  enum class Environment {
    stated,
    inherited
  };  ///< inherited: env is added to our whole environment

  std::filesystem::path folder;  ///< empty: ours
  Input input = Input::dev_null;
  Environment environment = Environment::stated;
  std::chrono::milliseconds timeout{60'000};  ///< then the whole process group is killed
};

struct ProgramResult {
  std::optional<int> exit_code;  ///< none: ended by `signal`
  std::optional<int> signal;
  bool timed_out = false;
  std::string out;
  std::string err;
};

using ProgramEnvironment = std::map<std::string, std::string>;

/// Runs it to its end. argv[0] is looked up in PATH if it has no slash. Throws std::system_error if
/// it cannot start.
ProgramResult run_program(const std::vector<std::string>& argv, const ProgramEnvironment& env = {},
                          const ProgramOptions& options = {});

/// A program that runs in parallel with the test. The destructor kills it with its process group.
class RunningProgram {
 public:
  explicit RunningProgram(const std::vector<std::string>& argv, const ProgramEnvironment& env = {},
                          const ProgramOptions& options = {});
  ~RunningProgram();
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;

  pid_t pid() const;
  bool running() const;

  /// Does nothing if it has ended.
  void send_signal(int number);

  std::string out() const;                     ///< so far
  std::vector<std::string> err_lines() const;  ///< whole lines so far
  /// Waits for a line on standard error (standard output) that contains `text`; false at the end of
  /// the program or after `timeout`.
  bool wait_for_err(const std::string& text,
                    std::chrono::milliseconds timeout = std::chrono::seconds(10)) const;
  bool wait_for_out(const std::string& text,
                    std::chrono::milliseconds timeout = std::chrono::seconds(10)) const;

  /// Waits for the end; after the options' timeout, counted from this call, kills the group. May be
  /// called again.
  ProgramResult wait();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace model_prep::testing
