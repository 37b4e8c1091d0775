// SPDX-License-Identifier: Apache-2.0
// From the names that the user gave to the models of the run: which repository, revision, variant
// and files each name means, and which commits `cleanup` keeps.
//
// A name is a key of the manifest, or `org/name[@revision]` for any other repository of the Hub,
// also as the address of its page on the Hub or on an endpoint
// (`https://huggingface.co/org/name/tree/revision`) or as `hf://org/name@revision`. A model that is
// named by its repository has the name without the address as its key. With `@revision`,
// `refs/main` is set only if nothing else has it. No name at all means every model of the manifest;
// a name that is given twice counts once.
//
// `:BUILD` at the end chooses the build of that model, whatever the run's variant is: a build as in
// base/variant.h, and any other word is a quantisation of GGUF. The build is part of the key.
//
// An address of anywhere else is a `usage` error. So is an unknown key, and its hint lists the
// known keys. If `other_words` (the commands) has a word that is close to the name, the hint
// suggests it too: a mistyped command is read as a model.
//
// Pure.
#pragma once

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/core/manifest.h"
#include "model_prep/core/prune_plan.h"

namespace model_prep {

/// What the user wrote, and what it is understood by.
struct ModelNames {
  Strings names{};

  /// Where pages of repositories are, besides huggingface.co: `https://mirror.internal/hf`.
  Strings endpoints{};

  /// Words that could have been mistyped.
  Strings other_words{};

  /// A name of a repository is refused: the user trusts what is in the manifest.
  bool manifest_only{false};

  /// `org/name@revision` is the manifest's `org/name`, and must be its revision: whoever writes the
  /// names (KServe) cannot choose keys.
  bool pinned_by_manifest{false};
};

/// The models that `names` mean, in that order.
///
/// If the manifest describes a model without the wanted variant, what core/build_table.h lets take
/// its place is taken, else the first described. If it describes no variant at all, or if nothing
/// may take its place, the files are chosen from the listing later on. `patterns`, unless
/// they are empty, replace those of the variant; if the manifest locks a whole commit, they choose
/// among its locked files, and no listing is needed. `policy` tightens that of every model.
Result<std::vector<ModelSpec>> select_models(const Manifest& manifest, const ModelNames& names,
                                             const Variant& variant,
                                             const FileFilter& patterns = {},
                                             const Policy& policy = {});

/// What `cleanup` keeps, for every repository that a variant of the named models uses: the commits
/// and refs of any model of the manifest, named or not, and those of the named models.
Result<std::map<RepoId, Pins>> select_pins(const Manifest& manifest, const ModelNames& names);

}  // namespace model_prep
