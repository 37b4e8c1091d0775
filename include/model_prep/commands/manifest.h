// SPDX-License-Identifier: Apache-2.0
// The manifest: which models exist, at which revision, with which variants, held to which digests
// (the format is in docs/manifest-and-locks.md). A lock is a manifest. Parsing is strict: an
// unknown member or a wrong type is `usage`, with its path.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/core/prune_plan.h"

namespace model_prep {

struct ManifestVariant {
  Variant name{Variant::fp32};
  FileFilter filter;
  std::optional<std::int64_t> size;
  std::optional<RepoId> repo;  ///< where this variant lies, if elsewhere
  std::optional<Revision> revision;
};

struct ManifestModel {
  std::string key;
  RepoId repo;
  Revision revision;
  std::string ref;
  std::vector<ManifestVariant> variants;
  std::set<Variant> locked;
  std::map<RepoPath, LockedFile> files;
};

struct Manifest {
  std::vector<ManifestModel> models;  ///< in the order of the file
};

std::string_view built_in_manifest_text();

/// `name` is the file's, for messages.
Result<Manifest> parse_manifest(std::string_view text, std::string_view name);

/// The models that are wanted, each a key of the manifest or `org/name[@revision]`; all of the
/// manifest if none is named. An unknown key is `usage` and lists the known ones. A variant that a
/// model has not falls back to `fp32`. `patterns`, if there are any, take the place of each
/// variant's own; where the manifest locks all of a commit, they choose from the lock, and no
/// listing is needed.
Result<std::vector<ModelSpec>> select_models(const Manifest& manifest,
                                             const std::vector<std::string>& wanted,
                                             Variant variant, const FileFilter& patterns = {});

/// A manifest of these snapshots, each with the one variant that it is of, locked;
/// `expected_sha256` of a plain git file is written if it is known. The same snapshots give the
/// same bytes, in whatever order.
std::string lock_text(const std::vector<ResolvedSnapshot>& snapshots);

/// The repositories of the models that are wanted, those of all their variants, and what of each is
/// to be kept: what any model of the manifest pins in it, and what was named.
Result<std::map<RepoId, Pins>> select_pins(const Manifest& manifest,
                                           const std::vector<std::string>& wanted);

}  // namespace model_prep
