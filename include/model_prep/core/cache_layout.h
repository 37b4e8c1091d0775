// SPDX-License-Identifier: Apache-2.0
// The name of every file and directory of one repository in the cache. Nothing else in the program
// joins path components.
//
//   <cache>/                                  the hub cache: HF_HUB_CACHE, or $HF_HOME/hub
//     .locks/<name>/<blob>.lock               flock files, shared with huggingface_hub
//     .locks/<name>/model-prep.lock           shared by downloads into the repository, exclusive
//                                             to a cleanup
//     <name>/                                 models--org--name, datasets--…, …
//       blobs/<blob>                          content under its digest, only once it is verified
//       blobs/<blob>.<tag>.model-prep.incomplete
//                                             staging: bytes in any order, by the process <tag>
//       blobs/<blob>.model-prep.resume        which staging file counts, which of its bytes are on
//                                             disk, and who writes it
//       blobs/*.tmp, .locks/*.tmp, .locks/<name>/*.tmp
//                                             a probe whether files can be made there; a staging
//                                             file, or this directory, before it gets its name
//       snapshots/<commit>/<path>             relative symlink to the blob
//       refs/<revision>                       40 hex digits, no newline; written last
//       trees/<commit>.json                   listing of the whole commit, if all of it is here
//       .no_exist/<commit>/<path>             huggingface_hub's marker: the commit has no such file
//       .model-prep/<commit>.json             our record of what was verified
//       .model-prep/quarantine/<hex>-<name>   what `verify --repair` moved out of readers' sight
//                                             (`aside/` in 0.1.0; nothing reads it back)
//       .model-prep/snapshot-<commit>.<hex>.tmp, .model-prep/blob-<blob>.<hex>.tmp
//                                             what `cleanup` has hidden and is about to delete
//       .model-prep/*.tmp                     files that will be renamed to another name
//
// Locks: docs/developing/hub-protocol.md, section 1.8. The staging name ends in `.incomplete`, so
// that huggingface_hub's tools recognise a leftover. It is never `<blob>.incomplete`, which older
// versions take for a sequential prefix (docs/developing/hub-protocol.md, section 1.9). Our own
// files lie inside the repository's directory, where scan_cache_dir tolerates them
// (docs/developing/hub-protocol.md, section 1.13), and no temporary file lies in `refs/`, where it
// would be read as a ref.
//
// A repository may live in an older place (docs/cache-layout.md); its locks are in the cache even
// then.
//
// Pure text: nothing here touches the disk. All paths except `link_target` are absolute.
#pragma once

#include "model_prep/base/digest.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/core/writer_tag.h"

namespace model_prep {

/// `models--org--name`, `datasets--org--name`, `spaces--org--name`, `kernels--…`.
std::string repo_folder_name(const RepoId& repo);

/// The text of the link at `path` in a snapshot: `../../blobs/<hex>`, with one more `../` for each
/// directory in `path` (docs/developing/hub-protocol.md, section 1.3).
std::string link_target(const RepoPath& path, const Digest& blob);

/// Suffixes of staging files and of resume records.
inline constexpr std::string_view kStagingSuffix = ".model-prep.incomplete";
inline constexpr std::string_view kResumeSuffix = ".model-prep.resume";

/// Suffix of an unfinished download of huggingface_hub.
inline constexpr std::string_view kForeignSuffix = ".incomplete";

/// Prefixes of what is being removed; hex digits follow.
inline constexpr std::string_view kRemovedSnapshot = "snapshot-";
inline constexpr std::string_view kRemovedBlob = "blob-";

/// What the name of a file in `blobs/` says that it is.
struct BlobsEntry {
  enum class Kind : std::uint8_t {
    blob,
    staging,  ///< of the process `tag`
    resume,
    foreign,  ///< huggingface_hub's unfinished download
  };
  Kind kind;
  Digest blob;
  std::optional<WriterTag> tag{};
};

/// Nothing for a name that neither we nor huggingface_hub give.
std::optional<BlobsEntry> parse_blobs_entry(std::string_view name);

/// For the text of a link in `blobs/` that leads into the shared store of its cache
/// (docs/developing/hub-protocol.md, section 1.15): where that is, relative to the cache.
std::optional<std::string> shared_blob(std::string_view link);

struct CacheLayout {
  CacheLayout(const std::string& cache, const RepoId& id) : CacheLayout(cache, cache, id) {}
  CacheLayout(const std::string& cache, const std::string& lock_cache, const RepoId& id);

  std::string lock(const Digest& blob) const { return lock_directory + "/" + blob.hex() + ".lock"; }
  std::string repo_lock() const { return lock_directory + "/model-prep.lock"; }

  std::string blob(const Digest& blob) const { return blobs + "/" + blob.hex(); }
  std::string staging(const Digest& blob, const WriterTag& tag) const {
    return (this->blob(blob) + "." + tag.text()).append(kStagingSuffix);
  }
  std::string resume(const Digest& blob) const { return this->blob(blob).append(kResumeSuffix); }

  std::string snapshot(const CommitId& commit) const { return snapshots + "/" + commit.hex(); }
  std::string link(const CommitId& commit, const RepoPath& path) const {
    return snapshot(commit) + "/" + path.text();
  }
  std::string ref(const std::string& name) const { return refs + "/" + name; }
  std::string tree(const CommitId& commit) const {
    return repo + "/trees/" + commit.hex() + ".json";
  }
  std::string no_exist(const CommitId& commit) const { return repo + "/.no_exist/" + commit.hex(); }
  std::string no_exist(const CommitId& commit, const RepoPath& path) const {
    return no_exist(commit) + "/" + path.text();
  }
  std::string record(const CommitId& commit) const {
    return own_directory + "/" + commit.hex() + ".json";
  }

  std::string root;
  std::string repo;
  std::string locks;
  std::string lock_directory;
  std::string blobs = repo + "/blobs";
  std::string snapshots = repo + "/snapshots";
  std::string refs = repo + "/refs";
  std::string own_directory = repo + "/.model-prep";
  std::string quarantine = own_directory + "/quarantine";
};

}  // namespace model_prep
