// SPDX-License-Identifier: Apache-2.0
// A folder with the plain files of one model (core/plain_folder.h).
//
// It appears whole: the files are written and synced under a temporary name, and one rename gives
// the folder its own, in exchange for the one of an earlier export. A mount point cannot be
// renamed: there the files are moved in one by one, and the record, which goes first and comes
// last, says whether the folder is whole. Until then the old record is beside the new one in the
// temporary folder, so that after a kill the next export knows which files are its own.
//
// Files of others are never touched: a folder that holds any is refused. What an export left that
// was killed, or that could not move its files in, is removed by the next one. One thread.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "model_prep/core/plain_folder.h"
#include "model_prep/io/directory.h"

namespace model_prep {

class PlainFolder {
 public:
  /// `path` is canonical up to its last name, which must not be a link.
  explicit PlainFolder(const std::string& path) : names_(path) {}
  const std::string& path() const { return names_.root; }

  /// Removes what killed exports left of it.
  void remove_leftovers() const;

  /// Whether it holds these files, as far as record, sizes and times tell.
  bool holds(const std::vector<RemoteFile>& files) const;

  /// A `usage` error if it holds anything that no export wrote.
  Status check_owner() const;

  /// Makes it hold these files and no others. `fill` writes the file with this index, which `path`
  /// names in the meantime, and says what it is.
  using Fill = std::function<Result<VerifiedBlob>(std::size_t index, const UniqueFd& file,
                                                  const std::string& path)>;
  Status write(const std::vector<RemoteFile>& files, const Fill& fill) const;

 private:
  /// Relative paths, as the records of this folder and of unfinished exports in it say.
  std::set<std::string> exported_names() const;

  /// Where the temporary folder is, and what its name begins with.
  std::string parent() const;
  std::string stem() const;
  Status write_files(const Directory& directory, const std::string& temporary,
                     const std::vector<RemoteFile>& files, const Fill& fill) const;
  Status put_in_place(const Directory& directory, const std::string& temporary) const;
  Status move_in(const Directory& directory, const std::string& temporary) const;

  const PlainFolderNames names_;
};

/// Makes a file share the blocks of another one. False where the file system cannot do that.
bool clone_file(const UniqueFd& from, const UniqueFd& to);

/// Gives a file a time in whole seconds, where the file system lets us.
void set_time(const UniqueFd& file, std::int64_t seconds);

}  // namespace model_prep
