// SPDX-License-Identifier: Apache-2.0
#include "tree_check.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

bool is_hex(const std::string& text, std::size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// Checks one repository's directory, part by part.
class Check {
 public:
  Check(fs::path folder, const std::vector<HubRepo>& repos, std::vector<std::string>& wrong)
      : folder_(std::move(folder)), repos_(repos), wrong_(wrong) {}

  void run() {
    for (const fs::directory_entry& part : fs::directory_iterator(folder_)) {
      const std::string name = part.path().filename();
      if (name == "blobs") blobs(part.path());
      if (name == "snapshots") snapshots(part.path());
      if (name == "refs") refs(part.path());
      if (name == ".model-prep" || name == "trees") documents(part.path());
      const bool known = name == "blobs" || name == "snapshots" || name == "refs" ||
                         name == ".model-prep" || name == "trees" || is_leftover(part.path());
      if (!known) tell(part.path(), "is unknown");
    }
    // scan_cache_dir calls a repository without it broken.
    if (!fs::is_directory(folder_ / "snapshots")) tell(folder_, "has no snapshots");
  }

 private:
  void tell(const fs::path& path, const std::string& what) {
    wrong_.push_back(path.string() + " " + what);
  }

  void blobs(const fs::path& blobs) {
    for (const fs::directory_entry& entry : fs::directory_iterator(blobs)) {
      const std::string name = entry.path().filename();
      if (is_leftover(entry.path())) continue;
      if (!entry.is_regular_file() || entry.is_symlink() ||
          (!is_hex(name, 40) && !is_hex(name, 64)))
        tell(entry.path(), "is no blob and no known leftover");
      else if (!is_what_its_name_says(entry.path()))
        tell(entry.path(), "has other bytes than its name says");
    }
  }

  void snapshots(const fs::path& snapshots) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(snapshots)) {
      if (!entry.is_symlink()) {
        if (!entry.is_directory()) tell(entry.path(), "is no link");
        continue;
      }
      std::error_code error;
      const fs::path target = fs::canonical(entry.path(), error);
      if (error || target.parent_path() != fs::canonical(folder_) / "blobs")
        tell(entry.path(), "leads to no blob");
    }
  }

  void refs(const fs::path& refs) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(refs)) {
      if (entry.is_directory()) continue;
      const std::string commit = read_text(entry.path());
      if (!is_hex(commit, 40)) tell(entry.path(), "holds '" + commit + "'");
      const HubRepo* repo = repo_of(commit);
      if (repo == nullptr) {
        tell(entry.path(), "names a commit that nobody has");
        continue;
      }
      for (const HubFile& file : repo->commits.at(commit))
        if (!fs::is_regular_file(folder_ / "snapshots" / commit / file.path))
          tell(entry.path(), "names a snapshot without " + file.path);
    }
  }

  void documents(const fs::path& folder) {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      if (is_leftover(entry.path())) continue;
      if (!nlohmann::json::accept(read_text(entry.path()))) tell(entry.path(), "is no JSON");
    }
  }

  const HubRepo* repo_of(const std::string& commit) const {
    const auto found = std::find_if(repos_.begin(), repos_.end(), [&](const HubRepo& repo) {
      return repo.commits.contains(commit);
    });
    return found == repos_.end() ? nullptr : &*found;
  }

  fs::path folder_;
  const std::vector<HubRepo>& repos_;
  std::vector<std::string>& wrong_;
};

}  // namespace

bool is_leftover(const fs::path& path) {
  const std::string name = path.filename();
  return name.ends_with(".model-prep.incomplete") || name.ends_with(".model-prep.resume") ||
         name.ends_with(".tmp");
}

bool is_what_its_name_says(const fs::path& blob) {
  const std::string text = read_text(blob);
  const std::string name = blob.filename();
  if (name.size() == 64) return name == sha256_hex(text);
  return name == sha1_hex("blob " + std::to_string(text.size()) + std::string(1, '\0') + text);
}

std::vector<std::string> differences(const fs::path& cache, const Tree& wanted) {
  std::vector<std::string> found;
  const Tree tree = tree_of(cache);
  for (const auto& [path, what] : wanted)
    if (const auto there = tree.find(path); there == tree.end() || there->second != what)
      found.push_back(path + " is missing");
  for (const auto& [path, what] : tree)
    if (!wanted.contains(path) && !contains(path, ".tmp") && !path.ends_with(".model-prep.resume"))
      found.push_back(path + " is left over");
  return found;
}

std::vector<std::string> wrong_in(const fs::path& cache, const std::vector<HubRepo>& repos) {
  std::vector<std::string> wrong;
  if (!fs::exists(cache)) return wrong;
  for (const fs::directory_entry& entry : fs::directory_iterator(cache)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("models--") || name.starts_with("datasets--") ||
        name.starts_with("spaces--")) {
      Check(entry.path(), repos, wrong).run();
    } else if (name != ".locks" && name != "model-prep-summary.json" &&
               !is_leftover(entry.path())) {
      wrong.push_back(entry.path().string() + " is unknown");
    }
  }
  return wrong;
}

}  // namespace model_prep::testing
