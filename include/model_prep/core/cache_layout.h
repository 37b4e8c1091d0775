// SPDX-License-Identifier: Apache-2.0
// Every name on disk. Nothing else in the program joins path parts.
//
//   <cache>/                                       the hub cache: HF_HUB_CACHE, or $HF_HOME/hub
//     .locks/<folder>/<blob>.lock                  flock files, shared with huggingface_hub
//     (docs/developing/hub-protocol.md, section 1.8) .locks/<folder>/model-prep.lock who fills the
//     repository shares it, who cleans it has it alone <folder>/ models--org--name,
//     datasets--org--name, spaces--org--name
//       blobs/<blob>                               a file's content under its digest; appears only
//       when verified blobs/<blob>.<tag>.model-prep.incomplete   staging: bytes in any order, of
//       the process with this tag blobs/<blob>.model-prep.resume             which staging file
//       counts, what of it is on disk, who writes it snapshots/<commit>/<path> relative symlink to
//       the blob refs/<revision>                            40 hex digits, no newline; written last
//       trees/<commit>.json                        the whole commit's listing, when the whole
//       commit is here .model-prep/<commit>.json                  our own record of what was
//       verified .model-prep/aside/<tag>-<name>             what `verify --repair` took away from
//       where readers look .model-prep/snapshot-<commit>.<hex>.tmp    what `cleanup` has taken out
//       of readers' sight and is removing; and .model-prep/blob-<blob>.<hex>.tmp          the same
//       of a blob .no_exist/<commit>/                        huggingface_hub's: files that the
//       commit is known not to have .model-prep/*.tmp                          files on their way
//       to another name in this folder
//
// The staging name ends in `.incomplete`, so that huggingface_hub's tools know it as a leftover,
// and is never
// `<blob>.incomplete`, which older versions take for a sequential prefix
// (docs/developing/hub-protocol.md, section 1.9). Our own files lie inside the repository's folder,
// where scan_cache_dir tolerates them (docs/developing/hub-protocol.md, section 1.13). Temporary
// files never lie in `refs/`, where they would be read as refs.
//
// A repository may really lie in an older place (docs/cache-layout.md); its locks lie in the cache
// all the same.
//
// Pure text: nothing here looks at the disk. All paths but `link_target` are absolute.
#pragma once

#include <string>
#include <string_view>

#include "model_prep/base/digest.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/core/writer_tag.h"

namespace model_prep {

/// `models--org--name`, `datasets--org--name`, `spaces--org--name`.
std::string repo_folder_name(const RepoId& repo);

/// What a link at `path` in a snapshot holds: `../../blobs/<hex>` and one `../` more for each
/// folder in `path` (docs/developing/hub-protocol.md, section 1.3).
std::string link_target(const RepoPath& path, const Digest& blob);

/// How the names of staging files and of resume records end.
inline constexpr std::string_view kStagingSuffix = ".model-prep.incomplete";
inline constexpr std::string_view kResumeSuffix = ".model-prep.resume";

/// How the names begin of what is being removed; digits follow.
inline constexpr std::string_view kRemovedSnapshot = "snapshot-";
inline constexpr std::string_view kRemovedBlob = "blob-";

class CacheLayout {
 public:
  explicit CacheLayout(const std::string& root) : CacheLayout(root, root) {}
  CacheLayout(std::string root, std::string lock_root)
      : root_(std::move(root)), lock_root_(std::move(lock_root)) {}

  const std::string& root() const { return root_; }
  std::string locks() const;
  std::string lock_folder(const RepoId& repo) const;
  std::string lock(const RepoId& repo, const Digest& blob) const;
  std::string repo_lock(const RepoId& repo) const;
  std::string repo(const RepoId& repo) const;
  std::string blobs(const RepoId& repo) const;
  std::string blob(const RepoId& repo, const Digest& blob) const;
  std::string staging(const RepoId& repo, const Digest& blob, const WriterTag& tag) const;
  std::string resume(const RepoId& repo, const Digest& blob) const;
  std::string snapshots(const RepoId& repo) const;
  std::string snapshot(const RepoId& repo, const CommitId& commit) const;
  std::string link(const RepoId& repo, const CommitId& commit, const RepoPath& path) const;
  std::string refs(const RepoId& repo) const;
  std::string ref(const RepoId& repo, const std::string& name) const;
  std::string tree(const RepoId& repo, const CommitId& commit) const;
  std::string own_folder(const RepoId& repo) const;
  std::string record(const RepoId& repo, const CommitId& commit) const;
  std::string aside(const RepoId& repo) const;
  std::string no_exist(const RepoId& repo, const CommitId& commit) const;

 private:
  std::string root_;
  std::string lock_root_;
};

}  // namespace model_prep
