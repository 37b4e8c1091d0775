// SPDX-License-Identifier: Apache-2.0
// The machine of one test: its own directories, an environment that points at a hub, and the real
// program.
//
//   FakeHub hub;
//   hub.add(small_repo());
//   const TestHost machine(hub);
//   const Run run = machine.run({"org/small"});
//   CHECK(run.exit_code == 0);
//   CHECK(tree_of(machine.cache()) == published(small_repo()));
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/fake_hub.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace model_prep::testing {

inline constexpr std::int64_t kMB = 1'000'000;
inline constexpr std::int64_t kMiB = 1024 * 1024;
inline const std::string kWeights = "model.safetensors";
/// For repositories with two commits.
inline const std::string kFirst(40, '1');
inline const std::string kSecond(40, '2');

/// The program of this build, or the one that MODEL_PREP_PROGRAM names: so the tests are compiled
/// once and also run the sanitized programs.
const std::string& tested_program();
/// Whether it is built with a sanitizer: much slower, and with a huge address space.
bool is_sanitized();

struct Run {
  int exit_code = 0;  ///< -n: ended by signal n
  std::string out;
  std::string err;
  nlohmann::json summary;  ///< null without a summary

  /// The model's member of the summary; null if it has none.
  nlohmann::json model(const std::string& key) const;
  std::string error_kind(const std::string& key) const;
};

class TestHost {
 public:
  explicit TestHost(const FakeHub& hub) : TestHost(hub.endpoint()) {}
  explicit TestHost(const std::string& endpoint);

  std::filesystem::path folder() const { return folder_.path(); }
  std::filesystem::path home() const { return folder_ / "home"; }  ///< HF_HOME
  std::filesystem::path cache() const { return home() / "hub"; }
  std::filesystem::path summary() const { return home() / "model-prep-summary.json"; }

  /// Writes a manifest; all later runs get it through MODEL_PREP_MANIFEST.
  void use_manifest(const std::string& text);
  /// In all later runs these system calls fail or do nothing (support/without_main.cpp):
  /// {"flock=0"}.
  void take_away(const std::vector<std::string>& calls);
  /// The program's environment with `changes` applied; an empty value removes the variable.
  ProgramEnvironment environment(const ProgramEnvironment& changes = {}) const;

  Run run(const std::vector<std::string>& arguments, const ProgramEnvironment& changes = {}) const;
  /// Runs a command line in which the program's path is "$PROGRAM".
  Run shell(const std::string& script, const ProgramEnvironment& changes = {}) const;
  std::unique_ptr<RunningProgram> start(const std::vector<std::string>& arguments,
                                        const ProgramEnvironment& changes = {}) const;
  /// Waits for a started program; its result and summary.
  Run end_of(RunningProgram& program) const;

 private:
  TemporaryFolder folder_;
  ProgramEnvironment environment_;
  std::vector<std::string> program_;
};

/// Whether `unshare -m` may give a shell its own mounts, which end with it. If not, prints that.
bool may_mount();
/// Whether strace is here and may trace. If not, prints that; in CI it is a failure.
bool may_trace();

/// Relative path → "folder", "link <text>" or "file <sha256>"; our record and huggingface_hub's
/// listing by name only. Empty if the directory does not exist.
using Tree = std::map<std::string, std::string>;
Tree tree_of(const std::filesystem::path& folder);

/// The content of a cache in which this repository's `main` is complete (docs/cache-layout.md): all
/// files, or only `paths`. Of a whole commit huggingface_hub finds a listing, unless a lock lists
/// it file by file.
enum class Listed : std::uint8_t { if_whole, no };
struct Published {
  std::vector<std::string> paths = {};
  std::vector<std::string> refs = {"main"};  ///< besides the commit itself
  Listed listed = Listed::if_whole;
};
Tree published(const HubRepo& repo, const Published& what = {});
Tree merged(Tree first, const Tree& second);

/// What only an interrupted run leaves: staging files, resume records, temporary files.
std::vector<std::filesystem::path> leftovers_in(const std::filesystem::path& cache);

/// Six files with five blobs: plain, in a directory, empty, two with equal bytes, and an LFS file
/// of 300 kB.
HubRepo small_repo(const std::string& id = "org/small");
/// A plain file and an LFS file of `size` bytes.
HubRepo large_repo(std::int64_t size, const std::string& id = "org/large");
std::string main_of(const HubRepo& repo);
HubFile file_of(const HubRepo& repo, const std::string& path);
std::filesystem::path blob_of(const TestHost& machine, const HubRepo& repo,
                              const std::string& path);

/// Inverts one byte.
void flip_byte(const std::filesystem::path& file, std::int64_t offset);
/// Permission bits: 0644.
unsigned mode_of(const std::filesystem::path& path);

/// The most memory that a process has used so far; -1 if there is none with this number.
std::int64_t peak_memory_kib(pid_t pid);

/// Body bytes that the hub has sent of this file.
std::int64_t sent_of(const std::vector<LoggedRequest>& log, const std::string& file);
std::int64_t sent_of(const FakeHub& hub, const std::string& file);
bool contains(const std::string& text, const std::string& part);

}  // namespace model_prep::testing
