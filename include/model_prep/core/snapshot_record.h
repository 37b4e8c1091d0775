// SPDX-License-Identifier: Apache-2.0
// What the program remembers of a snapshot, and huggingface_hub's own listing of a commit, to and
// from text.
//
// The record (`.model-prep/<commit>.json`) is why a second run costs nothing. It holds the commit's
// listing, which never changes, and for each blob that was verified its size, modification time and
// sha256. Size and time are those of the open file when its hash ended, so nothing that changed
// afterwards is trusted. A blob that still has that size and time is trusted, unless a lock wants
// another sha256; any other is hashed again. It also says which files were found to be signed, and
// by whom. A record that cannot be read counts as missing. Pure.
#pragma once

#include <algorithm>
#include <set>

#include "model_prep/base/digest.h"
#include "model_prep/base/model_spec.h"

namespace model_prep {

struct VerifiedBlob {
  Bytes size{0};
  std::int64_t mtime_ns{0};
  Digest sha256;

  /// Times of its copies, if they have their own; not recorded.
  std::vector<std::int64_t> copies{};

  bool covers(const FileStamp& stamp) const {
    return size == stamp.size &&
           (mtime_ns == stamp.mtime_ns || std::ranges::count(copies, stamp.mtime_ns) > 0);
  }
  bool operator==(const VerifiedBlob&) const = default;
};

/// Files of the commit that a trusted signer signed, or left out of what was signed, by the
/// contents that they had: a Hub may list others later.
struct RecordedSignature {
  SignedBy by;
  std::map<RepoPath, Digest> files;

  bool operator==(const RecordedSignature&) const = default;
};

struct SnapshotRecord {
  std::vector<RemoteFile> listing;  ///< the whole commit, or empty
  std::map<Digest, VerifiedBlob> blobs;
  Strings unusable{};    ///< with a listing: the names that no directory here can hold
  std::string origin{};  ///< of plain files: what they are (core/plain_folder.h)
  std::optional<RecordedSignature> signature{};
  HubFacts facts{};

  /// Without a listing: the one of a folder that was imported offline. Nobody has confirmed it, so
  /// it counts only where huggingface_hub's would.
  std::vector<RemoteFile> claimed{};
};

/// Whether these are the bytes that are wanted. The record may be older than a lock that gives the
/// sha256 of a plain git file, so it is held to the lock like bytes that were just hashed.
bool vouches_for(const VerifiedBlob& verified, const BlobSpec& wanted);

/// Whether all these files were found to be signed while this signer was trusted.
bool is_signed(const SnapshotRecord& record, const TrustedSigner& signer,
               const std::vector<RemoteFile>& files);

/// The record keeps one signature; files of another selection are added to those of the same.
void add_signature(SnapshotRecord& record, const SignedBy& by,
                   const std::vector<RemoteFile>& files);

/// Everything that is known of the snapshot but for its blobs.
void add_snapshot(SnapshotRecord& record, const ResolvedSnapshot& snapshot);

std::string serialize_record(const SnapshotRecord& record);
std::optional<SnapshotRecord> parse_record(std::string_view text);

/// `trees/<commit>.json`, byte for byte as huggingface_hub >= 1.22 writes it
/// (docs/developing/hub-protocol.md, section 1.7). Only for a complete commit: huggingface_hub
/// takes a file that is not listed for one that does not exist. Nothing if the git id of a file is
/// unknown.
std::optional<std::string> serialize_tree(const std::vector<RemoteFile>& listing);
/// Whether that gives a text.
bool can_serialize_tree(const std::vector<RemoteFile>& listing);
std::optional<std::vector<RemoteFile>> parse_tree(std::string_view text);

}  // namespace model_prep
