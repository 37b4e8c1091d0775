// SPDX-License-Identifier: Apache-2.0
// Writes below one directory and never outside of it.
//
// A cache on a shared volume has other users, and any of them may plant a symlink where we are
// about to write. So every directory below the root is entered name by name, with O_NOFOLLOW, and
// the last step is an `…at` call in the directory that was reached. A symlink on the way ends the
// call with an error that names it. The root itself is the user's choice: its own path may lead
// through links when it is created.
//
// Entered directories stay open (at most `kMaxOpen`), so that the usual operation is one `…at`
// call. Before each use one lstat(2) checks that the path still names the directory that is open.
// If it was renamed, removed or replaced meanwhile, by a cleanup or by an attacker, it is entered
// again from the root and the rules above apply. So whatever is planted at whatever moment, bytes
// end up in a directory that was reached without following a link, or nowhere.
//
// Paths are absolute and lie below `path()`, as `core/cache_layout.h` makes them, so that errors
// can name them. Modes are 0666 & ~umask for files and 0777 & ~umask for directories, which is what
// other users of a shared volume expect (docs/developing/hub-protocol.md, section 1.10); a setgid
// directory passes on its group by itself. Calls block as long as the disk does. One thread.
#pragma once

#include <functional>
#include <memory>

#include "model_prep/base/error.h"
#include "model_prep/io/posix.h"

namespace model_prep {

class Directory {
 public:
  /// `path` is canonical.
  explicit Directory(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  /// A symlink at the end of `path` is not followed either, and a pipe or a device there is an
  /// error.
  Result<UniqueFd> open_file(const std::string& path, int flags, mode_t mode = kFileMode) const;

  /// The same for whatever is there. A pipe is not waited for.
  Result<UniqueFd> open_any(const std::string& path, int flags, mode_t mode = kFileMode) const;

  /// Creates the directory and all its parents.
  Status create_directories(const std::string& path) const;
  Status rename(const std::string& from, const std::string& to) const;

  /// A second name of a file, which need not be below this directory. False where that cannot be
  /// had: on another file system, or on one without such links.
  bool link(const std::string& from, const std::string& to) const;

  /// A file, a link or an empty directory. Removing what does not exist is not an error.
  Status remove(const std::string& path) const;

  /// Adds permission bits to a file or directory. Not to a file that has a second name: it could be
  /// anybody's.
  Status add_permissions(const std::string& path, unsigned bits) const;

  /// Makes renames into this directory survive a power cut. Does nothing on a file system that
  /// cannot sync a directory.
  Status sync(const std::string& directory) const;

  /// Replaces `path` by a file with this content, or leaves it untouched: written and synced under
  /// a temporary name in `temporary_directory` (same file system), renamed, its directory synced. A
  /// crash leaves the old content or the new, and at worst a `*.tmp` that nobody reads.
  Status write_atomically(const std::string& path, std::string_view content,
                          const std::string& temporary_directory) const;

  /// Makes `path` a symlink with this text. What was there is replaced, by way of a temporary name
  /// too. Returns false if this file system has no symlinks.
  Result<bool> link_atomically(const std::string& path, const std::string& text,
                               const std::string& temporary_directory) const;

  /// Makes `to` a copy of the file at `from`, by way of a temporary name too, and gives it the same
  /// time where that can be done.
  Status copy_atomically(const std::string& from, const std::string& to,
                         const std::string& temporary_directory) const;

 private:
  static constexpr std::size_t kMaxOpen = 32;

  struct Opened;  // a directory that is open
  struct Entry;   // a name in it
  using OpenedPtr = std::shared_ptr<const Opened>;

  Result<OpenedPtr> open_directory(const std::string& path) const;
  Result<Entry> entry_at(const std::string& path) const;
  Status rename_entry(const Entry& source, const std::string& to) const;
  Status write_temporary_and_rename(const std::string& path, const std::string& temporary_directory,
                                    const std::function<Status(const UniqueFd&)>& fill) const;

  std::string path_;
  mutable std::vector<OpenedPtr> opened_;  // the last one used is at the end
};

/// A name that no other process uses: `<directory>/<stem>.<16 hex>.tmp`.
std::string temporary_name(const std::string& directory, std::string_view stem);

/// What errors call the two files of a copy.
struct CopyNames {
  std::string source;
  std::string target;
};

/// Copies bytes `begin` to `end` of one file to the same offset in another, inside the kernel where
/// it can.
Status copy_bytes(const UniqueFd& from, const UniqueFd& to, Bytes begin, Bytes end,
                  const CopyNames& names);

}  // namespace model_prep
