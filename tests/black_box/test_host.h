// SPDX-License-Identifier: Apache-2.0
// A machine for one test: folders of its own, an environment that points at a hub, and the real
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

/// The program of this build, or the one that MODEL_PREP_PROGRAM names: so the tests are compiled
/// once and judge the sanitized programs too.
const std::string& tested_program();
/// It is built with a sanitizer: slower by far, and with a great deal of address space.
bool is_sanitized();

struct Run {
  int exit_code = 0;  ///< -n: ended by signal n without a word
  std::string out;
  std::string err;
  nlohmann::json summary;  ///< null: there is none

  /// A model's part of the summary; null if it has none.
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

  /// Writes a manifest, which all runs from now on get through MODEL_PREP_MANIFEST.
  void use_manifest(const std::string& text);
  /// From now on the program runs where these system calls do not work (support/without_main.cpp):
  /// {"flock=0"}.
  void take_away(const std::vector<std::string>& calls);
  /// What the program gets, with `changes` put over it; an empty value takes the variable away.
  ProgramEnvironment environment(const ProgramEnvironment& changes = {}) const;

  Run run(const std::vector<std::string>& arguments, const ProgramEnvironment& changes = {}) const;
  /// Runs a command line in which the program's path is "$PROGRAM".
  Run shell(const std::string& script, const ProgramEnvironment& changes = {}) const;
  std::unique_ptr<RunningProgram> start(const std::vector<std::string>& arguments,
                                        const ProgramEnvironment& changes = {}) const;
  /// The result of a program that was started, with its summary.
  Run end_of(RunningProgram& program) const;

 private:
  TemporaryFolder folder_;
  ProgramEnvironment environment_;
  std::vector<std::string> program_;
};

/// `unshare -m` gives a shell mounts of its own, which vanish with it; false (and said loudly)
/// where that is not allowed.
bool may_mount();

/// Relative path → "folder", "link <text>" or "file <sha256>"; our record and huggingface_hub's
/// listing by their names only. Empty if there is no such folder.
using Tree = std::map<std::string, std::string>;
Tree tree_of(const std::filesystem::path& folder);

/// What a cache holds with this repository's `main` prepared (docs/cache-layout.md): all of it, or
/// only `paths`.
enum class Listed : std::uint8_t { no, yes };
struct Published {
  std::vector<std::string> paths = {};
  std::vector<std::string> refs = {"main"};  ///< besides the commit itself
  Listed listed = Listed::no;
};
Tree published(const HubRepo& repo, const Published& what = {});
Tree merged(Tree first, const Tree& second);

/// What only a run that did not end leaves: staging files, resume records, temporary files.
std::vector<std::filesystem::path> leftovers_in(const std::filesystem::path& cache);

/// Five blobs behind six files: plain, in a folder, empty, two with equal bytes, and an LFS file of
/// 300 kB.
HubRepo small_repo(const std::string& id = "org/small");
/// A plain file and an LFS file of `size` bytes.
HubRepo large_repo(std::int64_t size, const std::string& id = "org/large");
std::string main_of(const HubRepo& repo);
HubFile file_of(const HubRepo& repo, const std::string& path);
std::filesystem::path blob_of(const TestHost& machine, const HubRepo& repo,
                              const std::string& path);

std::string read_text(const std::filesystem::path& file);
void write_text(const std::filesystem::path& file, const std::string& text);
/// Inverts one byte.
void flip_byte(const std::filesystem::path& file, std::int64_t offset);
/// Permission bits: 0644.
unsigned mode_of(const std::filesystem::path& path);

/// Body bytes that the hub has sent of this file.
std::int64_t sent_of(const std::vector<LoggedRequest>& log, const std::string& file);
std::int64_t sent_of(const FakeHub& hub, const std::string& file);
bool contains(const std::string& text, const std::string& part);

}  // namespace model_prep::testing
