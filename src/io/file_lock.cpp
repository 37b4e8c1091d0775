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

bool cannot_lock(int error_number) {
  return error_number == ENOSYS || error_number == ENOLCK || error_number == EOPNOTSUPP ||
         error_number == EBADF;  // NFS, for a descriptor that may not write
}

/// Another user's lock file of mode 0644, as older tools make them, can still be locked: flock
/// needs no write access.
Result<UniqueFd> open_lock(const Directory& root, const std::string& path) {
  auto fd = root.open_file(path, O_RDWR | O_CREAT, kLockMode);
  if (fd || !lstat_path(path)) return fd;

  auto readable = root.open_file(path, O_RDONLY | O_NONBLOCK);
  const auto found = readable ? stat_fd(*readable) : std::nullopt;
  return found && found->is_file ? std::move(readable) : std::move(fd);
}

/// Lets the next user lock it too, whatever our umask. Only for a file of ours that has no other
/// name: a hard link to something precious may have been planted here.
void open_to_all(const UniqueFd& fd) {
  const auto found = stat_fd(fd);
  if (found && found->link_count == 1 && found->owner == geteuid() &&
      (found->mode & 0777U) != kLockMode)
    static_cast<void>(fchmod(fd.get(), kLockMode));
}

}  // namespace

Result<std::optional<FileLock>> FileLock::try_acquire(const Directory& root,
                                                      const std::string& path, LockKind kind) {
  // Each try that fails means that somebody removed the file between open and lock.
  constexpr int kTries = 10;
  for (int i = 0; i < kTries; ++i) {
    auto fd = open_lock(root, path);
    if (!fd) return fd.error();

    if (flock(fd->get(), (kind == LockKind::exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK || errno == EINTR) return std::optional<FileLock>();
      if (!cannot_lock(errno)) return io_error("lock", path, errno);
      return std::optional(FileLock(std::move(*fd)));
    }

    if (!is_still_at(*fd, path)) continue;
    open_to_all(*fd);
    return std::optional(FileLock(std::move(*fd)));
  }
  return std::optional<FileLock>();
}

bool FileLock::excludes(const Directory& root, const std::string& path) const {
  const auto again = root.open_file(path, O_RDONLY);
  return again && flock(again->get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

}  // namespace model_prep
