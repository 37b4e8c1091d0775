// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/model_selection.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model_prep/base/suggestions.h"
#include "model_prep/base/text.h"
#include "model_prep/core/build_table.h"
#include "model_prep/core/file_selection.h"

namespace model_prep {
namespace {

/// The address of a repository's page, and huggingface_hub's form of it, as
/// `org/name[@revision][:build]`; any other text as it is.
std::string without_address(const std::string& text, const Strings& endpoints) {
  Strings addresses = {"hf://", "https://huggingface.co/", "https://hf.co/"};
  for (const std::string& endpoint : endpoints)
    addresses.push_back(endpoint.ends_with('/') ? endpoint : endpoint + "/");

  for (const std::string& address : addresses) {
    if (!text.starts_with(address)) continue;

    std::string name = text.substr(address.size());
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

/// `org/name[@revision]`, also after `datasets/`, `spaces/` or `kernels/`.
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

/// A model, and the build that was asked for with its name.
struct NamedModel {
  ManifestModel model;
  std::optional<Variant> variant{};
};

/// What follows the colon in `org/name:onnx`, `org/name:onnx:model_O3` and `org/name:Q4_K_M`.
Result<Variant> parse_build(std::string_view text) {
  const std::string_view word = text.substr(0, text.find(':'));
  if (value_of<Build>(word)) return Variant::parse(text);

  // llama.cpp and ollama spell it so.
  return Variant::parse("gguf:" + std::string(text));
}

Error unknown_model(const Manifest& manifest, const std::string& name, const Strings& other_words) {
  Strings keys;
  for (const ManifestModel& model : manifest.models) keys.push_back(model.key);
  Strings words = keys;
  words.insert(words.end(), other_words.begin(), other_words.end());
  std::erase(words, name);  // of `download list`, `list` is no correction
  return {
      ErrorKind::usage, "unknown model '" + name + "'",
      fmt::format(
          "{}the manifest contains {}; write any other repository on the Hub as org/name[@revision]",
          did_you_mean(name, words), fmt::join(keys, ", "))};
}

/// Of `org/name@revision`: whether the manifest's `org/name` is this revision.
Status check_revision(const ManifestModel& model, const std::string& revision) {
  if (revision == model.revision.text() || revision == model.ref) return ok();
  return Error{ErrorKind::usage,
               fmt::format("{} is asked for at revision {}, and the manifest has it at {}",
                           model.key, truncated(revision), model.revision.text()),
               "ask for the manifest's revision or for none, or change the manifest"};
}

Error unknown_address(const std::string& address) {
  // A login before the host may be a secret.
  std::string place = address.substr(address.find("://") + 3);
  if (const auto at = place.substr(0, place.find('/')).rfind('@'); at != std::string::npos)
    place.erase(0, at + 1);
  return {ErrorKind::usage,
          fmt::format("the address of a model, {}, is neither on the Hub nor on an endpoint",
                      truncated(place)),
          "write org/name[@revision], or name the mirror in HF_ENDPOINT"};
}

Result<NamedModel> find_model(const Manifest& manifest, const std::string& name_or_address,
                              const ModelNames& names) {
  const std::string text = without_address(name_or_address, names.endpoints);
  const auto known = [&](const std::string& key) {
    return std::ranges::find(manifest.models, key, &ManifestModel::key);
  };
  if (const auto found = known(text); found != manifest.models.end()) return NamedModel{*found};
  if (text.find("://") != std::string::npos) return unknown_address(text);

  const std::size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  std::optional<Variant> variant;
  if (colon != std::string::npos) {
    auto build = parse_build(std::string_view(text).substr(colon + 1));
    if (!build)
      return Error{build.error().kind, truncated(name) + ": " + build.error().message,
                   build.error().hint};
    variant = std::move(*build);
  }

  if (const auto found = known(name); found != manifest.models.end()) {
    NamedModel model{*found, std::move(variant)};
    model.model.key = text;
    return model;
  }

  const std::size_t at = text.find('@');
  const bool has_revision = names.pinned_by_manifest && at != std::string::npos;
  if (const auto found = known(text.substr(0, at));
      has_revision && found != manifest.models.end()) {
    if (Status same = check_revision(*found, text.substr(at + 1)); !same) return same.error();
    NamedModel model{*found};
    model.model.key = text;
    return model;
  }

  if (names.manifest_only)
    return Error{ErrorKind::usage, "the signed manifest does not contain '" + truncated(name) + "'",
                 "add it to the manifest and sign that again, or run without --manifest-key"};

  // A few repositories have names without a slash, but a mistyped key is much more likely.
  const bool is_address = text != name_or_address;
  if (!is_address && name.find('/') == std::string::npos)
    return unknown_model(manifest, name, names.other_words);

  auto model = parse_repository_name(name);
  if (!model) return model.error();
  model->key = text;
  model->policy = manifest.policy;
  return NamedModel{std::move(*model), std::move(variant)};
}

Result<std::vector<NamedModel>> find_models(const Manifest& manifest, const ModelNames& names) {
  std::vector<NamedModel> models;
  if (names.names.empty())
    for (const ManifestModel& model : manifest.models) models.push_back({model});

  std::set<std::string> seen;
  for (const std::string& name : names.names) {
    auto model = find_model(manifest, name, names);
    if (!model) return model.error();
    if (seen.insert(model->model.key).second) models.push_back(std::move(*model));
  }
  return models;
}

bool selects_everything(const FileFilter& filter) {
  return filter.exclude.empty() && filter.include == Strings{"*"};
}

/// The described variant that is wanted, or that may take its place.
const ManifestVariant* find_described(const ManifestModel& model, const Variant& wanted) {
  const auto& variants = model.variants;
  const auto find = [&](const Variant& name) {
    const auto found = std::ranges::find(variants, name, &ManifestVariant::name);
    return found == variants.end() ? nullptr : &*found;
  };
  if (const auto* found = find(wanted)) return found;

  const auto fallbacks = fallbacks_of(wanted.build);
  const bool has_substitute = !fallbacks.empty() || wanted.build == Build::fp32;
  if (!wanted.name.empty() || !has_substitute) return nullptr;

  for (const Build other : fallbacks)
    if (const auto* found = find(other)) return found;
  return variants.empty() ? nullptr : &variants.front();
}

/// What to fetch of a model. Its repository and revision are set.
ManifestVariant choose_variant(const ManifestModel& model, const Variant& wanted) {
  ManifestVariant variant{.name = wanted};
  if (const auto* described = find_described(model, wanted))
    variant = *described;
  else if (wanted.build == Build::all)
    variant.filter.include = {"*"};
  else  // which builds the repository has is known when its listing is
    variant.filter.select_weights_automatically = true;

  variant.repo = variant.repo.value_or(model.repo);
  variant.revision = variant.revision.value_or(model.revision);
  return variant;
}

/// Whether one of the locked variants is the whole commit, so that `files` is its listing.
bool locks_whole_commit(const ManifestModel& model) {
  return std::ranges::any_of(model.locked, [&](const Variant& name) {
    const ManifestVariant variant = choose_variant(model, name);
    return selects_everything(variant.filter) && variant.repo == model.repo &&
           variant.revision == model.revision;
  });
}

Result<ModelSpec> make_spec(const ManifestModel& model, const Variant& variant_of_run,
                            const FileFilter& patterns) {
  // Other repositories have one variant only, so asking for another is no reason for a warning.
  const Variant wanted =
      model.repo.kind() == RepoKind::model ? variant_of_run : Variant(Build::all);
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
                 .policy = model.policy,
                 .signer = model.signer,
                 .size = variant.size,
                 .whole_commit = selects_everything(variant.filter),
                 .fully_locked = in_own_repo && locked};

  // What is locked is that of the model's own repository.
  if (!in_own_repo) return spec;
  if (variant.revision == model.revision) spec.locked_facts = model.facts;
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

Result<std::vector<ModelSpec>> select_models(const Manifest& manifest, const ModelNames& names,
                                             const Variant& variant, const FileFilter& patterns,
                                             const Policy& policy) {
  const auto models = find_models(manifest, names);
  if (!models) return models.error();

  std::vector<ModelSpec> specs;
  for (const NamedModel& named : *models) {
    auto spec = make_spec(named.model, named.variant.value_or(variant), patterns);
    if (!spec) return spec.error();
    spec->policy = tightened(spec->policy, policy);
    specs.push_back(std::move(*spec));
  }

  if (specs.empty()) return Error{ErrorKind::usage, "the manifest contains no models"};
  return specs;
}

Result<std::map<RepoId, Pins>> select_pins(const Manifest& manifest, const ModelNames& names) {
  const auto models = find_models(manifest, names);
  if (!models) return models.error();

  std::map<RepoId, Pins> selected;
  for (const NamedModel& named : *models) add_pins(named.model, selected);

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
