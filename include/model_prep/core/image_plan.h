// SPDX-License-Identifier: Apache-2.0
// What is in which layer of an image that holds models as a cache does
// (docs/developing/architecture.md, section 12.3).
//
// A blob of `kLargeBlob` bytes or more has a layer of its own, which depends on nothing but the
// blob, its repository and the prefix: so revisions, images and registries share it. Everything
// else is in the last layer, which changes with each revision: small blobs, links, refs, listings,
// records. With more large blobs than layers, neighbours in the order of their paths share one; it
// stays the same as long as those few files do and the number of large blobs does.
//
// The records say that every blob has the time of the epoch, as it has once the layers are
// unpacked, so that a run there has nothing to hash. Nothing depends on the cache that the models
// come from: not its umask or times, and not what it knows beyond a lock. Only what a signer or a
// policy demands of a model is in its record too, so that the same manifest is satisfied there. Of
// that, what the Hub's scanners say may change, and the image with it, unless a lock has it. Pure.
#pragma once

#include <map>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "model_prep/base/model_spec.h"
#include "model_prep/core/tar.h"

namespace model_prep {

inline constexpr Bytes kLargeBlob = Bytes{16} << 20;

/// Engines take 127. Some are left for an image that is built FROM this one.
inline constexpr std::size_t kMaxLayers = 120;

/// A limit of some registries.
inline constexpr Bytes kMaxCommonLayer = 10'000'000'000;

/// A file of a snapshot, by the indices of both.
struct ImageBlob {
  std::size_t snapshot;
  std::size_t file;
};

/// The record of a commit: its text is `image_record`, once all blobs are hashed.
struct ImageRecord {
  RepoId repo;
  CommitId commit;
};

struct ImageEntry {
  TarEntry tar;
  std::variant<std::monostate, std::string, ImageBlob, ImageRecord> content{};  ///< of a file
};

struct ImageLayer {
  std::vector<ImageEntry> entries;  ///< records last, since they depend on the others
  Bytes size{0};                    ///< of the whole archive
  std::string title{};
};

/// `prefix`: where the cache is in the image, without slashes at its ends; empty: in its root. If
/// it ends in `hub`, the directory above may be somebody's HF_HOME, and gets the links that belong
/// there (docs/cache-layout.md). Refs that a model claims only if they are unset go to the first
/// one that claims them.
std::vector<ImageLayer> plan_image(std::span<const ResolvedSnapshot> snapshots,
                                   const std::string& prefix);

/// The sha256 of blobs that are named by their git sha1.
using KnownSha256 = std::map<Digest, Digest>;

/// The text of a record. Its length does not depend on `known`.
std::string image_record(std::span<const ResolvedSnapshot> snapshots, const ImageRecord& record,
                         const KnownSha256& known);

}  // namespace model_prep
