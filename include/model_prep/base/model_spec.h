// SPDX-License-Identifier: Apache-2.0
// What is asked for, and what the Hub says there is: the names, parsed once and then trusted.
//
// `RepoId`, `Revision`, `CommitId` and `RepoPath` can only be made by functions that refuse what
// could lead out of the cache folder or the URL it is put in. After that no code checks again.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model_prep/base/blob_spec.h"
#include "model_prep/base/digest.h"
#include "model_prep/base/error.h"

namespace model_prep {

enum class RepoKind : std::uint8_t { model, dataset, space };
/// As paths and folders have it: `models`, `datasets`, `spaces`.
std::string_view plural(RepoKind kind);

/// A model is `org/name` or `name`; a dataset is `datasets/org/name` or `datasets/name`, and a
/// space likewise: as in the address of its page on the Hub, where for that reason no organisation
/// can have the name `datasets` or `spaces`. Spelled as the user did: the cache folder keeps that
/// spelling even when the Hub redirects. Rules: hub-protocol.md 1.1. Refused as `usage`.
class RepoId {
 public:
  static Result<RepoId> parse(std::string_view text);
  const std::string& text() const { return text_; }
  RepoKind kind() const;
  /// Without its kind: `org/name`.
  std::string_view name() const;
  auto operator<=>(const RepoId&) const = default;

 private:
  explicit RepoId(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// 40 lower-case hex digits. Refused as `protocol`.
class CommitId {
 public:
  static Result<CommitId> parse(std::string_view text);
  const std::string& hex() const { return hex_; }
  auto operator<=>(const CommitId&) const = default;

 private:
  explicit CommitId(std::string hex) : hex_(std::move(hex)) {}
  std::string hex_;
};

/// A commit, branch, tag or `refs/pr/N`. It becomes a path below `refs/`, so no empty, `.` or `..`
/// part, no backslash, no control character (docs/developing/hub-protocol.md, section 1.12).
/// Refused as `usage`.
class Revision {
 public:
  static Result<Revision> parse(std::string_view text);
  const std::string& text() const { return text_; }
  /// Set if the revision is itself a commit: a pin.
  std::optional<CommitId> commit() const;
  auto operator<=>(const Revision&) const = default;

 private:
  explicit Revision(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// A file's path inside its repository. Refused as `protocol`: absolute, an empty, `.` or `..`
/// part, NUL or another control character, backslash, what is not UTF-8, a part over 255 bytes, a
/// path over 1,024.
class RepoPath {
 public:
  static Result<RepoPath> parse(std::string_view text);
  const std::string& text() const { return text_; }
  auto operator<=>(const RepoPath&) const = default;

 private:
  explicit RepoPath(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// 16 TiB. A size beyond is refused where it is read, so that no sum of sizes overflows.
inline constexpr std::int64_t kMaxFileSize = std::int64_t{1} << 44;

/// The variants that a user can ask for.
inline constexpr std::string_view kVariants[] = {"fp32", "openvino-int8", "onnx", "all"};

/// `include` and `exclude` follow snapshot_download's rules (core/file_selection.h).
/// `select_weights_automatically` stands for a model that no manifest describes: the files are
/// chosen from the listing. `from_command_line`: they stood on the command line, and take the place
/// of the variant's.
struct FileFilter {
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  bool select_weights_automatically{false};
  bool from_command_line{false};
  bool operator==(const FileFilter&) const = default;
};

/// One file that the manifest holds to a size and digest. With `git_sha1` it is a plain git file
/// and its blob has that name; without, it is an LFS file and its blob is named by its `sha256`.
struct LockedFile {
  std::int64_t size{0};
  std::optional<Digest> sha256;
  std::optional<Digest> git_sha1;
  const Digest& blob() const { return git_sha1 ? *git_sha1 : *sha256; }
  bool operator==(const LockedFile&) const = default;
};

/// One model of the run, with its variant chosen.
struct ModelSpec {
  std::string key;  ///< its name in the summary: the manifest's key, or what the user typed
  RepoId repo;
  Revision revision;
  std::string ref;  ///< what `refs/<ref>` will point to the commit: `main` unless the manifest says
                    ///< otherwise
  std::string variant_requested;
  std::string variant;
  FileFilter filter;
  std::optional<std::int64_t> size{};  ///< as the manifest says, for who cannot know better
  bool whole_commit{
      false};  ///< the variant is everything there is: the tree listing may be written
  bool fully_locked{false};  ///< `lock` names every file of the variant: no listing is needed
  std::map<RepoPath, LockedFile> lock;  ///< for a fully locked variant exactly its files
};

/// One file as the Hub lists it (or as lock or record remember the listing). `oid` is the tree's
/// own id: the blob sha1 of a plain file, of the pointer for an LFS file.
struct RemoteFile {
  RepoPath path;
  std::int64_t size{0};
  Digest blob;  ///< the blob's name and the digest that is verified
  std::optional<Digest> oid;
  std::optional<Digest> expected_sha256;  ///< a lock's second digest of a plain git file
  std::string xet_hash;                   ///< only carried into the tree listing; never an identity
  bool locked{false};                     ///< a mismatch is the lock's: `lock_mismatch`
  BlobSpec blob_spec() const { return {blob, size, expected_sha256, locked}; }
};

/// A model with its commit and the files chosen for it.
struct ResolvedSnapshot {
  ModelSpec spec;
  CommitId commit;
  std::vector<RemoteFile> files;    ///< what the variant wants, sorted by path
  std::vector<RemoteFile> listing;  ///< the whole commit, if it is known; else empty
};

}  // namespace model_prep
