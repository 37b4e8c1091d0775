// SPDX-License-Identifier: Apache-2.0
// The result of a run is reported to the CI system or orchestrator: GitHub's step summary and
// annotations, Kubernetes' termination message.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <vector>

#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines_for_runner(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end =
        std::min(text.find_first_of("\r\n", begin), text.size());  // as the runner reads them
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

/// The lines that GitHub's runner executes as commands: `::` after blanks, `##[` anywhere.
std::vector<std::string> commands_in(const std::string& text) {
  std::vector<std::string> commands;
  for (const std::string& line : lines_for_runner(text)) {
    const std::size_t begin = line.find_first_not_of(" \t\v\f");
    if ((begin != std::string::npos && line.compare(begin, 2, "::") == 0) || contains(line, "##["))
      commands.push_back(line);
  }
  return commands;
}

const ProgramEnvironment kActions = {{"GITHUB_ACTIONS", "true"}};
const std::string kMissing =
    "org/missing: no such repository, or it is private (the Hub says: Invalid username or password.)";
const std::string kMissingHint =
    "check the spelling; for a private or gated repository set HF_TOKEN";

/// A container as in Kubernetes: a file is bind-mounted at /dev/termination-log, in a mount
/// namespace with its own /dev.
class Pod {
 public:
  enum class Log { mounted, none, link, pipe };

  explicit Pod(Log log = Log::mounted) : log_(log) {
    fs::permissions(machine.folder(), fs::perms(0755));
    write_text(
        message_file(),
        "what an earlier container said, which may well have been longer than this one's message\n");
    fs::permissions(message_file(), fs::perms(0666));
    hub.add(small_repo());
  }

  std::string command(const std::string& arguments) const {
    const std::string file = message_file().string();
    std::string make = "true";
    if (log_ == Log::mounted)
      make = "touch /dev/termination-log && mount --bind " + file + " /dev/termination-log";
    else if (log_ == Log::link)
      make = "ln -s " + file + " /dev/termination-log";
    else if (log_ == Log::pipe)
      make = "mkfifo -m 666 /dev/termination-log";
    return "exec unshare -m sh -c 'mount -t tmpfs none /dev && " + make + " && " + arguments + "'";
  }
  Run run(const std::string& arguments) const {
    return machine.shell(command("exec $PROGRAM " + arguments));
  }
  fs::path message_file() const { return machine.folder() / "message"; }
  std::string message() const { return read_text(message_file()); }

  FakeHub hub;
  TestHost machine{hub};

 private:
  Log log_;
};

}  // namespace

TEST_CASE("each run appends a table of the models to the step summary") {
  FakeHub hub;
  hub.add(make_repo("org/golden",
                    {{"config.json", "{}"}, {"model.safetensors", MadeUpBytes{300'000, 1}, true}},
                    "0123456789abcdef0123456789abcdef01234567"));
  const TestHost machine(hub);
  const fs::path file = machine.folder() / "step_summary";
  const bool there = GENERATE(true, false);
  if (there) write_text(file, "of another step");
  const ProgramEnvironment variables = {{"GITHUB_STEP_SUMMARY", file.string()}};
  const Run run = machine.run({"org/golden", "org/missing"}, variables);
  CHECK(run.exit_code == 1);
  CHECK(run.out.empty());
  CHECK(commands_in(run.err).empty());  // only under GITHUB_ACTIONS
  const std::string text = read_text(file);
  CHECK(text.starts_with(there ? "of another step\n### model-prep failed\n"
                               : "\n### model-prep failed\n"));
  CHECK(contains(
      text,
      "\n| org/golden | org/golden | 0123456789ab | fp32 | 0\\.3 MB | downloaded | 0\\.3 MB |\n"));
  CHECK(contains(text, "\n| org/missing | org/missing | - | fp32 | - | failed | - |\n"));
  CHECK(contains(text, "\n1 of 2 models ready, 0\\.3 MB downloaded, 7 requests, "));
  CHECK(contains(text, "\n- **org/missing**: org/missing\\: no such repository"));
  CHECK(contains(
      text, "<br>hint: check the spelling; for a private or gated repository set HF\\_TOKEN\n"));
  CHECK(machine.run({"org/golden"}, variables).exit_code == 0);
  const std::string both = read_text(file);
  REQUIRE(both.starts_with(text));
  CHECK(both.substr(text.size()).starts_with("\n### model-prep succeeded\n"));
  CHECK(contains(both.substr(text.size()), "| cached | - |\n"));
}

TEST_CASE("an unwritable step summary is a warning") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const std::string place = GENERATE("/none/summary", "");
  const std::string path = machine.folder().string() + place;
  const Run run = machine.run({"org/small"}, {{"GITHUB_STEP_SUMMARY", path}});
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err, "warn  cannot write the step summary: cannot open " + path));
}

TEST_CASE("each failed model gets a GitHub Actions annotation on stderr") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const std::string format = GENERATE("text", "json");
  const Run run = machine.run({"org/missing", "org/small", "--log-format", format}, kActions);
  CHECK(run.exit_code == 1);
  CHECK(run.out.empty());
  CHECK(commands_in(run.err) ==
        std::vector<std::string>{"::error title=model-prep%3A org/missing::" + kMissing +
                                 "%0Ahint: " + kMissingHint});
  CHECK(commands_in(machine.run({"org/small"}, kActions).err).empty());
}

TEST_CASE("an error of the whole run is one annotation") {
  FakeHub hub;
  hub.add(small_repo());
  hub.add(small_repo("org/other"));
  hub.add(Fault{.on = Fault::On::repo_info, .times = -1, .what = Stall{}});
  const TestHost machine(hub);
  const Run run = machine.run({"org/small", "org/other", "--deadline", "1"}, kActions);
  CHECK(run.exit_code == 1);
  const auto commands = commands_in(run.err);
  REQUIRE(commands.size() == 1);
  CHECK(commands.front().starts_with("::error title=model-prep::"));
  CHECK(contains(commands.front(), "deadline"));
}

TEST_CASE("a usage error is an annotation and a step summary too") {
  FakeHub hub;
  const TestHost machine(hub);
  const fs::path file = machine.folder() / "step_summary";
  const Run run = machine.run({"--jobs", "50%,\n::add-mask::x"},
                              {{"GITHUB_ACTIONS", "true"}, {"GITHUB_STEP_SUMMARY", file.string()}});
  CHECK(run.exit_code == 1);
  CHECK(contains(
      run.err,
      "model-prep: --jobs is '50%,?::add-mask::x', but must be a whole number from 1 to 64"));
  CHECK(commands_in(run.err) ==
        std::vector<std::string>{"::error title=model-prep::--jobs is '50%25,?::add-mask::x', "
                                 "but must be a whole number from 1 to 64"});
  CHECK(
      read_text(file) ==
      "\n### model-prep failed\n\n- --jobs is '50%,?\\:\\:add-mask\\:\\:x', but must be a whole number from 1 to 64\n");
}

TEST_CASE("help is not reported") {
  FakeHub hub;
  const TestHost machine(hub);
  const fs::path file = machine.folder() / "step_summary";
  CHECK(
      machine.run({"--help"}, {{"GITHUB_ACTIONS", "true"}, {"GITHUB_STEP_SUMMARY", file.string()}})
          .err.empty());
  CHECK_FALSE(fs::exists(file));
}

TEST_CASE("a server's text starts no command of GitHub's runner") {
  const std::string words = GENERATE("##[add-mask]all", "\t##[set-output name=a]b",
                                     "::stop-commands::x", "%0A::add-mask::all%0D##[add-mask]all");
  const std::string format = GENERATE("text", "json");
  FakeHub hub;
  hub.add(Fault{
      .on = Fault::On::repo_info, .times = -1, .what = Status{403, {{"X-Error-Message", words}}}});
  const TestHost machine(hub);
  const Run run = machine.run(
      {"org/small", "--summary", "-", "--log-format", format, "--log-level", "debug"}, kActions);
  CHECK(contains(run.err, words.substr(words.size() - 3)));
  CHECK(commands_in(run.out).empty());
  const auto commands = commands_in(run.err);
  REQUIRE(commands.size() == 1);
  CHECK(commands.front().starts_with("::error title=model-prep%3A org/small::org/small: "));
}

TEST_CASE("a file's name starts no command of GitHub's runner") {
  const std::string name = GENERATE("##[add-mask]all", "::add-mask::all");
  FakeHub hub;
  hub.add(make_repo("org/named", {{"config.json", "{}"}, {name, "a model", true}}));
  hub.add(Fault{.on = Fault::On::payload, .times = -1, .what = FlipByte{}});
  const TestHost machine(hub);
  const ProgramEnvironment everything = {{"GITHUB_ACTIONS", "true"}, {"MODEL_VARIANT", "all"}};
  const Run dry = machine.run({"org/named", "--dry-run"}, everything);
  CHECK(contains(dry.out, "add-mask"));
  CHECK(commands_in(dry.out).empty());
  const Run run = machine.run({"org/named", "--log-level", "debug", "--summary", "-"}, everything);
  CHECK(contains(run.out, "digest_mismatch"));
  CHECK(contains(run.err, "add-mask"));
  CHECK(commands_in(run.out).empty());
  CHECK(commands_in(run.err).size() == 1);
  CHECK(nlohmann::json::parse(run.out)["models"]["org/named"]["error"]["message"]
            .get<std::string>()
            .find(name) != std::string::npos);
}

TEST_CASE("the termination log is overwritten with one line") {
  if (!may_mount()) return;
  const Pod pod;
  CHECK(pod.run("org/small").exit_code == 0);
  CHECK(pod.message().starts_with("1 of 1 model ready, 0.3 MB downloaded, "));
  CHECK(lines_for_runner(pod.message()).size() == 1);
  CHECK(pod.run("org/small org/missing").exit_code == 1);
  CHECK(pod.message().starts_with("1 of 2 models ready, nothing downloaded, "));
  CHECK(pod.message().ends_with(" s: " + kMissing + " (hint: " + kMissingHint + ")"));
}

TEST_CASE("a usage error and a bad manifest are reported to Kubernetes") {
  if (!may_mount()) return;
  const Pod pod;
  CHECK(pod.run("--jobs none").exit_code == 1);
  CHECK(pod.message() == "failed: --jobs is 'none', but must be a whole number from 1 to 64");
  CHECK(pod.run("--manifest /none").exit_code == 1);
  CHECK(
      pod.message() ==
      "failed: cannot read the manifest: cannot open /none: No such file or directory (hint: check the path given with --manifest or MODEL_PREP_MANIFEST)");
}

TEST_CASE("the signal that ended the run is reported to Kubernetes") {
  if (!may_mount()) return;
  Pod pod;
  pod.hub.add(Fault{.on = Fault::On::repo_info, .what = Stall{}});
  RunningProgram program({"/bin/sh", "-c", pod.command("exec $PROGRAM org/small")},
                         pod.machine.environment({{"PROGRAM", tested_program()}}));
  REQUIRE(pod.hub.wait_until([](const auto& log) { return !log.empty(); }));
  program.send_signal(SIGTERM);
  CHECK(program.wait().exit_code == 128 + SIGTERM);
  CHECK(pod.message().starts_with("0 of 1 model ready, nothing downloaded, 1 request, "));
  CHECK(contains(pod.message(), " s: stopped by SIGTERM"));
}

TEST_CASE("any user of a container can report to Kubernetes") {
  if (!may_mount() || ::geteuid() != 0) return;
  const Pod pod;
  const Run run = pod.machine.shell(pod.command(
      "exec setpriv --reuid=4242 --regid=0 --clear-groups $PROGRAM org/small --offline --summary -"));
  CHECK(run.exit_code == 1);
  CHECK(pod.message().starts_with("0 of 1 model ready, "));
}

TEST_CASE("without a termination log nothing is created, followed or blocked on") {
  if (!may_mount()) return;
  const Pod pod(GENERATE(Pod::Log::none, Pod::Log::link, Pod::Log::pipe));
  const std::string before = pod.message();
  const Run run =
      pod.machine.shell(pod.command("ls -l /dev; $PROGRAM org/small; echo $?; ls -l /dev"));
  const auto lines = lines_for_runner(run.out);
  const auto code = std::find(lines.begin(), lines.end(), "0");
  REQUIRE(code != lines.end());
  CHECK(std::vector<std::string>(lines.begin(), code) ==
        std::vector<std::string>(code + 1, lines.end()));
  CHECK(pod.message() == before);
  CHECK_FALSE(contains(run.err, "the termination message"));
}

}  // namespace model_prep::testing
