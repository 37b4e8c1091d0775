// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/file_lock.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace model_prep {
namespace {

constexpr mode_t kLockMode = 0664;

bool is_lock_at(int fd, const std::string& path) {
  const auto held = stat_path(fd);
  const auto there = lstat_path(path);
  return held && there && held->link_count > 0 && held->is_same_file(*there);
}

bool cannot_lock(int error_number) {
  return error_number == ENOSYS || error_number == ENOLCK || error_number == EOPNOTSUPP ||
         error_number == EBADF;  // NFS, for a descriptor that may not write
}

/// Another user's lock file of mode 0644, as older tools make them, can still be locked: flock
/// wants no write access.
Result<UniqueFd> open_lock(const Directory& folder, const std::string& path) {
  auto fd = folder.open_file(path, O_RDWR | O_CREAT, kLockMode);
  if (fd || !lstat_path(path)) return fd;
  auto readable = folder.open_file(path, O_RDONLY | O_NONBLOCK);
  const auto found = readable ? stat_path(readable->get()) : std::nullopt;
  return found && found->is_file ? std::move(readable) : std::move(fd);
}

/// So that the next user may lock it too, whatever our umask. Only a file of ours that has no other
/// name: a hard link to something precious may have been planted here.
void open_to_all(int fd) {
  struct stat found{};
  if (fstat(fd, &found) == 0 && found.st_nlink == 1 && found.st_uid == geteuid() &&
      (found.st_mode & 0777) != kLockMode)
    static_cast<void>(fchmod(fd, kLockMode));
}

}  // namespace

Result<std::optional<FileLock>> FileLock::try_acquire(const Directory& folder,
                                                      const std::string& path, LockKind kind) {
  constexpr int kTries =
      10;  // each failing try means that somebody removed the file between open and lock
  for (int i = 0; i < kTries; ++i) {
    auto fd = open_lock(folder, path);
    if (!fd) return fd.error();
    if (flock(fd->get(), (kind == LockKind::exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK || errno == EINTR) return std::optional<FileLock>();
      if (!cannot_lock(errno)) return io_error("lock", path, errno);
      return std::optional(FileLock(std::move(*fd)));
    }
    if (!is_lock_at(fd->get(), path)) continue;
    open_to_all(fd->get());
    return std::optional(FileLock(std::move(*fd)));
  }
  return std::optional<FileLock>();
}

bool FileLock::excludes(const Directory& folder, const std::string& path) const {
  const auto again = folder.open_file(path, O_RDONLY);
  return again && flock(again->get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

}  // namespace model_prep
