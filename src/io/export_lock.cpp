// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/export_lock.h"

#include <chrono>
#include <utility>

namespace model_prep {

ExportLock::ExportLock(const std::string& directory, std::string path, FileLock lock)
    : directory_(directory),
      path_(std::move(path)),
      lock_(std::move(lock)),
      excludes_(lock_excludes(directory_, path_)) {}

// While the lock is held: whoever opened the file meanwhile sees that it has gone, and makes
// another one.
// NOLINTNEXTLINE(bugprone-exception-escape): error() is called only where there is one.
ExportLock::~ExportLock() { static_cast<void>(directory_.remove(path_)); }

Result<std::unique_ptr<ExportLock>> ExportLock::try_acquire(const std::string& directory,
                                                            const std::string& path) {
  auto lock = FileLock::try_acquire(Directory(directory), path);
  if (!lock) return lock.error();
  if (!*lock) return std::unique_ptr<ExportLock>();
  return std::unique_ptr<ExportLock>(new ExportLock(directory, path, std::move(**lock)));
}

bool ExportLock::is_leftover(const std::string& path) const {
  constexpr std::chrono::hours kAbandoned{24};
  return excludes_ || is_older_than(path, kAbandoned);
}

}  // namespace model_prep
