// SPDX-License-Identifier: Apache-2.0
// A model as plain files in a folder, for loaders that want a path: the names there, and what the
// folder's own record says.
//
//   <folder>/<path>                      a real file for each file of the model
//   <folder>/.model-prep.json            what was exported, with sizes, times and digests
//   <folder>/.model-prep.<hex>.tmp/      the same, before it is whole: in a folder that is a mount
//   <parent>/.<name>.<hex>.tmp/          point; beside every other one
//     .model-prep.old.json               the record of what it replaces, while files are moved in
//   <folder>/.model-prep.lock            while an export runs: where the temporary folder is
//   <parent>/.<name>.lock
//   <folder>/.model-prep.cache/, or      a cache that fills the folder and goes when that is done
//   <parent>/.<name>.cache/              (io/temporary_cache.h)
//
// The record has the format of the cache's own (core/snapshot_record.h). Pure.
#pragma once

#include <optional>
#include <string>

#include "model_prep/core/snapshot_record.h"

namespace model_prep {

struct PlainFolderNames {
  explicit PlainFolderNames(std::string folder) : root(std::move(folder)) {}

  std::string file(const RepoPath& path) const { return root + "/" + path.text(); }

  std::string root;
  std::string record = root + "/.model-prep.json";
  std::string old_record = root + "/.model-prep.old.json";  ///< in a temporary folder only
};

/// The name of a model's folder: its key in the manifest, or `org--name`. Nothing for a key that is
/// no name of a directory.
std::optional<std::string> plain_folder_name(const ModelSpec& spec);

/// Whether a file of a model would have one of the names above.
bool is_our_own_name(const RepoPath& path);

/// What a model's files are: repository, commit, how they were selected, and what they had to
/// satisfy. The same text means the same files, so that a folder with it needs nothing of the Hub.
std::string origin_of(const ModelSpec& spec, const CommitId& commit);

/// Whether the record is that of these files, with the digests that a lock may demand of them.
bool is_record_of(const SnapshotRecord& record, const std::vector<RemoteFile>& files);

}  // namespace model_prep
