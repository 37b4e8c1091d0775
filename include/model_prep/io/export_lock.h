// SPDX-License-Identifier: Apache-2.0
// Keeps two exports from writing to one folder at a time.
//
// A file is locked, and removed when the lock ends. Not the folder itself: NFS, SMB and FUSE grant
// the lock of a directory without telling other machines of it (io/file_lock.h has what the lock of
// a file is worth there). One thread.
#pragma once

#include <memory>
#include <string>

#include "model_prep/io/directory.h"
#include "model_prep/io/file_lock.h"

namespace model_prep {

class ExportLock {
 public:
  /// Null if another export has it. `path` is in `directory`, which exists and is canonical.
  static Result<std::unique_ptr<ExportLock>> try_acquire(const std::string& directory,
                                                         const std::string& path);
  ~ExportLock();
  ExportLock(const ExportLock&) = delete;
  ExportLock& operator=(const ExportLock&) = delete;

  /// Whether what lies at `path` was left by an export that has ended: because it would have the
  /// lock otherwise or, where locks exclude nobody, because it was not changed for a day.
  bool is_leftover(const std::string& path) const;

 private:
  ExportLock(const std::string& directory, std::string path, FileLock lock);

  const Directory directory_;
  const std::string path_;
  const FileLock lock_;
  const bool excludes_;
};

}  // namespace model_prep
