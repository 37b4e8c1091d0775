// SPDX-License-Identifier: Apache-2.0
// What the user types: models as addresses, revisions by name, manifests from a pipe.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>

#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

const std::string kMain(40, 'b');
const std::string kTagged(40, 'a');

/// A repository whose tag `v1` is an older commit than `main`.
HubRepo tagged_repo() {
  HubRepo repo;
  repo.id = "org/tagged";
  repo.refs = {{"main", kMain}, {"v1", kTagged}};
  repo.commits = {{kMain, {{"config.json", "{}"}}}, {kTagged, {{"config.json", "{\"v\": 1}"}}}};
  return repo;
}

struct Tagged {
  FakeHub hub;
  TestHost machine{hub};
  Tagged() { hub.add(tagged_repo()); }
};

/// Waits until a process has opened this file.
bool has_opened(pid_t pid, const fs::path& file) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < end) {
    std::error_code error;
    for (const fs::directory_entry& entry :
         fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd", error))
      if (fs::read_symlink(entry.path(), error) == file) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a manifest is read from stdin and from a shell's <(...)") {
  const Tagged at;
  write_text(at.machine.folder() / "m.json",
             R"({"version":1,"models":{"a":{"repo":"org/tagged","revision":")" + kMain + "\"}}}");
  const std::string script = GENERATE(
      "cat m.json | $PROGRAM --manifest -", "$PROGRAM --manifest - < m.json",
      "cat m.json | $PROGRAM --manifest /dev/stdin --cleanup",
      "cat m.json | $PROGRAM --manifest /dev/fd/0", "bash -c '$PROGRAM --manifest <(cat m.json)'",
      "cat m.json | MODEL_PREP_MANIFEST=- $PROGRAM list");
  const Run run = at.machine.shell("cd " + at.machine.folder().string() + "; " + script);
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
}

TEST_CASE("a manifest that cannot be read is reported with its path and the reason") {
  const Tagged at;
  const auto [path, why] = GENERATE(table<std::string, std::string>(
      {{"/no/such/file", "No such file or directory"}, {"/", "Is a directory"}}));
  const Run run = at.machine.run({"--manifest", path});
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "cannot read the manifest: "));
  CHECK(contains(run.err, path + ": " + why));
  const Run closed = at.machine.shell("$PROGRAM --manifest - <&-");
  CHECK(closed.exit_code == 1);
  CHECK(contains(closed.err, "Bad file descriptor"));
}

TEST_CASE("a signal ends the wait for a manifest") {
  const Tagged at;
  const std::string command = GENERATE("download", "list", "lock");
  const std::string pipe = at.machine.folder() / "p";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  const int writer = open(pipe.c_str(), O_RDWR | O_CLOEXEC);
  const auto program =
      at.machine.start({command, "--manifest", pipe}, {{"HF_HUB_DISABLE_PROGRESS_BARS", "1"}});
  REQUIRE(has_opened(program->pid(), pipe));
  program->send_signal(SIGTERM);
  const Run run = at.machine.end_of(*program);
  CHECK(run.exit_code == 128 + SIGTERM);
  CHECK(contains(run.err, "stopped by a signal"));
  close(writer);
}

TEST_CASE("the address of a page on the Hub is understood as the repository") {
  const Tagged at;
  const auto [address, key] = GENERATE(table<std::string, std::string>({
      {"hf://org/tagged@v1", "org/tagged@v1"},
      {"https://huggingface.co/org/tagged/tree/v1", "org/tagged@v1"},
      {"https://hf.co/org/tagged/", "org/tagged"},
  }));
  const Run run = at.machine.run({}, {{"MODELS_TO_DOWNLOAD", address + "\norg/tagged@" + kMain}});
  CHECK(run.exit_code == 0);
  CHECK(run.model(key)["success"] == true);
  CHECK(run.model(key)["repo"] == "org/tagged");
}

}  // namespace model_prep::testing
