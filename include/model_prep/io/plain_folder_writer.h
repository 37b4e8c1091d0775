// SPDX-License-Identifier: Apache-2.0
// A folder with the plain files of one model (core/plain_folder.h).
//
// It appears whole: the files are written and synced under a temporary name, and one rename gives
// the folder its own, in exchange for the one of an earlier export, whose mode, owner and group it
// takes as far as we may. A mount point cannot be renamed: there the files are moved in one by one,
// and the record, which goes first and comes last, says whether the folder is whole. Until then the
// old record is beside the new one in the temporary folder, so that after a kill the next export
// knows which files are its own.
//
// Files of others are never touched: a folder that holds any is refused, and so is one in which
// something is mounted, because what is replaced is removed. What an export left that was killed,
// or that could not move its files in, is removed by the next one, but for what is mounted there.
//
// Only `write` needs the lock to be held from `check_owner` on; what holds the files already can be
// on a file system that is mounted read-only. One thread.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "model_prep/core/plain_folder.h"
#include "model_prep/io/directory.h"
#include "model_prep/io/export_lock.h"

namespace model_prep {

class PlainFolder {
 public:
  /// `path` is canonical up to its last name, which must not be a link. `others` are the other
  /// folders of the run: one of them may lie in this one, if this one is a mount point.
  explicit PlainFolder(const std::string& path, Strings others = {})
      : names_(path), others_(std::move(others)) {}
  const std::string& path() const { return names_.root; }

  /// Where a cache may be from which the folder is filled: on the same file system.
  std::string cache_path() const { return parent() + "/" + stem() + ".cache"; }

  /// Whether there may be something that a killed export left of it.
  bool has_leftovers() const;

  /// Null while another export has it.
  Result<std::unique_ptr<ExportLock>> try_lock() const;

  /// Removes what killed exports left of it.
  void remove_leftovers(const ExportLock& lock) const;

  /// What it holds, if it is whole as far as record, sizes and times tell.
  std::optional<SnapshotRecord> content() const;
  bool holds(const std::vector<RemoteFile>& files) const;

  /// Makes the record of what it holds say that this is `origin`.
  Status set_origin(const ExportLock& held, const std::string& origin) const;

  /// A `usage` error if it holds anything that no export wrote. What `running`, the temporary
  /// folder of an export, is about to bring does not count.
  Status check_owner(const std::string& running = {}) const;

  /// A `usage` error if another folder of the run is in this one, and would go when this one is
  /// replaced.
  Status check_apart() const;

  /// A `usage` error if this cache is in the folder, unless it is that of `cache_path`: to replace
  /// the folder would remove it.
  Status check_outside(const std::string& cache) const;

  /// Makes it hold these files, which are `origin`, and no others. `fill` makes the file with this
  /// index at `path`, below `directory`, and says what it is.
  using Fill = std::function<Result<VerifiedBlob>(std::size_t index, const Directory& directory,
                                                  const std::string& path)>;
  Status write(const ExportLock& held, const std::vector<RemoteFile>& files,
               const std::string& origin, const Fill& fill) const;

 private:
  /// Relative paths: what the record of this folder names, and what unfinished exports in it, but
  /// for the one in `running`, have moved in or not yet removed.
  std::set<std::string> exported_names(const std::string& running = {}) const;

  /// Where temporary folder and lock are, and what their names begin with.
  std::string parent() const;
  std::string stem() const;
  std::string lock_path() const;
  bool is_of_another(const std::string& path) const;
  Strings leftovers() const;
  Status write_files(const Directory& directory, const std::string& temporary,
                     const std::vector<RemoteFile>& files, const std::string& origin,
                     const Fill& fill) const;
  Status put_in_place(const Directory& directory, const std::string& temporary) const;
  Status move_in(const Directory& directory, const std::string& temporary) const;
  void undo_move(const Directory& directory, const std::string& temporary) const;

  const PlainFolderNames names_;
  const Strings others_;
};

/// Makes a file share the blocks of another one. False where the file system cannot do that.
bool clone_file(const UniqueFd& from, const UniqueFd& to);

/// Gives a file a time in whole seconds, where the file system lets us.
void set_time(const UniqueFd& file, std::int64_t seconds);

}  // namespace model_prep
