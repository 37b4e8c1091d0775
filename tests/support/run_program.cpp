// SPDX-License-Identifier: Apache-2.0
#include "support/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>

#include "support/hub_connection.h"

namespace model_prep::testing {
namespace {

constexpr std::array<const char*, 5> kInherited = {"PATH", "ASAN_OPTIONS", "LSAN_OPTIONS",
                                                   "TSAN_OPTIONS", "UBSAN_OPTIONS"};

void require_zero(int error, const char* what) {
  if (error != 0) throw std::system_error(error, std::generic_category(), what);
}

struct Pipe {
  Descriptor read;
  Descriptor write;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw std::system_error(errno, std::generic_category(), "pipe2");
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

ProgramEnvironment full_environment(const ProgramEnvironment& stated,
                                    ProgramOptions::Environment kind) {
  ProgramEnvironment full = stated;
  if (kind == ProgramOptions::Environment::inherited) {
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string_view text(*entry);
      const std::size_t equals = text.find('=');
      if (equals != std::string_view::npos)
        full.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return full;
  }
  for (const char* name : kInherited) {
    if (const char* value = std::getenv(name)) full.emplace(name, value);
  }
  return full;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  list.reserve(texts.size() + 1);
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

class FileActions {
 public:
  FileActions() {
    require_zero(::posix_spawn_file_actions_init(&actions_), "posix_spawn_file_actions_init");
  }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;

  void duplicate(int from, int to) {
    require_zero(::posix_spawn_file_actions_adddup2(&actions_, from, to), "dup2");
  }
  void close(int number) {
    require_zero(::posix_spawn_file_actions_addclose(&actions_, number), "close");
  }
  void open(int number, const char* path) {
    require_zero(::posix_spawn_file_actions_addopen(&actions_, number, path, O_RDONLY, 0), "open");
  }
  void change_folder(const char* path) {
    require_zero(::posix_spawn_file_actions_addchdir_np(&actions_, path), "chdir");
  }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

// A group of its own, nothing blocked, and the default for all signals: a test runner may ignore
// SIGPIPE or SIGINT.
class SpawnAttributes {
 public:
  SpawnAttributes() {
    require_zero(::posix_spawnattr_init(&attributes_), "posix_spawnattr_init");
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;

  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

pid_t spawn(std::vector<std::string> argv, const ProgramEnvironment& env,
            const ProgramOptions& options, int out, int err) {
  FileActions actions;
  if (!options.folder.empty()) actions.change_folder(options.folder.c_str());
  if (options.input == ProgramOptions::Input::closed) {
    actions.close(STDIN_FILENO);
  } else {
    actions.open(STDIN_FILENO, "/dev/null");
  }
  actions.duplicate(out, STDOUT_FILENO);
  actions.duplicate(err, STDERR_FILENO);
  std::vector<std::string> variables;
  for (const auto& [name, value] : full_environment(env, options.environment)) {
    variables.push_back(name);
    variables.back() += "=" + value;
  }
  const SpawnAttributes attributes;
  pid_t pid = 0;
  require_zero(::posix_spawnp(&pid, argv.at(0).c_str(), actions.get(), attributes.get(),
                              pointers(argv).data(), pointers(variables).data()),
               argv[0].c_str());
  return pid;
}

// Waits for the end but leaves the zombie, so that the pid is not reused before we hold the lock.
void wait_for_exit(pid_t pid) {
  siginfo_t information{};
  while (::waitid(P_PID, static_cast<id_t>(pid), &information, WEXITED | WNOWAIT) != 0 &&
         errno == EINTR) {
  }
}

bool has_line_with(const std::string& text, const std::string& part) {
  const std::size_t at = text.find(part);
  return at != std::string::npos && text.find('\n', at) != std::string::npos;
}

}  // namespace

struct RunningProgram::State {
  State(const std::vector<std::string>& argv, const ProgramEnvironment& env,
        const ProgramOptions& program_options);
  ~State();

  void read_pipes(const Descriptor& out, const Descriptor& err);
  bool read_some(int descriptor, std::string ProgramResult::* text);
  void take_exit();
  void send(int signal_number, pid_t target);
  bool wait_for_line(std::string ProgramResult::* text, const std::string& part,
                     std::chrono::milliseconds timeout) const;

  const ProgramOptions options;
  pid_t pid = 0;
  mutable std::mutex mutex;  // for the two below
  mutable std::condition_variable changed;
  ProgramResult result;
  bool ended = false;  // and reaped: the pid may be another's
  std::jthread reader;
};

RunningProgram::State::State(const std::vector<std::string>& argv, const ProgramEnvironment& env,
                             const ProgramOptions& program_options)
    : options(program_options) {
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  pid = spawn(argv, env, options, out.write.get(), err.write.get());
  reader = std::jthread([this, out_end = std::move(out.read), err_end = std::move(err.read)] {
    read_pipes(out_end, err_end);
    wait_for_exit(pid);
    take_exit();
  });
}

RunningProgram::State::~State() { send(SIGKILL, -pid); }

void RunningProgram::State::send(int signal_number, pid_t target) {
  const std::lock_guard lock(mutex);
  if (!ended) ::kill(target, signal_number);
}

void RunningProgram::State::read_pipes(const Descriptor& out, const Descriptor& err) {
  std::array<pollfd, 2> pipes = {{{out.get(), POLLIN, 0}, {err.get(), POLLIN, 0}}};
  while (pipes[0].fd >= 0 || pipes[1].fd >= 0) {
    if (::poll(pipes.data(), pipes.size(), -1) < 0) continue;
    if (pipes[0].revents != 0 && !read_some(pipes[0].fd, &ProgramResult::out)) pipes[0].fd = -1;
    if (pipes[1].revents != 0 && !read_some(pipes[1].fd, &ProgramResult::err)) pipes[1].fd = -1;
  }
}

bool RunningProgram::State::read_some(int descriptor, std::string ProgramResult::* text) {
  std::array<char, 16'384> bytes;
  const auto count = ::read(descriptor, bytes.data(), bytes.size());
  if (count <= 0) return count < 0 && errno == EINTR;
  {
    const std::lock_guard lock(mutex);
    (result.*text).append(bytes.data(), static_cast<std::size_t>(count));
  }
  changed.notify_all();
  return true;
}

void RunningProgram::State::take_exit() {
  {
    const std::lock_guard lock(mutex);
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
    ended = true;
  }
  changed.notify_all();
}

bool RunningProgram::State::wait_for_line(std::string ProgramResult::* text,
                                          const std::string& part,
                                          std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex);
  changed.wait_for(lock, timeout, [&] { return ended || has_line_with(result.*text, part); });
  return has_line_with(result.*text, part);
}

RunningProgram::RunningProgram(const std::vector<std::string>& argv, const ProgramEnvironment& env,
                               const ProgramOptions& options)
    : state_(std::make_unique<State>(argv, env, options)) {}
RunningProgram::~RunningProgram() = default;

pid_t RunningProgram::pid() const { return state_->pid; }

bool RunningProgram::running() const {
  const std::lock_guard lock(state_->mutex);
  return !state_->ended;
}

void RunningProgram::send_signal(int number) { state_->send(number, state_->pid); }

std::string RunningProgram::out() const {
  const std::lock_guard lock(state_->mutex);
  return state_->result.out;
}

std::vector<std::string> RunningProgram::err_lines() const {
  const std::lock_guard lock(state_->mutex);
  const std::string& text = state_->result.err;
  std::vector<std::string> lines;
  for (std::size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    lines.push_back(text.substr(at, end - at));
  }
  return lines;
}

bool RunningProgram::wait_for_err(const std::string& text,
                                  std::chrono::milliseconds timeout) const {
  return state_->wait_for_line(&ProgramResult::err, text, timeout);
}

bool RunningProgram::wait_for_out(const std::string& text,
                                  std::chrono::milliseconds timeout) const {
  return state_->wait_for_line(&ProgramResult::out, text, timeout);
}

ProgramResult RunningProgram::wait() {
  std::unique_lock lock(state_->mutex);
  const auto ended = [&] { return state_->ended; };
  if (!state_->changed.wait_for(lock, state_->options.timeout, ended)) {
    state_->result.timed_out = true;
    ::kill(-state_->pid, SIGKILL);
    state_->changed.wait(lock, ended);
  }
  return state_->result;
}

ProgramResult run_program(const std::vector<std::string>& argv, const ProgramEnvironment& env,
                          const ProgramOptions& options) {
  return RunningProgram(argv, env, options).wait();
}

}  // namespace model_prep::testing
