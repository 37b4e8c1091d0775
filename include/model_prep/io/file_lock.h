// SPDX-License-Identifier: Apache-2.0
// A flock(2) on a file that stays, as huggingface_hub takes it (docs/developing/hub-protocol.md,
// section 1.8): mode 0664, never unlinked by us; some versions of filelock do unlink it, so after
// locking it must still be the file at the path.
//
// A lock is a courtesy here and never what keeps the cache right: some file systems have none
// (ENOSYS, ENOLCK, ENOTSUP: then it counts as taken), some let everybody have it (Lustre, GPFS and
// NFS mounts without locking). Whoever builds on it asks `excludes()`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "model_prep/io/directory.h"

namespace model_prep {

enum class LockKind : std::uint8_t { exclusive, shared };

class FileLock {
 public:
  /// Nothing: somebody else holds it. Never waits. The folder of `path` must be there.
  static Result<std::optional<FileLock>> try_acquire(const Directory& folder,
                                                     const std::string& path,
                                                     LockKind kind = LockKind::exclusive);

  /// Whether nobody else on this machine can hold it too: asked by trying to take it once more.
  bool excludes(const Directory& folder, const std::string& path) const;

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;  // closing releases the lock
};

}  // namespace model_prep
