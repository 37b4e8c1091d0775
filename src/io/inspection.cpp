// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/inspection.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

namespace fs = std::filesystem;

/// All below a folder, links not followed; a folder that cannot be read has nothing in it.
std::vector<std::string> all_below(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  const auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator at(folder, options, error), end; !error && at != end;
       at.increment(error))
    paths.push_back(at->path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

class Inspector {
 public:
  Inspector(const Cache& cache, const ResolvedSnapshot& snapshot, unsigned umask)
      : cache_(cache),
        snapshot_(snapshot),
        umask_(umask),
        repo_(snapshot.spec.repo),
        at_(cache.layout(repo_)),
        folder_(at_.snapshot(repo_, snapshot.commit)) {}

  Inspection run() {
    const SnapshotView view = cache_.inspect(snapshot_, {});
    for (std::size_t i = 0; i < snapshot_.files.size(); ++i) file(i, view.files[i].linked);
    check_unexpected_files();
    check_own_refs();
    check_foreign_refs();
    if (!view.tree_correct)
      add(CacheFaultKind::listing, Remedy::download, at_.tree(repo_, snapshot_.commit),
          "the commit's listing is missing or not as huggingface_hub reads it");
    modes();
    return std::move(found_);
  }

 private:
  CacheFault& add(CacheFaultKind kind, Remedy remedy, std::string path, std::string_view what) {
    // The path as the repository has it, if it is one of its files; else from the repository's
    // folder on.
    const std::string below = path.starts_with(folder_ + "/") ? folder_ : at_.repo(repo_);
    const std::string shown_path =
        path.size() > below.size() ? path.substr(below.size() + 1) : path;
    std::string message = fmt::format("{} {}: {}", repo_.text(), truncated(shown_path), what);
    found_.faults.push_back(
        {.kind = kind, .remedy = remedy, .path = std::move(path), .message = std::move(message)});
    return found_.faults.back();
  }
  CacheFault& add_of(std::size_t index, CacheFaultKind kind, Remedy remedy, std::string path,
                     std::string_view what) {
    CacheFault& fault = add(kind, remedy, std::move(path), what);
    fault.file = index;
    return fault;
  }

  void file(std::size_t index, bool linked) {
    const RemoteFile& file = snapshot_.files[index];
    const std::string link = at_.link(repo_, snapshot_.commit, file.path);
    const std::string text = link_target(file.path, file.blob);
    const Cache::Content content = cache_.content(repo_, snapshot_.commit, file);
    const auto own = lstat_path(link);
    expected_.insert(link);
    found_.contents.emplace_back();
    if (!own) {
      add_of(index, CacheFaultKind::missing, Remedy::download, link,
             content.there ? "its link is missing" : "is missing");
    } else if (own->is_link && linked && !content.there) {
      add_of(index, CacheFaultKind::dangling, Remedy::download, link,
             "its link leads to a blob that is not there");
    } else if (!linked) {
      CacheFault& fault =
          add_of(index, CacheFaultKind::misdirected,
                 own->is_folder ? Remedy::quarantine : Remedy::download, link,
                 own->is_link ? "its link leads elsewhere" : "is not a link to its blob");
      fault.expected = text;
      fault.found = read_link(link).value_or("");
    }
    if (!content.there) return;
    if (!content.there->is_file) {
      add_of(index, CacheFaultKind::damaged, Remedy::quarantine, content.path,
             "its blob is no file");
    } else if (content.there->size != file.size) {
      CacheFault& fault =
          add_of(index, CacheFaultKind::damaged, Remedy::rehash, content.path,
                 fmt::format("has {} bytes, expected {}", content.there->size, file.size));
      fault.expected = std::to_string(file.size);
      fault.found = std::to_string(content.there->size);
    } else {
      found_.contents[index] = content.path;
    }
  }

  /// In the snapshot, and not what this variant wants: another variant's file is of this commit and
  /// leads into blobs/.
  void check_unexpected_files() {
    for (const std::string& path : all_below(folder_)) {
      const auto own = lstat_path(path);
      if (!own || own->is_folder || expected_.contains(path)) continue;
      if (leads_into_blobs(path)) {
        if (!stat_path(path))
          add(CacheFaultKind::dangling, Remedy::quarantine, path,
              "leads to a blob that is not there");
      } else if (!is_of_commit(path, *own)) {
        add(CacheFaultKind::foreign, Remedy::quarantine, path,
            own->is_link ? "a link that does not lead into blobs/"
                         : "does not belong to this model");
      }
    }
  }

  /// What is there may itself be a link, into the store of newer huggingface_hub.
  bool leads_into_blobs(const std::string& path) const {
    const auto text = read_link(path);
    return text &&
           (fs::path(parent_path(path)) / *text).lexically_normal().parent_path().string() ==
               at_.blobs(repo_);
  }

  /// Without symlinks other variants' files lie in the snapshot themselves.
  bool is_of_commit(const std::string& path, const FileInfo& own) const {
    const std::string name = path.substr(folder_.size() + 1);
    return own.is_file && std::any_of(snapshot_.listing.begin(), snapshot_.listing.end(),
                                      [&](const RemoteFile& listed) {
                                        return listed.path.text() == name &&
                                               listed.size == own.size &&
                                               !lstat_path(at_.blob(repo_, listed.blob));
                                      });
  }

  void check_own_refs() {
    for (const std::string& name : refs_to_write(snapshot_.spec, snapshot_.commit)) {
      const std::string path = at_.ref(repo_, name);
      expected_.insert(path);
      if (cache_.ref(repo_, name) == snapshot_.commit) continue;
      const auto text = read_file(path, 256);
      CacheFault& fault =
          add(CacheFaultKind::ref, Remedy::download, path,
              text ? "does not hold this commit, 40 digits and nothing else" : "is missing");
      fault.expected = snapshot_.commit.hex();
      fault.found = truncated(text.value_or(""));
    }
  }

  void check_foreign_refs() {
    for (const std::string& path : all_below(at_.refs(repo_))) {
      const auto own = lstat_path(path);
      if (!own || own->is_folder || expected_.contains(path)) continue;
      const auto text = read_file(path, 64);
      const auto commit = text ? CommitId::parse(*text) : Result<CommitId>(Error{});
      if (commit && lstat_path(at_.snapshot(repo_, *commit))) continue;
      CacheFault& fault = add(CacheFaultKind::ref, Remedy::quarantine, path,
                              commit ? "leads to a revision that is not here" : "holds no commit");
      fault.found = truncated(text.value_or(""));
    }
  }

  void modes() {
    std::set<std::string> paths = {at_.root(),           at_.repo(repo_), at_.blobs(repo_),
                                   at_.snapshots(repo_), folder_,         at_.refs(repo_)};
    for (std::size_t i = 0; i < snapshot_.files.size(); ++i)
      if (!found_.contents[i].empty()) paths.insert(found_.contents[i]);
    for (const std::string& path : expected_)
      for (std::string at = path; at.size() > at_.repo(repo_).size(); at = parent_path(at))
        paths.insert(at);
    for (const std::string& path : paths) {
      const auto own = lstat_path(path);
      if (!own || own->is_link)
        continue;  // a link has no mode; what it leads to has, if it is ours
      const unsigned missing = missing_bits(*own, umask_);
      if (missing == 0) continue;
      CacheFault& fault =
          add(CacheFaultKind::mode, Remedy::chmod, path,
              fmt::format("has mode {:04o}, which keeps readers out that the umask lets in",
                          own->mode));
      fault.expected = fmt::format("{:04o}", own->mode | missing);
      fault.found = fmt::format("{:04o}", own->mode);
    }
  }

  const Cache& cache_;
  const ResolvedSnapshot& snapshot_;
  unsigned umask_;
  const RepoId& repo_;
  const CacheLayout& at_;
  std::string folder_;
  std::set<std::string> expected_;  // links and refs that are ours
  Inspection found_;
};

}  // namespace

unsigned missing_bits(const FileInfo& facts, unsigned umask) {
  const unsigned readable = facts.is_folder ? 0555U : 0444U;
  return readable & ~umask & ~facts.mode;
}

Inspection inspect(const Cache& cache, const ResolvedSnapshot& snapshot, unsigned umask) {
  return Inspector(cache, snapshot, umask).run();
}

}  // namespace model_prep
