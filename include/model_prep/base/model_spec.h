// SPDX-License-Identifier: Apache-2.0
// What the user wants and what the Hub lists: repositories, revisions, paths, variants, files.
//
// `RepoId`, `Revision`, `CommitId` and `RepoPath` are parsed once and trusted afterwards. Their
// only constructors are functions that refuse every text that could lead out of the cache directory
// or out of the URL that it becomes part of, so no later code checks again.
//
// Sizes are in bytes. Values only: any thread may use its own.
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
#include "model_prep/base/enum_names.h"
#include "model_prep/base/error.h"
#include "model_prep/base/hub_facts.h"
#include "model_prep/base/policy.h"
#include "model_prep/base/trusted_signer.h"
#include "model_prep/base/variant.h"

namespace model_prep {

enum class RepoKind : std::uint8_t { model, dataset, space, kernel };

/// As in URLs and in directory names of the cache.
template <>
inline constexpr std::string_view kNames<RepoKind>[] = {"models", "datasets", "spaces", "kernels"};

/// A text that `Self::parse` has accepted.
template <class Self>
class CheckedText {
 public:
  const std::string& text() const { return text_; }
  auto operator<=>(const CheckedText&) const = default;

 private:
  friend Self;
  explicit CheckedText(std::string_view text) : text_(text) {}

  std::string text_;
};

/// A repository of the Hub: `org/name` or `name` for a model, and the same after `datasets/`,
/// `spaces/` or `kernels/` for the other kinds, as in the address of the repository's page. (The
/// Hub reserves these words, so no organisation has such a name.)
///
/// The spelling is the user's: it names the cache directory even if the Hub redirects to another
/// one. Rules: docs/developing/hub-protocol.md, section 1.1. Refused as `usage`.
class RepoId : public CheckedText<RepoId> {
 public:
  static Result<RepoId> parse(std::string_view text);

  RepoKind kind() const;

  /// Without the kind: `org/name`.
  std::string_view name() const;

 private:
  using CheckedText::CheckedText;
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

/// A commit, a branch, a tag or `refs/pr/N`. It becomes a path below `refs/`, so an empty part,
/// `.`, `..`, a backslash or a control character is refused as `usage`
/// (docs/developing/hub-protocol.md, section 1.12).
class Revision : public CheckedText<Revision> {
 public:
  static Result<Revision> parse(std::string_view text);

  /// The commit, if this revision is one: then it is pinned and never changes.
  std::optional<CommitId> commit() const;

 private:
  using CheckedText::CheckedText;
};

/// The path of a file inside its repository. Refused as `protocol`: an absolute path, an empty
/// part, `.`, `..`, NUL or another control character, a backslash, invalid UTF-8, a part of more
/// than 255 bytes, a path of more than 1,024.
class RepoPath : public CheckedText<RepoPath> {
 public:
  static Result<RepoPath> parse(std::string_view text);

 private:
  using CheckedText::CheckedText;
};

/// 16 TiB. A larger size is refused where it is read, so no sum of sizes can overflow.
inline constexpr Bytes kMaxFileSize = Bytes{1} << 44;

/// Which files of a commit to take. The patterns follow huggingface_hub's rules
/// (core/file_selection.h).
struct FileFilter {
  Strings include{};
  Strings exclude{};

  /// No manifest describes this model: its weights are chosen from the listing
  /// (core/builds.h), and the patterns are not used.
  bool select_weights_automatically{false};

  /// The patterns were given on the command line and replace those of the variant.
  bool from_command_line{false};

  bool operator==(const FileFilter&) const = default;
};

/// The size and digests that a manifest requires of one file. A plain git file has a `git_sha1`,
/// which names its blob; the blob of an LFS file is named by its `sha256`. At least one is set.
struct LockedFile {
  Bytes size{0};
  std::optional<Digest> sha256;
  std::optional<Digest> git_sha1;

  const Digest& blob() const { return git_sha1 ? *git_sha1 : *sha256; }

  bool operator==(const LockedFile&) const = default;
};

/// One model of the run, and which of its files are wanted.
struct ModelSpec {
  /// Its name in the summary: the key in the manifest, or what the user typed.
  std::string key;
  RepoId repo;
  Revision revision;

  /// `refs/<ref>` will point to the commit. `main` unless the manifest says otherwise.
  std::string ref;

  /// Nobody said that `ref` is this revision: if it leads to another commit that is here, it stays
  /// as it is (`settle_ref` in io/cache.h).
  bool ref_if_unset{false};

  Variant variant_requested{Build::fp32};
  Variant variant{Build::fp32};
  FileFilter filter;

  /// Of the manifest, of the model, and of the command line together.
  Policy policy{};

  /// Whose signature it must have.
  std::optional<TrustedSigner> signer{};

  /// As the manifest declares it; used only where the files are not known.
  std::optional<Bytes> size{};

  /// The filter keeps every file, so the files are also the commit's listing.
  bool whole_commit{false};

  /// `lock` holds exactly the files that are wanted, so no listing is needed.
  bool fully_locked{false};
  std::map<RepoPath, LockedFile> lock{};

  /// As the manifest states them of its commit.
  HubFacts locked_facts{};
};

/// One file of a commit, as the Hub, a lock or a record lists it.
struct RemoteFile {
  RepoPath path;
  Bytes size{0};

  /// Names the blob; the content is verified against it.
  Digest blob;

  /// The id in the git tree: of the content for a plain file, of the pointer for an LFS file.
  std::optional<Digest> oid;

  /// A lock's second digest of a plain git file.
  std::optional<Digest> locked_sha256;

  /// Copied into the tree listing; never identifies the content.
  std::string xet_hash;

  /// The lock requires these values, so a mismatch is reported as `lock_mismatch`.
  bool locked{false};

  BlobSpec blob_spec() const { return {blob, size, locked_sha256, locked}; }

  /// The sha256 of its bytes, if it is known before they are here.
  std::optional<Digest> sha256() const {
    return blob.kind() == DigestKind::sha256 ? std::optional(blob) : locked_sha256;
  }
};

/// The bytes of these files' blobs. Files of equal content share a blob, which counts once.
Bytes total_blob_size(const std::vector<RemoteFile>& files);

/// A model whose commit and files are known.
struct ResolvedSnapshot {
  ModelSpec spec;
  CommitId commit;

  /// The files that are wanted, sorted by path.
  std::vector<RemoteFile> files;

  /// All files of the commit; empty if they are not known.
  std::vector<RemoteFile> listing;

  /// With a listing: the names of the commit that no directory here can hold.
  Strings unusable{};

  /// Whose signature of these files was verified: what goes into our record.
  std::optional<SignedBy> signed_by{};

  /// The listing is not the Hub's: huggingface_hub left it in the cache, or a folder claims it. It
  /// does not go into our record as the commit's listing.
  bool listing_unproven{false};

  /// Of these two, a folder claims it, now or when our record was written: it goes there as a
  /// claim.
  bool listing_claimed{false};

  HubFacts facts{};
};

/// Whether its files are all of the commit: the selection may be all there is, although nobody
/// asked for that.
bool is_whole_commit(const ResolvedSnapshot& snapshot);

}  // namespace model_prep
