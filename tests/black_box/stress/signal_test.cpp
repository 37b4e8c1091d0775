// SPDX-License-Identifier: Apache-2.0
// SIGTERM and SIGINT at every stage of a run, also as process 1 of a container: the run ends within
// a second, with a summary. During a download: resume_test.cpp.
#include <netinet/in.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fcntl.h>

#include <chrono>
#include <thread>

#include "black_box/test_host.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

enum class As { child, process_one };

const std::vector<std::string> kUnshare = {"unshare", "--pid", "--fork", "--mount-proc"};

bool cannot_be_process_one() {
  std::vector<std::string> command = kUnshare;
  command.emplace_back("true");
  if (run_program(command).exit_code == 0) return false;
  skip_test("unshare IS NOT HERE, OR MAY NOT MAKE A PID NAMESPACE");
  return true;
}

/// The program, directly or as process 1 of a PID namespace.
class Stopped {
 public:
  Stopped(const TestHost& machine, As as, const std::vector<std::string>& arguments)
      : machine_(machine), as_(as) {
    std::vector<std::string> argv;
    if (as == As::process_one) argv = kUnshare;
    argv.push_back(tested_program());
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    program_ = std::make_unique<RunningProgram>(argv, machine.environment());
  }
  Stopped(const TestHost& machine, As as, const std::string& script) : machine_(machine), as_(as) {
    std::vector<std::string> argv;
    if (as == As::process_one) argv = kUnshare;
    argv.insert(argv.end(), {"/bin/sh", "-c", script});
    program_ = std::make_unique<RunningProgram>(
        argv, machine.environment({{"PROGRAM", tested_program()}}));
  }

  RunningProgram& program() { return *program_; }

  void send(int number) const {
    pid_t pid = program_->pid();
    if (as_ == As::process_one) {
      const std::string task =
          "/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children";
      pid = static_cast<pid_t>(std::stol(read_text(task)));
    }
    REQUIRE(::kill(pid, number) == 0);
  }

  /// Sends the signal and checks the end of the run.
  void stop_with(int number) {
    const auto begun = steady_clock::now();
    send(number);
    const Run run = machine_.end_of(*program_);
    INFO(run.err);
    CHECK(steady_clock::now() - begun < std::chrono::seconds(1));
    CHECK(run.exit_code == 128 + number);
    REQUIRE(run.summary.is_object());
    CHECK(run.summary["exit_code"] == 128 + number);
    for (const auto& [key, model] : run.summary["models"].items())
      CHECK(model["status"] == "interrupted");
  }

 private:
  const TestHost& machine_;
  As as_;
  std::unique_ptr<RunningProgram> program_;
};

/// An address that never responds: a socket that does not accept, with a full queue.
class BlackHole {
 public:
  BlackHole() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t length = sizeof address;
    add(SOCK_STREAM);
    REQUIRE(::bind(sockets_[0], generic, length) == 0);
    REQUIRE(::listen(sockets_[0], 0) == 0);
    REQUIRE(::getsockname(sockets_[0], generic, &length) == 0);
    port_ = ntohs(address.sin_port);
    for (int i = 0; i < 4; ++i) {
      add(SOCK_STREAM | SOCK_NONBLOCK);
      static_cast<void>(
          ::connect(sockets_.back(), generic, length));  // answered or not: they take up the room
    }
  }
  ~BlackHole() {
    for (const int fd : sockets_) ::close(fd);
  }
  BlackHole(const BlackHole&) = delete;
  BlackHole& operator=(const BlackHole&) = delete;
  std::string address() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  void add(int type) { sockets_.push_back(::socket(AF_INET, type | SOCK_CLOEXEC, 0)); }
  std::vector<int> sockets_;
  unsigned port_ = 0;
};

const std::string kCommit(40, '1');
const std::string kBlob(64, 'a');

/// A lock of a 20 GB file, which needs no bytes on the hub and no request.
std::string manifest_of_a_large_file() {
  return R"({"version":1,"models":{"large":{"repo":"org/large","revision":")" + kCommit +
         R"(","variants":{"fp32":{"include":["*"]}},"locked":["fp32"],"files":{"model.safetensors":{"size":20000000000,)" +
         R"("sha256":")" + kBlob + "\"}}}}}";
}

/// The program, for which strace delays system calls as `injection` says.
std::unique_ptr<RunningProgram> start_slowly(const TestHost& machine, const std::string& injection,
                                             const std::string& arguments) {
  const std::string script =
      "exec strace -D -f -qq -o /dev/null -e trace=fdatasync,symlinkat "
      "-e inject=" +
      injection + " \"$0\" " + arguments;
  return std::make_unique<RunningProgram>(
      std::vector<std::string>{"/bin/sh", "-c", script, tested_program()},
      machine.environment({{"ASAN_OPTIONS", "detect_leaks=0"}}));
}

As any_way() { return GENERATE(As::child, As::process_one); }
bool is_impossible(As as) { return as == As::process_one && cannot_be_process_one(); }

}  // namespace

TEST_CASE("a signal in the middle of a download also ends process 1") {
  if (cannot_be_process_one()) return;
  const int number = GENERATE(SIGTERM, SIGINT);
  FakeHub hub;
  hub.add(large_repo(4'000'000));
  hub.add(
      Fault{.on = Fault::On::payload, .times = -1, .what = Drip{.bytes_per_second = 1'000'000}});
  const TestHost machine(hub);
  Stopped stopped(machine, As::process_one, std::vector<std::string>{"org/large"});
  REQUIRE(
      hub.wait_until([](const auto& log) { return sent_of(log, "model.safetensors") > 500'000; }));
  stopped.stop_with(number);
}

TEST_CASE("a signal while a large file is hashed ends the run") {
  const As as = any_way();
  if (is_impossible(as)) return;
  TestHost machine("http://127.0.0.1:1");
  machine.use_manifest(manifest_of_a_large_file());
  const fs::path blob = machine.cache() / "models--org--large/blobs" / kBlob;
  write_text(blob, "");
  fs::resize_file(blob, 20'000'000'000);  // a hole: it takes no room, but time to hash
  Stopped stopped(machine, as, std::vector<std::string>{"large", "--log-level", "debug"});
  REQUIRE(stopped.program().wait_for_err("hashing it"));
  stopped.stop_with(SIGTERM);
}

TEST_CASE("a signal while another process holds a lock ends the run") {
  const As as = any_way();
  if (is_impossible(as)) return;
  FakeHub hub;
  const HubRepo repo = large_repo(1000);
  hub.add(repo);
  const TestHost machine(hub);
  const std::string name =
      blob_of(machine, repo, "model.safetensors").filename().string() + ".lock";
  const fs::path lock = machine.cache() / ".locks/models--org--large" / name;
  write_text(lock, "");
  const int fd = ::open(lock.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(::flock(fd, LOCK_EX | LOCK_NB) == 0);
  Stopped stopped(machine, as, std::vector<std::string>{"org/large"});
  REQUIRE(stopped.program().wait_for_err("waiting for"));
  stopped.stop_with(SIGTERM);
  ::close(fd);
}

TEST_CASE("a signal during a back-off ends the run") {
  const As as = any_way();
  if (is_impossible(as)) return;
  FakeHub hub;
  hub.add(small_repo());
  hub.add(Fault{.on = Fault::On::tree, .what = Status{503, {{"Retry-After", "3600"}}}});
  const TestHost machine(hub);
  Stopped stopped(machine, as, std::vector<std::string>{"org/small"});
  REQUIRE(stopped.program().wait_for_err("trying again"));
  stopped.stop_with(SIGINT);
}

TEST_CASE("a signal during an unanswered connect ends the run") {
  const As as = any_way();
  if (is_impossible(as)) return;
  const BlackHole hole;
  const TestHost machine(hole.address());
  Stopped stopped(machine, as, std::vector<std::string>{"org/small", "--log-level", "debug"});
  REQUIRE(stopped.program().wait_for_err("looking up"));
  stopped.stop_with(SIGTERM);
}

TEST_CASE("a signal while a disk takes long to sync a file is answered by the summary at once") {
  if (!may_trace()) return;
  FakeHub hub;
  hub.add(large_repo(300'000));
  const TestHost machine(hub);
  auto program = start_slowly(machine, "fdatasync:delay_enter=12000000", "org/large --summary -");
  REQUIRE(hub.wait_until([](const auto& log) { return sent_of(log, "model.safetensors") > 0; }));
  std::this_thread::sleep_for(milliseconds(1000));  // it is received and hashed
  program->send_signal(SIGTERM);
  CHECK(program->wait_for_err("0 of 1 model ready", std::chrono::seconds(6)));
  const ProgramResult run = program->wait();  // strace ends it after the delay only
  CHECK(run.exit_code == 143);
  CHECK(nlohmann::json::parse(run.out)["exit_code"] == 143);
}

TEST_CASE("a signal between the download and the export ends the run") {
  if (!may_trace()) return;
  FakeHub hub;
  const HubRepo repo = large_repo(300'000);
  hub.add(repo);
  const TestHost machine(hub);
  const fs::path out = machine.folder() / "out";
  auto program = start_slowly(machine, "symlinkat:delay_enter=5000000:when=1",
                              "org/large --to dir:" + out.string());

  // Its links are about to be made.
  const fs::path snapshot = machine.cache() / "models--org--large/snapshots" / main_of(repo);
  while (program->running() && !fs::exists(snapshot)) std::this_thread::sleep_for(milliseconds(5));
  program->send_signal(SIGTERM);
  const Run run = machine.end_of(*program);
  CAPTURE(run.err);
  CHECK(run.exit_code == 143);
  CHECK(run.model("org/large")["status"] == "downloaded");
  CHECK_FALSE(fs::exists(out / "org--large"));
}

TEST_CASE("a second signal ends the program at once, even while it writes the summary") {
  const As as = any_way();
  if (is_impossible(as)) return;
  FakeHub hub;
  hub.add(small_repo());
  hub.add(Fault{.on = Fault::On::repo_info, .what = Stall{}});
  const TestHost machine(hub);
  // Standard output is a full pipe without a reader, so that writing the summary blocks.
  Stopped stopped(machine, as,
                  "mkfifo " + (machine.folder() / "full").string() + "; exec 3<>" +
                      (machine.folder() / "full").string() +
                      "; head -c 65536 /dev/zero >&3; exec \"$PROGRAM\" org/small --summary - >&3");
  REQUIRE(hub.wait_until([](const auto& log) { return !log.empty(); }));
  stopped.send(SIGTERM);
  REQUIRE(stopped.program().wait_for_err("stopped by SIGTERM"));
  CHECK(stopped.program().running());
  const auto begun = steady_clock::now();
  stopped.send(SIGINT);
  const ProgramResult result = stopped.program().wait();
  CHECK(steady_clock::now() - begun < std::chrono::seconds(1));
  CHECK(result.exit_code == 128 + SIGINT);
}

}  // namespace model_prep::testing
