// SPDX-License-Identifier: Apache-2.0
#include "fuzz/targets.h"
#include "model_prep/core/cache_layout.h"

namespace model_prep::fuzz {
namespace {

/// The path that we give to such a file.
std::string path_of(const CacheLayout& layout, const BlobsEntry& entry) {
  switch (entry.kind) {
    case BlobsEntry::Kind::staging: return layout.staging(entry.blob, *entry.tag);
    case BlobsEntry::Kind::resume: return layout.resume(entry.blob);
    default: return layout.blob(entry.blob);
  }
}

}  // namespace

void blobs(std::string_view input) {
  const auto found = parse_blobs_entry(input);
  if (!found) return;
  require(input.starts_with(found->blob.hex()), "a file in blobs/ has the name of its blob");
  require(found->tag.has_value() == (found->kind == BlobsEntry::Kind::staging),
          "a staging file has a writer, and nothing else has");
  if (found->kind == BlobsEntry::Kind::foreign)
    return require(input.ends_with(".incomplete"), "what others left has their suffix");

  const CacheLayout layout("/cache", *RepoId::parse("org/name"));
  require(path_of(layout, *found) == layout.blobs + "/" + std::string(input),
          "a name of ours is the one that we give");
}

}  // namespace model_prep::fuzz
