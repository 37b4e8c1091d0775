// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/snapshot_links.h"

namespace model_prep {

bool SnapshotLinks::is_linked(const RemoteFile& file) {
  const std::string link = layout_.link(commit_, file.path);
  if (const std::string parent = parent_path(link); !folder_ || folder_->path() != parent) {
    is_real_folder_ = is_real(parent);
    folder_.emplace(parent);
  }
  if (!is_real_folder_) return false;
  const std::string name = file_name(link);
  if (folder_->read_link(name) == link_target(file.path, file.blob)) return true;

  const auto found = folder_->lstat(name);
  return found && found->is_file && found->size == file.size &&
         !lstat_path(layout_.blob(file.blob));
}

/// A relative link leads to the blob only from where it seems to be: one of the directories on the
/// way may have been replaced by a link to a place that has the same names.
bool SnapshotLinks::is_real(const std::string& directory) {
  if (directory.size() <= layout_.repo.size()) return true;

  const auto known = real_.find(directory);
  if (known != real_.end()) return known->second;
  return real_[directory] = is_directory(directory) && is_real(parent_path(directory));
}

}  // namespace model_prep
