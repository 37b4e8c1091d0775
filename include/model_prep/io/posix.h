// SPDX-License-Identifier: Apache-2.0
// The operating system, with owners for what it hands out and errors that name the object.
//
// Paths are UTF-8. Functions block only as long as the disk does. One thread at a time per object.
#pragma once

#include <sys/types.h>

#include "model_prep/base/types.h"

#include <chrono>
#include <optional>
#include <span>
#include <vector>

#include "model_prep/base/blob_spec.h"
#include "model_prep/base/error.h"

namespace model_prep {

/// The mode of a new file; the umask limits it.
inline constexpr mode_t kFileMode = 0666;

/// A file descriptor that is closed with its owner.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_{-1};
};

/// The only mapping from errno. ENOSPC, EDQUOT and EFBIG are `disk_full`; EACCES, EPERM and EROFS
/// are `permission`, with our uid and the object's owner in the hint; everything else is `io`.
Error io_error(std::string_view operation, const std::string& path, int error_number);

struct FileInfo {
  bool is_file{false};  ///< a regular file, not a pipe or a device
  bool is_folder{false};
  bool is_link{false};
  Bytes size{0};
  Bytes occupied{0};  ///< space on the disk: without holes, with what is reserved
  std::int64_t mtime_ns{0};
  std::uint64_t device{0};
  std::uint64_t inode{0};
  std::uint64_t link_count{0};  ///< hard links
  unsigned mode{0};             ///< permission bits
  std::uint32_t owner{0};       ///< uid

  FileStamp stamp() const { return {size, mtime_ns}; }

  /// Both describe one file, under whatever names.
  bool is_same_file(const FileInfo& other) const {
    return device == other.device && inode == other.inode;
  }
};

/// What is at the path, links followed. Nothing if it does not exist or is a dangling link.
std::optional<FileInfo> stat_path(const std::string& path);

/// The same, but a link at the end of the path is not followed.
std::optional<FileInfo> lstat_path(const std::string& path);
std::optional<FileInfo> stat_fd(const UniqueFd& fd);

/// A link to a directory is not one.
bool is_directory(const std::string& path);

/// Whether the path itself, and no link in its place, still names what is open.
bool is_still_at(const UniqueFd& fd, const std::string& path);

/// Whether it was modified longer ago than that; links followed. Not if it does not exist.
bool is_older_than(const std::string& path, std::chrono::hours age);
std::optional<std::string> read_link(const std::string& path);

/// As `stat_path`, `lstat_path` and `read_link`, for code that deletes: empty only if the path does
/// not exist, leads nowhere or is no link. Any other failure is an error.
Result<std::optional<FileInfo>> try_stat(const std::string& path);
Result<std::optional<FileInfo>> try_lstat(const std::string& path);
Result<std::optional<std::string>> try_read_link(const std::string& path);

/// Looks up names in one directory, without walking its path for each.
class FolderView {
 public:
  explicit FolderView(std::string path);
  const std::string& path() const { return path_; }
  /// As `lstat_path` and `read_link` of the name's path.
  std::optional<FileInfo> lstat(const std::string& name) const;
  std::optional<std::string> read_link(const std::string& name) const;

 private:
  /// What the system calls take: descriptor and name, or the path if it could not be opened.
  std::pair<int, std::string> place_of(const std::string& name) const;

  std::string path_;
  UniqueFd fd_;
};

/// The paths of what is in a directory, sorted. It is empty if it does not exist. A directory that
/// cannot be read is skipped, unless `status` is given to receive the error.
Strings list_directory(const std::string& path, Status* status = nullptr);

/// The same at any depth. Links below `path` are not followed.
Strings list_recursively(const std::string& path, Status* status = nullptr);

/// The whole of a regular file of at most `max` bytes. Nothing if it is larger, not a regular file,
/// or cannot be read.
std::optional<std::string> read_file(const std::string& path, std::size_t max);
std::optional<std::string> read_file(const UniqueFd& fd, std::size_t max);

/// The first bytes of a file, at most this many; fewer if it ends or cannot be read.
std::string read_beginning(const UniqueFd& fd, std::size_t size);

/// Opens a regular file, links followed. A pipe or a device in its place is an error, and is not
/// waited for.
Result<UniqueFd> open_for_reading(const std::string& path);

/// Creates the directory and its parents, wherever links lead: for paths that the user names. Below
/// them, use `io/directory.h`.
Status create_directories(const std::string& path);

/// Overwrites a regular file that somebody has provided for us. No link is followed. Returns false,
/// and has done nothing, if there is no such file, it has a second name, or we may not write it.
Result<bool> overwrite_existing(const std::string& path, std::string_view text);

/// `path` names the file in errors.
Status write_at(const UniqueFd& fd, std::span<const char> bytes, Bytes offset,
                const std::string& path);

/// For the beginning of `main`. SIGPIPE and SIGXFSZ are ignored: the failing write is the better
/// report. Standard descriptors that are closed become useless for good: without that, the next
/// file to be opened would get the number, and then what is meant for stdout or stderr.
void prepare_process();

/// SIGINT and SIGTERM as a descriptor to poll. Create it before any thread: it blocks both signals
/// for the whole process. That also works as process 1 of a container, where an unhandled SIGTERM
/// is dropped. One thread.
class SignalFd {
 public:
  SignalFd();
  int get() const { return fd_.get(); }

  /// The first signal that came, in every call since: whatever the run begins after it ends too.
  /// Another one ends the process at once, for a user who does not want to wait for the orderly
  /// end.
  std::optional<int> read() const;

  /// Returns as soon as a signal is pending, or after this time.
  void wait(std::chrono::milliseconds time) const;

  /// From now on a signal ends the process at once, with exit code 128 + n.
  static void exit_immediately_on_next_signal();

 private:
  UniqueFd fd_;
  mutable std::optional<int> first_{};
};

/// This process's file mode creation mask. Call it while there is only one thread: reading the mask
/// means to set it for a moment.
unsigned current_umask();

/// How many processors this process may use at one time, as its affinity says; at least one. A
/// limit of CPU time (a control group's) is not among them.
std::size_t processors();

struct TerminalSize {
  int columns{0};
  int rows{0};  ///< 0: unknown
};

/// The size of the terminal that this descriptor refers to. Nothing if it is not a terminal, or the
/// size is unknown.
std::optional<TerminalSize> terminal_size(int fd);
std::optional<int> terminal_columns(int fd);

struct DiskSpace {
  Bytes bytes{0};
  std::optional<std::int64_t> inodes;  ///< nothing if this file system does not count them
  std::uint64_t device{0};             ///< which file system it is
};

/// What an unprivileged writer may still use in the nearest existing parent of `path`. Nothing
/// where the file system does not say.
std::optional<DiskSpace> disk_space(const std::string& path);

/// The absolute path without links or dots. Components that do not exist yet are kept as they are.
std::string canonical_path(const std::string& path);

/// The text of a link in `from_directory` that leads to `to`; both canonical.
std::string relative_path(const std::string& to, const std::string& from_directory);
std::string parent_path(const std::string& path);

/// The last component.
std::string file_name(const std::string& path);

/// `host:pid`, which tells those who wait who is fetching.
std::string host_and_pid();

/// Eight hex digits that all processes on this kernel share since it booted, in whatever container,
/// and that other kernels do not have. All zeros if unknown.
std::string machine_name();

/// From the kernel, which works without /dev: std::random_device may have to open /dev/urandom.
std::uint64_t random_bits();

/// At most 16 digits.
std::string random_hex(std::size_t digits);

}  // namespace model_prep
