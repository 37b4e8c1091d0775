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

/// For writing first, because NFS demands that for an exclusive lock (EBADF). Another user's lock
/// file of mode 0644, as older tools make them, can be locked elsewhere all the same. A
/// pipe will do as well.
Result<UniqueFd> open_lock(const Directory& root, const std::string& path, int flags) {
  auto fd = root.open_any(path, O_RDWR | flags, kLockMode);
  if (fd || !lstat_path(path)) return fd;

  auto readable = root.open_file(path, O_RDONLY);
  return readable ? std::move(readable) : std::move(fd);
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
    auto fd = open_lock(root, path, O_CREAT);
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

bool lock_file(const UniqueFd& fd) { return flock(fd.get(), LOCK_EX | LOCK_NB) == 0; }

bool lock_excludes(const Directory& root, const std::string& path) {
  const auto again = open_lock(root, path, 0);
  return again && !lock_file(*again) && errno == EWOULDBLOCK;
}

}  // namespace model_prep
