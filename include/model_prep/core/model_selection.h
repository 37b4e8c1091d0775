// SPDX-License-Identifier: Apache-2.0
// From the names that the user gave to the models of the run: which repository, revision, variant
// and files each name means, and which commits `cleanup` keeps.
//
// A name is a key of the manifest, or `org/name[@revision]` for any other repository of the Hub,
// also as the address of its page (`https://huggingface.co/org/name/tree/revision`) or as
// `hf://org/name@revision`. A model that is named by its repository has the name without the
// address as its key. With `@revision`, `refs/main` is set only if nothing else has it. No name at
// all means every model of the manifest; a name that is given twice counts once. An unknown key is
// a `usage` error whose hint lists the known keys. If `other_words` (the commands) has a word that
// is close to the name, the hint suggests it too: a mistyped command is read as a model.
//
// Pure.
#pragma once

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/core/manifest.h"
#include "model_prep/core/prune_plan.h"

namespace model_prep {

/// The models that `names` mean, in that order.
///
/// If the manifest describes a model without the wanted variant, the model's `fp32` is taken. If it
/// describes no variant at all, the files are chosen from the listing later on. `patterns`, unless
/// they are empty, replace those of the variant; if the manifest locks a whole commit, they choose
/// among its locked files, and no listing is needed.
Result<std::vector<ModelSpec>> select_models(const Manifest& manifest, const Strings& names,
                                             Variant variant, const FileFilter& patterns = {},
                                             const Strings& other_words = {});

/// What `cleanup` keeps, for every repository that a variant of the named models uses: the commits
/// and refs of any model of the manifest, named or not, and those of the named models.
Result<std::map<RepoId, Pins>> select_pins(const Manifest& manifest, const Strings& names,
                                           const Strings& other_words = {});

}  // namespace model_prep
