// SPDX-License-Identifier: Apache-2.0
// A flock(2) on a file that stays, as huggingface_hub takes it (docs/developing/hub-protocol.md,
// section 1.8): mode 0664, never unlinked by us. Some versions of filelock do unlink it, so that
// after locking, the file must still be the one at the path.
//
// A lock is a courtesy here and never what keeps the cache correct. Some file systems have none
// (ENOSYS, ENOLCK, ENOTSUP, and EBADF of NFS for a lock file that only others may write: it counts
// as acquired), some grant it to everybody (Lustre, GPFS and
// NFS mounted without locking). Code that relies on exclusion asks `lock_excludes`.
#pragma once

#include "model_prep/io/directory.h"

namespace model_prep {

enum class LockKind : std::uint8_t { exclusive, shared };

class FileLock {
 public:
  /// Nothing if somebody else holds it. Never waits. The directory of `path` must exist; it is
  /// reached through `root`.
  static Result<std::optional<FileLock>> try_acquire(const Directory& root, const std::string& path,
                                                     LockKind kind = LockKind::exclusive);

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;  // closing releases the lock
};

/// Locks a file that is open already, exclusively. Not if somebody else has it locked, or cannot.
bool lock_file(const UniqueFd& fd);

/// Of a file that this process has locked exclusively: whether nobody else on this machine can have
/// it locked too. Found out by trying to lock it a second time.
bool lock_excludes(const Directory& root, const std::string& path);

}  // namespace model_prep
