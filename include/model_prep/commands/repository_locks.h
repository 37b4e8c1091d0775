// SPDX-License-Identifier: Apache-2.0
// The locks that a download shares with others, so that no cleanup removes files on which it
// relies. Where one cannot be had, because locks do not work or somebody never lets go, the run
// goes on: publishing checks the files in any case. One thread.
#pragma once

#include <functional>
#include <map>

#include "model_prep/commands/session.h"
#include "model_prep/io/file_lock.h"

namespace model_prep {

class RepositoryLocks {
 public:
  /// `session` must outlive it.
  explicit RepositoryLocks(Session& session) : session_(session) {}

  /// Keeps the repository's lock until `release`. Returns whether a cleanup had it, which may have
  /// removed what was there before; it is waited for, until `stopped`.
  bool share(const RepoId& repo, const std::function<bool()>& stopped);
  void release() { locks_.clear(); }

 private:
  Session& session_;
  std::map<RepoId, FileLock> locks_;
};

}  // namespace model_prep
