// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/inspection.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/io/documents.h"

namespace model_prep {
namespace {

namespace fs = std::filesystem;

class Inspector {
 public:
  Inspector(const Cache& cache, const ResolvedSnapshot& snapshot, unsigned umask)
      : cache_(cache), snapshot_(snapshot), umask_(umask) {}

  Inspection run() {
    const SnapshotView view = cache_.inspect(snapshot_, {});
    for (std::size_t i = 0; i < snapshot_.files.size(); ++i) {
      check_link(i, view.files[i].linked);
      if (view.files[i].hidden)
        add(CacheFaultKind::foreign, Remedy::download,
            layout_.no_exist(commit_, snapshot_.files[i].path),
            "tells libraries that this file does not exist", i);
      check_content(i);
    }
    check_unexpected_files();
    check_own_refs();
    check_foreign_refs();

    if (!view.tree_correct)
      add(CacheFaultKind::listing, Remedy::download, layout_.tree(commit_),
          "the commit's listing is missing, or not in huggingface_hub's format");
    check_modes();
    return std::move(found_);
  }

 private:
  CacheFault& add(CacheFaultKind kind, Remedy remedy, std::string path, std::string_view what,
                  std::optional<std::size_t> file = {}) {
    // A file of the snapshot is shown with its path on the Hub, anything else with its path below
    // the repository's directory.
    const std::string below = path.starts_with(directory_ + "/") ? directory_ : layout_.repo;
    const std::string shown = path.size() > below.size() ? path.substr(below.size() + 1) : path;
    std::string message = fmt::format("{} {}: {}", repo_.text(), truncated(shown), what);
    found_.faults.push_back({.kind = kind,
                             .remedy = remedy,
                             .path = std::move(path),
                             .message = std::move(message),
                             .file = file});
    return found_.faults.back();
  }

  /// What lies below a directory and is not a link or ref of ours.
  Strings unexpected_below(const std::string& directory) const {
    Strings paths = list_recursively(directory);
    std::erase_if(paths, [&](const std::string& path) {
      const auto own = lstat_path(path);
      return !own || own->is_folder || expected_.contains(path);
    });
    return paths;
  }

  void check_link(std::size_t index, bool linked) {
    const RemoteFile& file = snapshot_.files[index];
    const std::string link = layout_.link(commit_, file.path);
    const bool has_content = cache_.content(repo_, commit_, file).there.has_value();
    const auto own = lstat_path(link);
    expected_.insert(link);

    if (!own) {
      add(CacheFaultKind::missing, Remedy::download, link,
          has_content ? "its link is missing" : "is missing", index);
    } else if (own->is_link && linked && !has_content) {
      add(CacheFaultKind::dangling, Remedy::download, link, "its link points to a missing blob",
          index);
    } else if (!linked) {
      CacheFault& fault = add(
          CacheFaultKind::misdirected, own->is_folder ? Remedy::quarantine : Remedy::download, link,
          own->is_link ? "its link points elsewhere" : "is not a link to its blob", index);
      fault.expected = link_target(file.path, file.blob);
      fault.found = read_link(link).value_or("");
    }
  }

  void check_content(std::size_t index) {
    const RemoteFile& file = snapshot_.files[index];
    const auto [path, there] = cache_.content(repo_, commit_, file);
    found_.contents.emplace_back();
    if (!there) return;

    if (!there->is_file) {
      add(CacheFaultKind::damaged, Remedy::quarantine, path, "its blob is not a regular file",
          index);
    } else if (there->size != file.size) {
      CacheFault& fault =
          add(CacheFaultKind::damaged, Remedy::rehash, path,
              fmt::format("has {} bytes, expected {}", there->size, file.size), index);
      fault.expected = std::to_string(file.size);
      fault.found = std::to_string(there->size);
    } else {
      found_.contents[index] = path;
    }
  }

  /// Files in the snapshot that this variant does not want. Those of another variant belong to this
  /// commit too and lead into blobs/.
  void check_unexpected_files() {
    for (const std::string& path : unexpected_below(directory_)) {
      const auto there = stat_path(path);
      if (leads_into_blobs(path) && !(there && there->is_folder)) {
        if (!there)
          add(CacheFaultKind::dangling, Remedy::quarantine, path, "points to a missing blob");
      } else if (!is_of_commit(path)) {
        add(CacheFaultKind::foreign, Remedy::quarantine, path,
            read_link(path) ? "is a link that does not point into blobs/"
                            : "does not belong to this model");
      }
    }
  }

  /// The blob may itself be a link, into the store that newer huggingface_hub shares.
  bool leads_into_blobs(const std::string& path) const {
    const auto text = read_link(path);
    return text &&
           (fs::path(parent_path(path)) / *text).lexically_normal().parent_path() == layout_.blobs;
  }

  /// Without symlinks, other variants' files lie in the snapshot themselves. A lock of this variant
  /// does not tell which they are, and then none is called foreign.
  bool is_of_commit(const std::string& path) const {
    const auto own = lstat_path(path);
    if (!own || !own->is_file) return false;
    return snapshot_.listing.empty() ||
           std::ranges::any_of(snapshot_.listing, [&](const RemoteFile& listed) {
             return listed.size == own->size && path == layout_.link(commit_, listed.path) &&
                    !lstat_path(layout_.blob(listed.blob));
           });
  }

  void check_own_refs() {
    for (const std::string& name : refs_to_write(snapshot_.spec, commit_)) {
      const std::string path = layout_.ref(name);
      expected_.insert(path);
      if (cache_.ref(repo_, name) == commit_ ||
          is_missing_own_ref(cache_.repository(repo_), name, commit_))
        continue;

      const auto text = read_file(path, 256);
      CacheFault& fault =
          add(CacheFaultKind::ref, Remedy::download, path,
              text ? "does not contain exactly the 40 digits of this commit" : "is missing");
      fault.expected = commit_.hex();
      fault.found = truncated(text.value_or(""));
    }
  }

  void check_foreign_refs() {
    for (const std::string& path : unexpected_below(layout_.refs)) {
      // It may be right: a service may be able to read it. So it stays where it is.
      const auto there = stat_path(path);
      if (there && there->is_file && !open_for_reading(path)) {
        add(CacheFaultKind::unreadable, Remedy::chmod, path,
            "this user may not read it: its owner can make it readable or remove it");
        continue;
      }

      const std::string text = read_file(path, 64).value_or("");
      const auto commit = CommitId::parse(text);
      if (commit && lstat_path(layout_.snapshot(*commit))) continue;

      CacheFault& fault =
          add(CacheFaultKind::ref, Remedy::quarantine, path,
              commit ? "points to a revision that is not in the cache" : "contains no commit");
      fault.found = truncated(text);
    }
  }

  void check_modes() {
    std::set<std::string> paths = {layout_.root,      layout_.repo, layout_.blobs,
                                   layout_.snapshots, directory_,   layout_.refs};
    for (std::size_t i = 0; i < snapshot_.files.size(); ++i)
      if (!found_.contents[i].empty()) paths.insert(found_.contents[i]);
    for (const std::string& path : expected_)
      for (std::string parent = path; parent.size() > layout_.repo.size();
           parent = parent_path(parent))
        paths.insert(parent);

    for (const std::string& path : paths) {
      const auto own = lstat_path(path);
      if (!own || own->is_link) continue;  // a link has no mode of its own

      const unsigned missing = missing_bits(*own, umask_);
      if (missing == 0) continue;
      CacheFault& fault = add(CacheFaultKind::mode, Remedy::chmod, path,
                              fmt::format("has mode {:04o}; the umask would allow {:04o}",
                                          own->mode, own->mode | missing));
      fault.expected = fmt::format("{:04o}", own->mode | missing);
      fault.found = fmt::format("{:04o}", own->mode);
    }
  }

  const Cache& cache_;
  const ResolvedSnapshot& snapshot_;
  unsigned umask_;
  const RepoId& repo_ = snapshot_.spec.repo;
  const CommitId& commit_ = snapshot_.commit;
  const CacheLayout& layout_ = cache_.repository(repo_).layout;
  const std::string directory_ = layout_.snapshot(commit_);
  std::set<std::string> expected_;  // our links and refs
  Inspection found_;
};

}  // namespace

unsigned missing_bits(const FileInfo& info, unsigned umask) {
  const unsigned readable = info.is_folder ? 0555U : 0444U;
  return readable & ~umask & ~info.mode;
}

Inspection inspect_snapshot(const Cache& cache, const ResolvedSnapshot& snapshot, unsigned umask) {
  return Inspector(cache, snapshot, umask).run();
}

}  // namespace model_prep
