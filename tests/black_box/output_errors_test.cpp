// SPDX-License-Identifier: Apache-2.0
// Output that cannot be written: results on stdout, and the summary.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <thread>

#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

/// What prints a result.
const char* const kPrinting[] = {"list",
                                 "list --json",
                                 "lock org/small",
                                 "org/small --dry-run",
                                 "org/small --summary -",
                                 "verify org/small",
                                 "cleanup --dry-run org/small",
                                 "--help",
                                 "lock --help",
                                 "--version"};

/// How the output is lost: the program's arguments go where `%` is.
struct Loss {
  const char* script;
  const char* why;
};

std::string with_arguments(const Loss& loss, const std::string& arguments) {
  std::string script = loss.script;
  return script.replace(script.find('%'), 1, "$PROGRAM " + arguments);
}

/// Its summary is larger than what a pipe holds.
HubRepo repo_of_many_files() {
  std::vector<HubFile> files;
  for (int i = 0; i < 400; ++i) files.push_back({std::to_string(i) + ".json", "{}"});
  return make_repo("org/many", std::move(files));
}

nlohmann::json json_of(const fs::path& file) { return nlohmann::json::parse(read_text(file)); }

}  // namespace

TEST_CASE("a result that cannot be written to stdout is an error and exit code 1") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small"}).exit_code == 0);
  const Loss loss = GENERATE(
      Loss{"% > /dev/full", "No space left on device"}, Loss{"% >&-", "Bad file descriptor"},
      Loss{"mkfifo pipe; (: < pipe) & exec 3> pipe; wait; exec % >&3", "Broken pipe"});
  for (const char* arguments : kPrinting) {
    CAPTURE(arguments);
    const Run run = machine.shell("cd " + machine.folder().string() + "; rm -f pipe; " +
                                  with_arguments(loss, arguments));
    CHECK(run.exit_code == 1);
    CHECK(contains(run.err, std::string("cannot write to stdout: ") + loss.why));
  }
}

TEST_CASE("the summary of a run whose table is lost says so") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const Run run = machine.shell("$PROGRAM org/small --dry-run > /dev/full");
  CHECK(run.summary["exit_code"] == 1);
  CHECK(run.summary["error"]["kind"] == "io");
}

TEST_CASE("with stdout and stderr closed, no file of the cache gets what was meant for them") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const Run run = machine.shell("$PROGRAM org/small --log-level debug <&- >&- 2>&-");
  CHECK(run.exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(small_repo()));
}

TEST_CASE("--dry-run --summary - prints the summary alone") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const Run run = machine.run({"org/small", "--dry-run", "--summary", "-"});
  CHECK(nlohmann::json::parse(run.out)["dry_run"] == true);
}

TEST_CASE("a summary that --summary asks for and that cannot be written is exit code 1") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const Run run = machine.run({"org/small", "--summary", "/proc/no/summary.json"});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "error cannot write the summary: "));
  CHECK(machine.run({"org/small", "--summary", "/dev/full"}).exit_code == 1);
}

TEST_CASE("a summary that cannot be written where a variable or the default says is a warning") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const std::string variable = GENERATE("", "/proc/no/summary.json");
  fs::create_directories(machine.summary());
  const ProgramResult run = run_program({tested_program(), "org/small"},
                                        machine.environment({{"MODEL_PREP_SUMMARY", variable}}));
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err, "warn  cannot write the summary: "));
}

TEST_CASE("/dev/stdout is stdout, whatever it refers to, and stays what it is") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const std::string name = GENERATE("/dev/stdout", "/dev/fd/1", "link", "out");
  const fs::path out = machine.folder() / "out";
  fs::create_symlink("/dev/stdout", machine.folder() / "link");
  const auto before = fs::symlink_status("/dev/stdout").type();
  const Run run =
      machine.shell("cd " + machine.folder().string() +
                    "; echo before > out; exec $PROGRAM org/small --summary " + name + " >> out");
  CHECK(run.exit_code == 0);
  CHECK(fs::symlink_status("/dev/stdout").type() == before);
  CHECK(fs::is_symlink(machine.folder() / "link"));
  const std::string text = read_text(out);
  REQUIRE(text.starts_with("before\n{"));
  CHECK(nlohmann::json::parse(text.substr(7))["success"] == true);
}

TEST_CASE("a summary larger than a pipe's buffer arrives whole, however slow its reader is") {
  FakeHub hub;
  hub.add(repo_of_many_files());
  const TestHost machine(hub);
  const std::string to = GENERATE("named", "-");
  const Run run = machine.shell("cd " + machine.folder().string() +
                                "; mkfifo named; { sleep 1; cat; } < named > read & "
                                "$PROGRAM org/many --summary " +
                                to + (to == "-" ? " > named" : "") + "; code=$?; wait; exit $code");
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  const std::string text = read_text(machine.folder() / "read");
  CHECK(text.size() > 2 * std::size_t{65'536});
  CHECK(nlohmann::json::parse(text)["success"] == true);
}

TEST_CASE("a signal ends a run whose output nobody reads") {
  FakeHub hub;
  hub.add(repo_of_many_files());
  const TestHost machine(hub);
  const std::string to = machine.folder() / "named";
  REQUIRE(::mkfifo(to.c_str(), 0600) == 0);
  const int reader = ::open(to.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const std::string named = GENERATE("named", "-");
  const std::string script = "exec \"$0\" org/many --summary " + (named == "-" ? "- > " + to : to);
  RunningProgram program({"/bin/sh", "-c", script, tested_program()}, machine.environment());

  // Until the pipe is full.
  const auto given_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  const int most = ::fcntl(reader, F_GETPIPE_SZ) - PIPE_BUF;
  int waiting = 0;
  while (waiting < most && std::chrono::steady_clock::now() < given_up) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ::ioctl(reader, FIONREAD, &waiting);
  }
  REQUIRE(waiting >= most);
  program.send_signal(SIGTERM);
  CHECK(program.wait().exit_code == 143);
  ::close(reader);
}

TEST_CASE("a link that --summary names stays, and the file it leads to gets the summary") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const fs::path target = machine.folder() / "elsewhere.json";
  const bool exists = GENERATE(true, false);
  if (exists) write_text(target, "old");
  fs::create_symlink("elsewhere.json", machine.folder() / "s.json");
  CHECK(machine.run({"org/small", "--summary", machine.folder() / "s.json"}).exit_code == 0);
  CHECK(fs::is_symlink(machine.folder() / "s.json"));
  CHECK(json_of(target)["success"] == true);
}

TEST_CASE("a link planted where the summary goes is neither followed nor replaced") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const fs::path victim = machine.folder() / "victim";
  write_text(victim, "precious");
  fs::create_directories(machine.home());
  fs::create_symlink("../victim", machine.summary());
  std::vector<std::string> argv = {tested_program(), "org/small"};
  const bool is_named = ::geteuid() == 0 && GENERATE(false, true);
  if (is_named) {
    REQUIRE(::lchown(machine.summary().c_str(), 4242, 4242) == 0);
    argv.insert(argv.end(), {"--summary", machine.summary()});
  }
  const ProgramResult run = run_program(argv, machine.environment());
  CHECK(run.exit_code == (is_named ? 1 : 0));
  CHECK(contains(run.err, "is a symlink, which is not followed"));
  CHECK(read_text(victim) == "precious");
  CHECK(fs::is_symlink(machine.summary()));
}

TEST_CASE("a summary file that is mounted by itself is overwritten") {
  if (!may_mount()) return;
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const fs::path file = machine.folder() / "mounted.json";
  write_text(file, std::string(100'000, ' '));
  write_text(machine.summary(), "{}");
  const Run run = machine.shell("exec unshare -m sh -c 'mount --bind " + file.string() + " " +
                                machine.summary().string() + " && exec $PROGRAM org/small'");
  CHECK(run.exit_code == 0);
  CHECK_FALSE(contains(run.err, "cannot write the summary"));
  CHECK(json_of(file)["success"] == true);
  CHECK(read_text(machine.summary()) == "{}");
}

TEST_CASE("a file with a second name is not overwritten where it cannot be replaced") {
  if (!may_mount()) return;
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  write_text(machine.folder() / "victim", "precious");
  fs::create_hard_link(machine.folder() / "victim", machine.folder() / "planted");
  write_text(machine.summary(), "{}");
  const Run run = machine.shell("exec unshare -m sh -c 'mount --bind " +
                                (machine.folder() / "planted").string() + " " +
                                machine.summary().string() + " && exec $PROGRAM org/small'");
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err, "warn  cannot write the summary"));
  CHECK(read_text(machine.folder() / "victim") == "precious");
}

TEST_CASE("a limit of processes ends the run with an error and a summary") {
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  REQUIRE(machine.run({"org/small"}).exit_code == 0);
  machine.take_away({"clone=EAGAIN"});
  const Run run = machine.run({GENERATE("download", "verify"), "org/small"});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "cannot start a thread: "));
  CHECK(contains(run.err, "hint: raise the limit of processes"));
  CHECK(run.summary["error"]["kind"] == "io");
}

}  // namespace model_prep::testing
