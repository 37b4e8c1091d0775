// SPDX-License-Identifier: Apache-2.0
// Writing below a folder without ever leaving it.
//
// A cache on a shared volume has other tenants, and one of them may plant a symlink where we are
// about to write. So what is written is reached from one folder by its names, one `openat` with
// O_NOFOLLOW each, and the last step is an `…at` call in the folder that was found: a link on the
// way, whenever it is planted, ends the call with an error that names it. The folder itself is the
// user's word, and its own path may lead through links when it is made.
//
// Paths are absolute and lie below `path()`, as `core/cache_layout.h` makes them; so errors can
// name them. Modes are 0666 & ~umask for files, 0777 & ~umask for folders: what other users of a
// shared volume expect (docs/developing/hub-protocol.md, section 1.10); a setgid folder hands its
// group down by itself. Blocks as long as the disk does; no state but the path.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>

#include "model_prep/base/error.h"
#include "model_prep/io/posix.h"

namespace model_prep {

class Directory {
 public:
  static constexpr mode_t kFileMode = 0666;

  /// `path` is canonical.
  explicit Directory(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  /// A symlink at the end of `path` is not followed either.
  Result<UniqueFd> open_file(const std::string& path, int flags, mode_t mode = kFileMode) const;
  /// The folder itself and all above it too.
  Status create_directories(const std::string& path) const;
  Status rename(const std::string& from, const std::string& to) const;
  /// A file, a link or an empty folder. Removing what is not there is no error.
  Status remove(const std::string& path) const;
  /// Adds permission bits to a file or folder.
  Status allow(const std::string& path, unsigned bits) const;
  /// Makes a rename in this folder survive a power cut. File systems that cannot sync a folder are
  /// taken at their word.
  Status sync(const std::string& folder) const;

  /// Replaces `path` by a file with this content, or leaves it untouched: written and synced under
  /// a temporary name in `temporary_folder` (on the same file system), then renamed, then the
  /// folder synced. A crash leaves the old content or the new, and at worst a `*.tmp` that means
  /// nothing.
  Status write_atomically(const std::string& path, std::string_view content,
                          const std::string& temporary_folder) const;
  /// Makes `path` a symlink with this text, replacing what is there, likewise through a temporary
  /// name. False: this file system has no symlinks.
  Result<bool> link_atomically(const std::string& path, const std::string& text,
                               const std::string& temporary_folder) const;
  /// Makes `to` a copy of the file at `from`, likewise.
  Status copy_atomically(const std::string& from, const std::string& to,
                         const std::string& temporary_folder) const;

 private:
  struct Place;
  Result<Place> find(const std::string& path) const;
  Result<UniqueFd> open_directory(const std::string& folder, int flags) const;
  Status write_temporary_and_rename(const std::string& path, const std::string& temporary_folder,
                                    const std::function<Status(const UniqueFd&)>& fill) const;

  std::string path_;
};

/// A name that no other process uses: `<folder>/<stem>.<16 hex>.tmp`.
std::string temporary_name(const std::string& folder, std::string_view stem);

/// The bytes of `range` from one file to the same place in another, by the kernel where it can.
Status copy_bytes(int from, int to, std::int64_t begin, std::int64_t end, const std::string& path);

}  // namespace model_prep
