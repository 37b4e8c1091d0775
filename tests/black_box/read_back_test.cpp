// SPDX-License-Identifier: Apache-2.0
// Which bytes of a download are read from the disk to hash them.
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <sstream>

#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::int64_t kSize = 20'000'000;

/// Runs it on one connection, where bytes arrive in order, and returns how many bytes pread gave.
std::int64_t bytes_read_back(const TestHost& machine, const HubRepo& repo) {
  const fs::path trace = machine.folder() / "trace";
  const Run run = machine.shell(
      "exec strace -f -e trace=pread64 -o " + trace.string() + " $PROGRAM --jobs 1 org/large",
      {{"ASAN_OPTIONS", "detect_leaks=0"}});
  CHECK(run.exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));

  // `9 pread64(8, "…"..., 131072, 0) = 131072`, or the end of that after `resumed>`
  std::int64_t sum = 0;
  std::istringstream lines(read_text(trace));
  for (std::string line; std::getline(lines, line);)
    if (const auto result = line.rfind(" = "); contains(line, "pread64") && result != line.npos)
      sum += std::max(0L, std::strtol(line.c_str() + result + 3, nullptr, 10));
  return sum;
}

/// Whether a file in the folder for temporary files is hashed from memory (`io/staging.h`). If not,
/// prints that.
bool is_hashed_from_memory() {
  const auto asked = run_program({"/bin/sh", "-c", "stat -f -c %T \"${TMPDIR:-/tmp}\""});
  for (const char* known : {"tmpfs", "ext2/ext3", "xfs", "btrfs"})
    if (asked.out == std::string(known) + "\n") return true;
  skip_test("THE FILE SYSTEM OF TEMPORARY FILES IS " + asked.out.substr(0, asked.out.find('\n')));
  return false;
}

}  // namespace

TEST_CASE("bytes that arrive in order are hashed from memory, in a file that this process made") {
  if (!may_trace() || !is_hashed_from_memory()) return;
  FakeHub hub;
  const HubRepo repo = large_repo(kSize);
  hub.add(repo);
  const TestHost machine(hub);
  CHECK(bytes_read_back(machine, repo) < kSize);  // how many depends on who is faster
}

TEST_CASE("a file that another process made is read back as a whole") {
  if (!may_trace()) return;
  FakeHub hub;
  const HubRepo repo = large_repo(kSize);
  hub.add(repo);
  hub.add(
      Fault{.on = Fault::On::payload, .times = -1, .what = Drip{.bytes_per_second = 4'000'000}});
  const TestHost machine(hub);
  {
    const auto program = machine.start({"org/large", "--jobs", "1"});
    const auto some = [](const auto& log) { return sent_of(log, kWeights) >= 9'000'000; };
    REQUIRE(hub.wait_until(some, milliseconds(30'000)));
    program->send_signal(SIGKILL);
    program->wait();
  }
  hub.clear_faults();
  hub.clear_requests();
  CHECK(bytes_read_back(machine, repo) >= kSize);
  CHECK(sent_of(hub, kWeights) < kSize);  // it was resumed
}

}  // namespace model_prep::testing
