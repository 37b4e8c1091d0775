// SPDX-License-Identifier: Apache-2.0
// The number of file operations for each of many small files.
#include <sstream>

#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

constexpr int kFiles = 300;

HubRepo many_small_files() {
  std::vector<HubFile> files;
  for (int i = 0; i < kFiles; ++i)
    files.push_back({"data/" + std::to_string(i) + ".json",
                     MadeUpBytes{4096, static_cast<std::uint64_t>(i) + 1}});
  return make_repo("org/many", std::move(files));
}

/// Calls that strace has logged; one that it split in two lines counts once.
int calls_in(const fs::path& trace) {
  std::istringstream lines(read_text(trace));
  int calls = 0;
  for (std::string line; std::getline(lines, line);)
    if (contains(line, "open") && !contains(line, " resumed>")) ++calls;
  return calls;
}

}  // namespace

TEST_CASE("a first run opens at most ten files and directories for each small file") {
  if (!may_trace()) return;
  FakeHub hub;
  hub.add(many_small_files());
  const TestHost machine(hub);
  const fs::path trace = machine.folder() / "trace";
  const Run run = machine.shell("exec strace -f -e trace=open,openat,openat2 -o " + trace.string() +
                                    " $PROGRAM --variant all org/many",
                                {{"ASAN_OPTIONS", "detect_leaks=0"}});
  REQUIRE(run.exit_code == 0);
  CHECK(calls_in(trace) <= 10 * kFiles);
}

}  // namespace model_prep::testing
