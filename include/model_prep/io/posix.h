// SPDX-License-Identifier: Apache-2.0
// The operating system, with owners for what it hands out and with errors that name the object.
//
// Paths are UTF-8. All functions block only as long as the disk does. One thread at a time per
// object.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "model_prep/base/error.h"

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

/// The one mapping from errno: ENOSPC, EDQUOT and EFBIG are `disk_full`; EACCES, EPERM and EROFS
/// are `permission`, with who we are and whose the object is in the hint; all else is `io`.
Error io_error(std::string_view operation, const std::string& path, int error_number);

struct FileInfo {
  bool is_file{false};  ///< a regular one, no pipe and no device
  bool is_folder{false};
  bool is_link{false};
  std::int64_t size{0};
  std::int64_t mtime_ns{0};
  std::uint64_t device{0};
  std::uint64_t inode{0};
  std::uint64_t link_count{0};  ///< hard links
  unsigned mode{0};             ///< permission bits
  std::uint32_t owner{0};       ///< uid
  /// Two descriptions of one file, under whatever names.
  bool is_same_file(const FileInfo& other) const {
    return device == other.device && inode == other.inode;
  }
};
/// What is at the path, links followed. Nothing if there is nothing, or only a dangling link.
std::optional<FileInfo> stat_path(const std::string& path);
/// The same without following a link at the end.
std::optional<FileInfo> lstat_path(const std::string& path);
std::optional<FileInfo> stat_path(int fd);
std::optional<std::string> read_link(const std::string& path);
/// All of a regular file up to `most` bytes; nothing if it is something else, cannot be read or is
/// larger.
std::optional<std::string> read_file(const std::string& path, std::size_t most);
std::optional<std::string> read_file(int fd, std::size_t most);
/// A regular file, links followed: a pipe or a device in its place is an error and not waited for.
Result<UniqueFd> open_for_reading(const std::string& path);
/// The folder and all above it, wherever links lead: for places that the user names. Below them:
/// `io/directory.h`.
Status create_directories(const std::string& path);
/// Adds to a file that others write to as well, and makes it if there is none. Links are followed,
/// and a pipe is not waited for: for a place that the user names.
Status append_to_file(const std::string& path, std::string_view text);
/// Replaces what is in a regular file that somebody has laid there for us. No link is followed;
/// where there is no such file, or it is not ours to write, nothing happens.
Status overwrite_existing(const std::string& path, std::string_view text);
Status write_at(int fd, std::span<const char> bytes, std::int64_t offset, const std::string& path);

/// SIGINT and SIGTERM as something to poll. Make it before any thread: they are blocked for the
/// whole process, which also works as process 1 of a container, where an unhandled SIGTERM is
/// dropped. SIGPIPE and SIGXFSZ are ignored: the write says it better.
class SignalFd {
 public:
  SignalFd();
  int get() const { return fd_.get(); }
  /// The next signal that came, if any.
  std::optional<int> read() const;
  /// From now on a further signal ends the process at once, with 128 + n: for the user who does not
  /// want to wait for the orderly end.
  void exit_immediately_on_next_signal() const;

 private:
  UniqueFd fd_;
};

/// This process's file mode creation mask. To be asked for where there is one thread only: it is
/// set for a moment.
unsigned current_umask();

struct TerminalSize {
  int columns{0};
  int rows{0};  ///< 0: it does not know
};
/// How large the terminal is that this descriptor leads to; nothing if it leads to none, or it does
/// not know.
std::optional<TerminalSize> terminal_size(int fd);
std::optional<int> terminal_columns(int fd);

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
std::string parent_path(const std::string& path);

/// `host:pid`: who fetches, for those who wait.
std::string host_and_pid();
/// Eight hex digits that are the same for all processes on this kernel since it started, in
/// whatever container; other kernels have others. All zeros: not known.
std::string machine_name();
std::string random_hex(std::size_t digits);

}  // namespace model_prep
