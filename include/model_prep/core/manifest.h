// SPDX-License-Identifier: Apache-2.0
// The manifest file: which models there are, at which revision, in which variants, and the sizes
// and digests that their files must have. A lock is a manifest too. docs/manifest-and-locks.md
// describes the format.
//
// Reading is strict: an unknown member, one that is there twice, a wrong type or an impossible
// value is refused as `usage`, and the message names the member by its path
// (`models.a.variants.fp32.size`). Comments are allowed. Which models of a manifest a run takes is
// decided in core/model_selection.h.
//
// Sizes are in bytes. Pure.
#pragma once

#include <set>

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"

namespace model_prep {

struct ManifestVariant {
  Variant name{Build::fp32};
  FileFilter filter{};
  std::optional<Bytes> size{};

  /// Set if this variant is published in another repository, or at another revision.
  std::optional<RepoId> repo{};
  std::optional<Revision> revision{};
};

struct ManifestModel {
  std::string key;
  RepoId repo;
  Revision revision;

  /// As in `ModelSpec`.
  std::string ref;
  bool ref_if_unset{false};
  std::vector<ManifestVariant> variants{};

  /// The manifest's and the model's own together.
  Policy policy{};

  /// Whose signature it must have; only the name of the file is known.
  std::optional<TrustedSigner> signer{};

  /// What was locked of `revision`, which is a commit then.
  HubFacts facts{};

  /// The variants of which `files` names every file; none of another repository.
  std::set<Variant> locked{};
  std::map<RepoPath, LockedFile> files{};
};

struct Manifest {
  std::vector<ManifestModel> models;  ///< in the order of the file

  /// For every model of the run, also one that the manifest does not name.
  Policy policy{};
};

/// `name` is the file's, for messages.
Result<Manifest> parse_manifest(std::string_view text, std::string_view name);

/// A manifest of these snapshots, each with the one variant that was resolved, and that variant
/// locked. A verified signature is noted. The sha256 of a plain git file is written if
/// `locked_sha256` has it. The text does not depend on the order of the snapshots.
/// `policy` holds for every model of a run with the lock, also one that it does not name.
std::string lock_text(const std::vector<ResolvedSnapshot>& snapshots, const Policy& policy = {});

}  // namespace model_prep
