// SPDX-License-Identifier: Apache-2.0
#include "test_host.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "support/catch.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

std::string repo_folder(const HubRepo& repo) {
  std::string name(name_of(repo.id));
  if (const auto slash = name.find('/'); slash != std::string::npos) name.replace(slash, 1, "--");
  return std::string(kind_of(repo.id)) + "--" + name;
}

/// An entry and the folders above it.
void add(Tree& tree, const std::string& path, const std::string& what) {
  for (std::size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    tree[path.substr(0, slash)] = "folder";
  }
  tree[path] = what;
}

std::string description(const fs::directory_entry& entry, const std::string& path) {
  if (entry.is_symlink()) return "link " + fs::read_symlink(entry.path()).string();
  if (entry.is_directory()) return "folder";
  if (path.find("/.model-prep/") != std::string::npos && path.ends_with(".json")) return "record";
  if (path.find("/trees/") != std::string::npos) return "listing";
  return "file " + sha256_hex(read_text(entry.path()));
}

/// The timeout after which a hanging program is killed; sanitized programs are slower.
ProgramOptions options() {
  ProgramOptions options;
  if (is_sanitized()) options.timeout *= 4;
  return options;
}

}  // namespace

nlohmann::json Run::model(const std::string& key) const {
  return summary.is_object() && summary["models"].contains(key) ? summary["models"][key]
                                                                : nlohmann::json();
}

std::string Run::error_kind(const std::string& key) const {
  const nlohmann::json found = model(key);
  if (!found.is_object()) return "no such model";
  return found["error"].is_null() ? "none" : found["error"]["kind"].get<std::string>();
}

const std::string& tested_program() {
  static const std::string program = [] {
    const char* other = std::getenv("MODEL_PREP_PROGRAM");
    return std::string(other != nullptr ? other : MODEL_PREP_PROGRAM);
  }();
  return program;
}

bool is_sanitized() {
  static const bool sanitized = [] {
    const std::string binary = read_text(tested_program());
    return contains(binary, "__asan_init") || contains(binary, "__tsan_init");
  }();
  return sanitized;
}

TestHost::TestHost(const std::string& endpoint)
    : environment_{{"HF_HOME", home()}, {"HF_ENDPOINT", endpoint}}, program_{tested_program()} {}

void TestHost::take_away(const std::vector<std::string>& calls) {
  program_ = {MODEL_PREP_WITHOUT};
  program_.insert(program_.end(), calls.begin(), calls.end());
  program_.insert(program_.end(), {"--", tested_program()});
}

void TestHost::use_manifest(const std::string& text) {
  write_text(folder() / "manifest.json", text);
  environment_["MODEL_PREP_MANIFEST"] = folder() / "manifest.json";
}

ProgramEnvironment TestHost::environment(const ProgramEnvironment& changes) const {
  ProgramEnvironment environment = environment_;
  for (const auto& [name, value] : changes) environment[name] = value;
  std::erase_if(environment, [](const auto& entry) { return entry.second.empty(); });
  return environment;
}

std::unique_ptr<RunningProgram> TestHost::start(const std::vector<std::string>& arguments,
                                                const ProgramEnvironment& changes) const {
  std::vector<std::string> argv = program_;
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return std::make_unique<RunningProgram>(argv, environment(changes), options());
}

Run TestHost::end_of(RunningProgram& program) const {
  ProgramResult result = program.wait();
  Run run{result.exit_code.value_or(-result.signal.value_or(0)),
          std::move(result.out),
          std::move(result.err),
          {}};
  if (fs::exists(summary())) run.summary = nlohmann::json::parse(read_text(summary()));
  return run;
}

Run TestHost::run(const std::vector<std::string>& arguments,
                  const ProgramEnvironment& changes) const {
  return end_of(*start(arguments, changes));
}

Run TestHost::shell(const std::string& script, const ProgramEnvironment& changes) const {
  ProgramEnvironment all = environment(changes);
  all["PROGRAM"] = tested_program();
  RunningProgram program({"/bin/sh", "-c", script}, all, options());
  return end_of(program);
}

bool may_mount() {
  const bool may = run_program({"unshare", "-m", "true"}).exit_code == 0;
  if (!may) skip_test("NO MOUNT NAMESPACE FOR THIS USER");
  return may;
}

bool may_trace() {
  const auto traced = run_program({"/bin/sh", "-c", "strace -f -o /dev/null true"});
  if (traced.exit_code == 0) return true;
  if (std::getenv("CI") != nullptr) FAIL("strace is not here, or may not trace: " << traced.err);
  skip_test("strace IS NOT HERE, OR MAY NOT TRACE");
  return false;
}

Tree tree_of(const fs::path& folder) {
  Tree tree;
  if (!fs::exists(folder)) return tree;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    const std::string path = entry.path().lexically_relative(folder).string();
    if (path != "model-prep-summary.json") tree[path] = description(entry, path);
  }
  return tree;
}

std::vector<fs::path> leftovers_in(const fs::path& cache) {
  std::vector<fs::path> found;
  for (const auto& [path, what] : tree_of(cache))
    for (const char* ending : {".model-prep.incomplete", ".model-prep.resume", ".tmp"})
      if (path.ends_with(ending)) found.push_back(cache / path);
  return found;
}

Tree published(const HubRepo& repo, const Published& what) {
  const std::string commit = main_of(repo);
  const std::string folder = repo_folder(repo);
  Tree tree;
  bool is_whole = true;
  for (const HubFile& file : repo.commits.at(commit)) {
    if (!what.paths.empty() &&
        std::find(what.paths.begin(), what.paths.end(), file.path) == what.paths.end()) {
      is_whole = false;
      continue;
    }
    const FileDigests digests = digests_of(file);
    std::string up = "../../";
    for (const char c : file.path) up += c == '/' ? "../" : "";
    add(tree, folder + "/snapshots/" + commit + "/" + file.path,
        "link " + up + "blobs/" + digests.blob_name());
    add(tree, folder + "/blobs/" + digests.blob_name(), "file " + digests.sha256);
    add(tree, ".locks/" + folder + "/" + digests.blob_name() + ".lock", "file " + sha256_hex(""));
  }
  add(tree, ".locks/" + folder + "/model-prep.lock", "file " + sha256_hex(""));
  std::vector<std::string> refs = what.refs;
  refs.push_back(commit);
  for (const std::string& ref : refs)
    add(tree, folder + "/refs/" + ref, "file " + sha256_hex(commit));
  add(tree, folder + "/.model-prep/" + commit + ".json", "record");
  if (is_whole && what.listed != Listed::no)
    add(tree, folder + "/trees/" + commit + ".json", "listing");
  return tree;
}

Tree merged(Tree first, const Tree& second) {
  first.insert(second.begin(), second.end());
  return first;
}

HubRepo small_repo(const std::string& id) {
  return make_repo(id, {{"config.json", "{\"of\":\"" + id + "\"}"},
                        {"1_Pooling/config.json", "{}"},
                        {"empty.txt", ""},
                        {"vocab.txt", "some words"},
                        {"copy/vocab.txt", "some words"},
                        {"model.safetensors", MadeUpBytes{300'000, 1}, true}});
}

HubRepo large_repo(std::int64_t size, const std::string& id) {
  return make_repo(id, {{"config.json", "{}"}, {"model.safetensors", MadeUpBytes{size, 2}, true}});
}

std::string main_of(const HubRepo& repo) { return repo.refs.at("main"); }

HubFile file_of(const HubRepo& repo, const std::string& path) {
  const auto& files = repo.commits.at(main_of(repo));
  return *std::find_if(files.begin(), files.end(),
                       [&](const HubFile& file) { return file.path == path; });
}

fs::path blob_of(const TestHost& machine, const HubRepo& repo, const std::string& path) {
  return machine.cache() / repo_folder(repo) / "blobs" /
         digests_of(file_of(repo, path)).blob_name();
}

void flip_byte(const fs::path& file, std::int64_t offset) {
  std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
  stream.seekg(offset);
  const int byte = stream.get();
  stream.seekp(offset);
  stream.put(static_cast<char>(~byte));
}

unsigned mode_of(const fs::path& path) {
  struct stat found{};
  return ::lstat(path.c_str(), &found) == 0 ? found.st_mode & 07777U : 0;
}

std::int64_t sent_of(const std::vector<LoggedRequest>& log, const std::string& file) {
  std::int64_t sent = 0;
  for (const LoggedRequest& request : log) {
    const bool is_bytes = request.status == 200 || request.status == 206;
    if (request.file == file && is_bytes) sent += request.body_bytes_sent;
  }
  return sent;
}

std::int64_t sent_of(const FakeHub& hub, const std::string& file) {
  return sent_of(hub.requests(), file);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::int64_t peak_memory_kib(pid_t pid) {
  const std::string status = read_text("/proc/" + std::to_string(pid) + "/status");
  const std::size_t at = status.find("VmHWM:");
  return at == std::string::npos ? -1 : std::stoll(status.substr(at + 6));
}

}  // namespace model_prep::testing
