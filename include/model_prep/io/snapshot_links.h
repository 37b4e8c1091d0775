// SPDX-License-Identifier: Apache-2.0
// One look at the links of a snapshot. Each directory is looked at once, so make a new one after a
// change. One thread.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "model_prep/base/model_spec.h"
#include "model_prep/core/cache_layout.h"
#include "model_prep/io/posix.h"

namespace model_prep {

class SnapshotLinks {
 public:
  /// Refers to both.
  SnapshotLinks(const CacheLayout& layout, const CommitId& commit)
      : layout_(layout), commit_(commit) {}

  /// A link to its blob, or a regular file in place of the link, where no blob exists.
  bool is_linked(const RemoteFile& file);

 private:
  bool is_real(const std::string& directory);

  const CacheLayout& layout_;
  const CommitId& commit_;
  std::map<std::string, bool> real_;
  std::optional<FolderView> folder_;  ///< of the last file; its neighbours come next
  bool is_real_folder_{false};
};

}  // namespace model_prep
