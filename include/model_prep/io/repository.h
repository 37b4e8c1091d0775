// SPDX-License-Identifier: Apache-2.0
// A repository in the cache: where it lies, where its locks are, and the names of its files.
//
// A handle, cheap to copy. It refers to the two directories (`io/directory.h`), which must outlive
// it; `io/cache.h` owns them and hands out the handles. They are two different ones if the
// repository lives in an older place (docs/cache-layout.md). One thread.
#pragma once

#include "model_prep/core/cache_layout.h"
#include "model_prep/io/directory.h"

namespace model_prep {

struct Repository {
  Repository(const Directory& in, const Directory& locks_in, const RepoId& repo)
      : id(repo),
        layout(in.path(), locks_in.path(), repo),
        directory(&in),
        lock_directory(&locks_in) {}

  RepoId id;
  CacheLayout layout;
  const Directory* directory;       ///< everything but locks is written through it
  const Directory* lock_directory;  ///< the cache: locks are made through it
};

/// Fails with `usage` if a ref of the model is a directory of refs here, or would be below a ref.
Status check_refs(const Repository& repository, const ModelSpec& spec);

}  // namespace model_prep
