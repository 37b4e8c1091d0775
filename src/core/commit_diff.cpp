// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/commit_diff.h"

#include <map>

namespace model_prep {

std::vector<Change> changes_between(const std::vector<RemoteFile>& before,
                                    const std::vector<RemoteFile>& after) {
  struct Sides {
    const RemoteFile* before{nullptr};
    const RemoteFile* after{nullptr};
  };
  std::map<RepoPath, Sides> paths;
  for (const RemoteFile& file : before) paths[file.path].before = &file;
  for (const RemoteFile& file : after) paths[file.path].after = &file;

  std::vector<Change> changes;
  for (const auto& [path, sides] : paths) {
    if (sides.before == nullptr)
      changes.push_back({ChangeKind::added, path});
    else if (sides.after == nullptr)
      changes.push_back({ChangeKind::removed, path});
    else if (sides.before->blob != sides.after->blob)
      changes.push_back({ChangeKind::changed, path});
  }
  return changes;
}

}  // namespace model_prep
