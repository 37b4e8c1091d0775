// SPDX-License-Identifier: Apache-2.0
// A folder that may hold what a run wants: another cache, an old volume, an unpacked image, a disk
// that was carried over an air gap (`--from`). It is only read.
//
// In the folder itself, and in `hub/` below it, these places are looked at:
//
//   models--org--name/blobs/<digest>     of a cache, whatever repository it is; datasets--… too
//   models--org--name/snapshots/<commit>/<path>
//                                        a real file, as where there were no symlinks
//   blobs/<digest>, <digest>             without repositories
//
// A name or a place is only a reason to read a file: its digest decides (`core/file_task.h`). The
// folder's owner is not trusted with more. No link is followed, except that a blob of
// huggingface_hub may lie in the shared store of its cache (docs/developing/hub-protocol.md,
// section 1.15), which is opened without the link. Pipes and devices are no files. Nothing is
// promised about a folder that changes while it is read. One thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>

#include "model_prep/core/cache_layout.h"
#include "model_prep/core/snapshot_record.h"
#include "model_prep/io/directory.h"

namespace model_prep {

class ImportFolder {
 public:
  /// Both canonical. What lies in the cache itself is not looked at.
  ImportFolder(const std::string& path, const std::string& cache);
  const std::string& path() const { return folder_.path(); }

  /// The digests that are wanted, with the sizes of their blobs.
  using Wanted = std::unordered_map<std::string, Bytes>;
  using OnFound = std::function<void(const std::string& digest, const std::string& path)>;

  /// Calls `on_found` for each file that has the name and size of a wanted blob. Reads the names of
  /// each directory once, and keeps none of them. The first error, if a directory could not be
  /// read; the others were.
  Status find(const Wanted& wanted, const OnFound& on_found) const;

  /// The path of a snapshot's file, if it is a real file of the right size.
  std::optional<std::string> snapshot_file(const RepoId& repo, const CommitId& commit,
                                           const RemoteFile& file) const;

  /// What the folder says of a repository; see io/documents.h.
  std::optional<SnapshotRecord> record(const RepoId& repo, const CommitId& commit) const;
  std::optional<std::vector<RemoteFile>> tree(const RepoId& repo, const CommitId& commit) const;
  std::optional<CommitId> ref(const RepoId& repo, const std::string& name) const;

  /// The bytes of a file of the commit, if it has no more than `max`. They are not checked.
  std::optional<std::string> read(const RepoId& repo, const CommitId& commit,
                                  const RemoteFile& file, std::size_t max) const;

  /// The same of a file of which nothing but its path is known: what the snapshot has there.
  std::optional<std::string> read(const RepoId& repo, const CommitId& commit, const RepoPath& path,
                                  std::size_t max) const;

 private:
  Status find_in(const std::string& directory, const std::string& cache, const Wanted& wanted,
                 const OnFound& on_found) const;
  std::optional<std::string> blob_at(const std::string& path, const std::string& cache,
                                     Bytes size) const;
  bool is_file(const std::string& path, Bytes size) const;
  std::optional<std::string> read_document(const std::string& path, std::size_t max) const;

  Directory folder_;
  Strings caches_;  ///< the folder, and hub/ below it
};

}  // namespace model_prep
