// SPDX-License-Identifier: Apache-2.0
// A repository in the cache: where it lies, where its locks are, and the names of its files.
//
// A handle, cheap to copy. It refers to the two directories (`io/directory.h`), which must outlive
// it; `io/cache.h` owns them and hands out the handles. They are two different ones if the
// repository lives in an older place (docs/cache-layout.md). One thread.
#pragma once

#include <utility>

#include "model_prep/core/cache_layout.h"
#include "model_prep/io/directory.h"

namespace model_prep {

class Repository {
 public:
  Repository(const Directory& directory, const Directory& lock_directory, RepoId id)
      : id_(std::move(id)),
        directory_(&directory),
        lock_directory_(&lock_directory),
        layout_(directory.path(), lock_directory.path(), id_) {}

  const RepoId& id() const { return id_; }
  const CacheLayout& layout() const { return layout_; }

  /// The directory that holds the repository's own: everything but locks is written through it.
  const Directory& directory() const { return *directory_; }
  /// The cache: locks are made through it.
  const Directory& lock_directory() const { return *lock_directory_; }

 private:
  RepoId id_;
  const Directory* directory_;
  const Directory* lock_directory_;
  CacheLayout layout_;
};

}  // namespace model_prep
