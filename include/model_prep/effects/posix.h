// SPDX-License-Identifier: Apache-2.0
// The operating system, with owners for what it hands out and with errors that name the object.
//
// Paths are UTF-8. All functions block only as long as the disk does. One thread at a time per object.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "model_prep/values/error.h"

namespace model_prep {

/// A file descriptor that is closed with its owner.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_{-1};
};

/// The one mapping from errno: ENOSPC, EDQUOT and EFBIG are `disk_full`; EACCES, EPERM and EROFS are `permission`, with
/// who we are and whose the object is in the hint; all else is `io`.
Error io_error(std::string_view operation, const std::string& path, int error_number);

struct FileFacts {
  bool is_folder{false};
  bool is_link{false};
  std::int64_t size{0};
  std::int64_t mtime_ns{0};
  std::uint64_t inode{0};
};
/// What is at the path, links followed. Nothing if there is nothing, or only a dangling link.
std::optional<FileFacts> facts(const std::string& path);
/// The same without following a link at the end.
std::optional<FileFacts> own_facts(const std::string& path);
std::optional<FileFacts> facts(int fd);
std::optional<std::string> link_text(const std::string& path);
/// All of a file up to `most` bytes; nothing if it cannot be read or is larger.
std::optional<std::string> read_file(const std::string& path, std::size_t most);

/// Open modes are 0666 & ~umask for files, 0777 & ~umask for folders: what other users of a shared volume expect
/// (hub-protocol.md 1.10).
Result<UniqueFd> open_file(const std::string& path, int flags);
Status make_folders(const std::string& path);
Status write_at(int fd, std::span<const char> bytes, std::int64_t offset, const std::string& path);
/// Makes a rename in this folder survive a power cut. File systems that cannot sync a folder are taken at their word.
Status sync_folder(const std::string& path);
Status rename_path(const std::string& from, const std::string& to);
/// Removing what is not there is no error.
Status remove_file(const std::string& path);
/// A name that no other process uses: `<folder>/<stem>.<16 hex>.tmp`.
std::string temporary_name(const std::string& folder, std::string_view stem);

/// Replaces `path` by a file with this content, or leaves it untouched: written and synced under a temporary name in
/// `temporary_folder` (on the same file system), then renamed, then the folder synced. A crash leaves the old content
/// or the new, and at worst a `*.tmp` that means nothing.
Status write_atomically(const std::string& path, std::string_view content, const std::string& temporary_folder);
/// Makes `path` a symlink with this text, replacing what is there, likewise through a temporary name.
Status link_atomically(const std::string& path, const std::string& text, const std::string& temporary_folder);

/// An exclusive flock(2) on a file that stays, as huggingface_hub takes it (hub-protocol.md 1.8): mode 0664, never
/// unlinked by us; some versions of filelock do unlink it, so after locking it must still be the file at the path.
class FileLock {
 public:
  /// Nothing: somebody else holds it. Never waits.
  static Result<std::optional<FileLock>> try_acquire(const std::string& path);

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;  // closing releases the lock
};

/// SIGINT and SIGTERM as something to poll. Make it before any thread: they are blocked for the whole process, which
/// also works as process 1 of a container, where an unhandled SIGTERM is dropped. SIGPIPE and SIGXFSZ are ignored: the
/// write says it better.
class SignalFd {
 public:
  SignalFd();
  int get() const { return fd_.get(); }
  /// The next signal that came, if any.
  std::optional<int> read() const;
  /// From now on a further signal ends the process at once, with 128 + n: for the user who does not want to wait for
  /// the orderly end.
  void end_at_next() const;

 private:
  UniqueFd fd_;
};

struct DiskSpace {
  std::int64_t bytes{0};
  std::optional<std::int64_t> inodes;  ///< nothing: this file system does not count them
};
/// What an unprivileged writer may still use below the nearest existing folder of `path`.
std::optional<DiskSpace> disk_space(const std::string& path);

/// An absolute path without links or dots; parts that do not exist yet are kept as they are.
std::string canonical_path(const std::string& path);
/// What a link at `from_folder` must hold to lead to `to`; both canonical.
std::string relative_path(const std::string& to, const std::string& from_folder);
std::string parent_of(const std::string& path);

/// `host:pid:random`: who fetches, for the resume record and for those who wait.
std::string process_identity();
std::string random_hex(std::size_t digits);

}  // namespace model_prep
