// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/model_selection.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model_prep/base/suggestions.h"
#include "model_prep/core/file_selection.h"

namespace model_prep {
namespace {

/// The address of a repository's page, and huggingface_hub's form of it, as `org/name[@revision]`;
/// any other text as it is.
std::string without_address(const std::string& text) {
  for (const std::string_view scheme : {"hf://", "https://huggingface.co/", "https://hf.co/"}) {
    if (!text.starts_with(scheme)) continue;

    std::string name = text.substr(scheme.size());
    name = name.substr(0, name.find_first_of("?#"));
    while (name.ends_with('/')) name.pop_back();
    for (const std::string_view page : {"/tree/", "/commit/"})
      if (const std::size_t at = name.find(page); at != std::string::npos)
        name.replace(at, page.size(), "@");

    // Of a revision such as refs/pr/1.
    for (std::size_t at = 0; (at = name.find("%2F", at)) != std::string::npos;)
      name.replace(at, 3, "/");
    return name;
  }
  return text;
}

/// `org/name[@revision]`, also after `datasets/` or `spaces/`.
Result<ManifestModel> parse_repository_name(const std::string& text) {
  const std::size_t at = text.find('@');
  const auto repo = RepoId::parse(std::string_view(text).substr(0, at));
  if (!repo) return repo.error();

  const auto revision =
      Revision::parse(at == std::string::npos ? "main" : std::string_view(text).substr(at + 1));
  if (!revision) return revision.error();

  // Another revision has a ref of its own, and is not the one that `main` should mean.
  return ManifestModel{.key = text,
                       .repo = *repo,
                       .revision = *revision,
                       .ref = "main",
                       .ref_if_unset = revision->text() != "main"};
}

Error unknown_model(const Manifest& manifest, const std::string& name, const Strings& other_words) {
  Strings keys;
  for (const ManifestModel& model : manifest.models) keys.push_back(model.key);
  Strings words = keys;
  words.insert(words.end(), other_words.begin(), other_words.end());
  return {
      ErrorKind::usage, "unknown model '" + name + "'",
      fmt::format(
          "{}the manifest contains {}; write any other repository on the Hub as org/name[@revision]",
          did_you_mean(name, words), fmt::join(keys, ", "))};
}

Result<std::vector<ManifestModel>> find_models(const Manifest& manifest, const Strings& names,
                                               const Strings& other_words) {
  if (names.empty()) return manifest.models;

  std::vector<ManifestModel> models;
  std::set<std::string> seen;
  for (const std::string& name : names) {
    const auto known = std::ranges::find(manifest.models, name, &ManifestModel::key);
    if (known != manifest.models.end()) {
      if (seen.insert(name).second) models.push_back(*known);
      continue;
    }

    // A few repositories have names without a slash, but a mistyped key is much more likely.
    if (name.find('/') == std::string::npos) return unknown_model(manifest, name, other_words);

    auto model = parse_repository_name(without_address(name));
    if (!model) return model.error();
    if (seen.insert(model->key).second) models.push_back(std::move(*model));
  }
  return models;
}

bool selects_everything(const FileFilter& filter) {
  return filter.exclude.empty() && filter.include == Strings{"*"};
}

/// What to fetch of a model: the wanted variant, else fp32, else the first one described. Its
/// repository and revision are set.
ManifestVariant choose_variant(const ManifestModel& model, Variant wanted) {
  const auto& variants = model.variants;
  auto found = std::ranges::find(variants, wanted, &ManifestVariant::name);
  if (found == variants.end() && wanted != Build::all) {
    found = std::ranges::find(variants, Build::fp32, &ManifestVariant::name);
    if (found == variants.end()) found = variants.begin();
  }

  ManifestVariant variant{.name = wanted};
  if (found != variants.end())
    variant = *found;
  else if (wanted == Build::all)
    variant.filter.include = {"*"};
  else  // which variants the repository has is known when its listing is
    variant.filter.select_weights_automatically = true;

  variant.repo = variant.repo.value_or(model.repo);
  variant.revision = variant.revision.value_or(model.revision);
  return variant;
}

/// Whether one of the locked variants is the whole commit, so that `files` is its listing.
bool locks_whole_commit(const ManifestModel& model) {
  return std::ranges::any_of(model.locked, [&](Variant name) {
    const ManifestVariant variant = choose_variant(model, name);
    return selects_everything(variant.filter) && variant.repo == model.repo &&
           variant.revision == model.revision;
  });
}

Result<ModelSpec> make_spec(const ManifestModel& model, Variant variant_of_run,
                            const FileFilter& patterns) {
  // Datasets and spaces have one variant only, so asking for another is no reason for a warning.
  const Variant wanted = model.repo.kind() == RepoKind::model ? variant_of_run : Build::all;
  ManifestVariant variant = choose_variant(model, wanted);
  bool locked = model.locked.contains(variant.name);

  const bool has_patterns = !patterns.include.empty() || !patterns.exclude.empty();
  if (has_patterns) {
    locked = locks_whole_commit(model) && variant.revision == model.revision;
    variant.size.reset();
    variant.filter = {
        .include = patterns.include, .exclude = patterns.exclude, .from_command_line = true};
    if (patterns.include.empty()) variant.filter.include = {"*"};
  }

  const bool in_own_repo = variant.repo == model.repo;
  ModelSpec spec{.key = model.key,
                 .repo = *variant.repo,
                 .revision = *variant.revision,
                 .ref = model.ref,
                 .ref_if_unset = model.ref_if_unset,
                 .variant_requested = wanted,
                 .variant = variant.name,
                 .filter = variant.filter,
                 .size = variant.size,
                 .whole_commit = selects_everything(variant.filter),
                 .fully_locked = in_own_repo && locked};

  // The locked files are those of the model's own repository.
  if (!in_own_repo) return spec;
  spec.lock = model.files;
  if (!spec.fully_locked) return spec;

  std::erase_if(spec.lock, [is_selected = PathSelector(spec.filter)](const auto& entry) {
    return !is_selected(entry.first);
  });
  if (spec.lock.empty() && !has_patterns)
    return Error{ErrorKind::usage,
                 fmt::format("{}: the manifest locks the variant {}, but lists no file of it",
                             model.key, variant.name.text())};
  return spec;
}

void add_pins(const ManifestModel& model, std::map<RepoId, Pins>& all) {
  const auto add = [&](const RepoId& repo, const Revision& revision) {
    Pins& pins = all[repo];
    pins.refs.insert(model.ref);
    if (const auto commit = revision.commit())
      pins.commits.insert(*commit);
    else
      pins.refs.insert(revision.text());
  };

  add(model.repo, model.revision);
  for (const ManifestVariant& variant : model.variants)
    add(variant.repo.value_or(model.repo), variant.revision.value_or(model.revision));
}

}  // namespace

Result<std::vector<ModelSpec>> select_models(const Manifest& manifest, const Strings& names,
                                             Variant variant, const FileFilter& patterns,
                                             const Strings& other_words) {
  const auto models = find_models(manifest, names, other_words);
  if (!models) return models.error();

  std::vector<ModelSpec> specs;
  for (const ManifestModel& model : *models) {
    auto spec = make_spec(model, variant, patterns);
    if (!spec) return spec.error();
    specs.push_back(std::move(*spec));
  }

  if (specs.empty()) return Error{ErrorKind::usage, "the manifest contains no models"};
  return specs;
}

Result<std::map<RepoId, Pins>> select_pins(const Manifest& manifest, const Strings& names,
                                           const Strings& other_words) {
  const auto models = find_models(manifest, names, other_words);
  if (!models) return models.error();

  std::map<RepoId, Pins> selected;
  for (const ManifestModel& model : *models) add_pins(model, selected);

  // A repository that the manifest pins keeps those commits whatever the user named.
  std::map<RepoId, Pins> of_manifest;
  for (const ManifestModel& model : manifest.models) add_pins(model, of_manifest);
  for (auto& [repo, pins] : of_manifest) {
    const auto named = selected.find(repo);
    if (named == selected.end()) continue;
    named->second.of_manifest = true;
    named->second.commits.merge(pins.commits);
    named->second.refs.merge(pins.refs);
  }
  return selected;
}

}  // namespace model_prep
