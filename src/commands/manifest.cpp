// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/manifest.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "model_prep/base/suggestions.h"
#include "model_prep/base/text.h"
#include "model_prep/cli/flags.h"
#include "model_prep/core/file_selection.h"
#include "model_prep/core/json_reader.h"

namespace model_prep {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLongestFault = 400;  // it may name a key or repeat a string of the file

/// What is wrong, and where: thrown below `parse_manifest` only, which makes an Error of it.
struct Fault {
  std::string message;
};

/// An object whose members are all accounted for when it goes out of use.
class Object {
 public:
  Object(const Json& json, std::string path) : json_(json), path_(std::move(path)) {
    if (!json_.is_object()) throw Fault{fmt::format("{}: should be an object", path_)};
  }

  const Json* find(const std::string& name) {
    known_.insert(name);
    const auto found = json_.find(name);
    return found == json_.end() ? nullptr : &*found;
  }
  const Json& need(const std::string& name) {
    const Json* found = find(name);
    if (found == nullptr) throw Fault{fmt::format("{}: is missing", at(name))};
    return *found;
  }
  std::optional<std::string> text(const std::string& name) {
    const Json* found = find(name);
    if (found == nullptr) return std::nullopt;
    if (!found->is_string()) throw Fault{fmt::format("{}: should be a string", at(name))};
    return found->get<std::string>();
  }
  std::string needed_text(const std::string& name) {
    need(name);
    return *text(name);
  }
  std::vector<std::string> texts(const std::string& name) {
    const Json* found = find(name);
    if (found == nullptr) return {};
    const auto is_text = [](const Json& entry) { return entry.is_string(); };
    if (!found->is_array() || !std::all_of(found->begin(), found->end(), is_text))
      throw Fault{fmt::format("{}: should be a list of strings", at(name))};
    return found->get<std::vector<std::string>>();
  }
  std::optional<std::int64_t> size(const std::string& name) {
    const Json* found = find(name);
    if (found == nullptr) return std::nullopt;
    if (!found->is_number_unsigned() || found->get<std::uint64_t>() > std::uint64_t{kMaxFileSize})
      throw Fault{fmt::format("{}: should be a size in bytes", at(name))};
    return found->get<std::int64_t>();
  }
  /// Calls `use(name, json, path)` for each member: for objects whose keys are the user's.
  template <class Use>
  void each(Use use) {
    for (const auto& [name, entry] : json_.items()) {
      known_.insert(name);
      use(name, entry, at(name));
    }
  }
  void no_more() const {
    for (const auto& [name, entry] : json_.items())
      if (!known_.contains(name)) {
        const auto meant = closest_word(name, {known_.begin(), known_.end()});
        throw Fault{
            fmt::format("{}: unknown member{}", at(name), meant ? "; is it " + *meant + "?" : "")};
      }
  }
  std::string at(const std::string& name) const {
    return path_.empty() ? name : path_ + "." + name;
  }

 private:
  const Json& json_;
  std::string path_;
  std::set<std::string> known_;
};

/// The value, or a Fault that says where.
template <class T>
T good(Result<T> result, const std::string& path) {
  if (!result) throw Fault{fmt::format("{}: {}", path, result.error().message)};
  return std::move(*result);
}

std::optional<Digest> read_digest(Object& object, const std::string& name, DigestKind kind) {
  const auto text = object.text(name);
  if (!text) return std::nullopt;
  Digest digest = good(Digest::parse(*text), object.at(name));
  if (digest.kind() != kind)
    throw Fault{fmt::format("{}: should have {} hex digits", object.at(name),
                            kind == DigestKind::sha256 ? 64 : 40)};
  return digest;
}

LockedFile read_file_lock(const Json& json, const std::string& path) {
  Object object(json, path);
  LockedFile file;
  object.need("size");
  file.size = *object.size("size");
  file.sha256 = read_digest(object, "sha256", DigestKind::sha256);
  file.git_sha1 = read_digest(object, "git_sha1", DigestKind::git_sha1);
  if (!file.sha256 && !file.git_sha1)
    throw Fault{fmt::format("{}: needs a sha256 or a git_sha1", path)};
  object.no_more();
  return file;
}

ManifestVariant read_variant(const std::string& name, const Json& json, const std::string& path) {
  const auto known = parse_variant(name);
  if (!known)
    throw Fault{
        fmt::format("{}: unknown variant; there are {}", path, fmt::join(kVariantNames, ", "))};
  Object object(json, path);
  ManifestVariant variant{
      .name = *known, .filter = {}, .size = object.size("size"), .repo = {}, .revision = {}};
  variant.filter.include = object.texts("include");
  variant.filter.exclude = object.texts("exclude");
  if (object.find("include") == nullptr) variant.filter.include = {"*"};
  if (const auto repo = object.text("repo"))
    variant.repo = good(RepoId::parse(*repo), object.at("repo"));
  if (const auto revision = object.text("revision"))
    variant.revision = good(Revision::parse(*revision), object.at("revision"));
  object.no_more();
  return variant;
}

ManifestModel read_model(const std::string& key, const Json& json, const std::string& path) {
  Object object(json, path);
  ManifestModel model{
      .key = key,
      .repo = good(RepoId::parse(object.needed_text("repo")), object.at("repo")),
      .revision =
          good(Revision::parse(object.text("revision").value_or("main")), object.at("revision")),
      .ref = good(Revision::parse(object.text("ref").value_or("main")), object.at("ref")).text(),
      .variants = {},
      .locked = {},
      .files = {}};
  object.text("purpose");  // for people; only its type is checked
  object.texts("used_by");
  if (const Json* variants = object.find("variants"))
    Object(*variants, object.at("variants"))
        .each([&](const auto& name, const Json& entry, const auto& at) {
          model.variants.push_back(read_variant(name, entry, at));
        });
  if (const Json* files = object.find("files"))
    Object(*files, object.at("files"))
        .each([&](const auto& name, const Json& entry, const auto& at) {
          model.files.emplace(good(RepoPath::parse(name), at), read_file_lock(entry, at));
        });
  for (const ManifestVariant& variant : model.variants)
    if (model.repo.kind() != RepoKind::model && variant.name != Variant::all)
      throw Fault{fmt::format(
          "{}: only models have variants; the files of a dataset or space are its variant all",
          object.at("variants." + std::string(to_string(variant.name))))};
  for (const std::string& name : object.texts("locked")) {
    const auto locked = parse_variant(name);
    const auto is_it = [&](const ManifestVariant& variant) { return variant.name == locked; };
    if (!locked || (*locked != Variant::all &&
                    std::none_of(model.variants.begin(), model.variants.end(), is_it)))
      throw Fault{fmt::format("{}: the model has no variant {}", object.at("locked"), name)};
    model.locked.insert(*locked);
  }
  object.no_more();
  return model;
}

Manifest read_manifest(const Json& json) {
  Object object(json, "");
  if (object.need("version") != 1) throw Fault{"version: should be 1"};
  Manifest manifest;
  Object(object.need("models"), "models")
      .each([&](const auto& key, const Json& entry, const auto& at) {
        manifest.models.push_back(read_model(key, entry, at));
      });
  object.no_more();
  return manifest;
}

bool is_everything(const FileFilter& filter) {
  return filter.exclude.empty() && filter.include == std::vector<std::string>{"*"};
}

/// The variant to ask for: of a dataset or space there is but one, so that none is missed.
Variant variant_of(const ManifestModel& model, Variant wanted) {
  return model.repo.kind() == RepoKind::model ? wanted : Variant::all;
}

/// The variant to take: the one that is wanted, else fp32, else what there is. `all` needs no
/// description. Where the general rule chooses, the repository's files will tell what there is.
ManifestVariant choose_variant(const ManifestModel& model, Variant wanted) {
  const auto named = [&](Variant name) {
    return std::find_if(model.variants.begin(), model.variants.end(),
                        [&](const ManifestVariant& v) { return v.name == name; });
  };
  if (const auto found = named(wanted); found != model.variants.end()) return *found;
  if (wanted == Variant::all)
    return {.name = Variant::all,
            .filter = {.include = {"*"}, .exclude = {}},
            .size = {},
            .repo = {},
            .revision = {}};
  if (const auto found = named(Variant::fp32); found != model.variants.end()) return *found;
  if (!model.variants.empty()) return model.variants.front();
  return {.name = wanted,
          .filter = {.include = {}, .exclude = {}, .select_weights_automatically = true},
          .size = {},
          .repo = {},
          .revision = {}};
}

/// One of the locked variants is the whole commit, so `files` is its listing.
bool locks_everything(const ManifestModel& model) {
  return std::any_of(model.locked.begin(), model.locked.end(), [&](Variant name) {
    const ManifestVariant variant = choose_variant(model, name);
    return is_everything(variant.filter) && variant.repo.value_or(model.repo) == model.repo &&
           variant.revision.value_or(model.revision) == model.revision;
  });
}

Result<ModelSpec> make_spec(const ManifestModel& model, Variant of_run,
                            const FileFilter& patterns) {
  const Variant wanted = variant_of(model, of_run);
  ManifestVariant variant = choose_variant(model, wanted);
  const bool by_patterns = !patterns.include.empty() || !patterns.exclude.empty();
  bool locked = model.locked.contains(variant.name);
  if (by_patterns) {
    locked = locks_everything(model) && variant.revision.value_or(model.revision) == model.revision;
    variant.size.reset();
    variant.filter = {
        .include = patterns.include, .exclude = patterns.exclude, .from_command_line = true};
    if (patterns.include.empty()) variant.filter.include = {"*"};
  }
  const bool elsewhere = variant.repo && *variant.repo != model.repo;
  ModelSpec spec{.key = model.key,
                 .repo = variant.repo.value_or(model.repo),
                 .revision = variant.revision.value_or(model.revision),
                 .ref = model.ref,
                 .variant_requested = wanted,
                 .variant = variant.name,
                 .filter = variant.filter,
                 .size = variant.size,
                 .whole_commit = is_everything(variant.filter),
                 .fully_locked = !elsewhere && locked,
                 .lock = {}};
  if (elsewhere) return spec;
  spec.lock = model.files;
  if (!spec.fully_locked) return spec;
  std::erase_if(spec.lock,
                [&](const auto& entry) { return !is_selected(spec.filter, entry.first); });
  if (spec.lock.empty() && !by_patterns)
    return Error{
        ErrorKind::usage,
        fmt::format("{}: the variant {} is said to be locked, but no locked file belongs to it",
                    model.key, to_string(variant.name)),
        {}};
  return spec;
}

/// `org/name[@revision]`, `datasets/org/name[@revision]`, `spaces/org/name[@revision]`.
Result<ManifestModel> make_free_model(const std::string& text) {
  const std::size_t at = text.find('@');
  const auto repo = RepoId::parse(std::string_view(text).substr(0, at));
  if (!repo) return repo.error();
  const auto revision =
      Revision::parse(at == std::string::npos ? "main" : std::string_view(text).substr(at + 1));
  if (!revision) return revision.error();
  return ManifestModel{.key = text,
                       .repo = *repo,
                       .revision = *revision,
                       .ref = "main",
                       .variants = {},
                       .locked = {},
                       .files = {}};
}

Error unknown_model(const Manifest& manifest, const std::string& name) {
  std::vector<std::string> words;
  for (const ManifestModel& model : manifest.models) words.push_back(model.key);
  const std::string keys = fmt::format("{}", fmt::join(words, ", "));
  for (const CommandText& each : commands())
    words.emplace_back(each.name);  // a mistyped command is taken for a model
  return {
      ErrorKind::usage, fmt::format("unknown model '{}'", name),
      fmt::format(
          "{}the manifest knows {}; any repository of the Hub can be named as org/name[@revision]",
          did_you_mean(name, words), keys)};
}

std::string json_string(std::string_view text) { return Json(text).dump(); }

/// A pattern that matches this path only.
std::string literal_pattern(const RepoPath& path) {
  std::string pattern;
  for (const char c : path.text())
    pattern += c == '*' || c == '?' || c == '[' ? fmt::format("[{}]", c) : std::string(1, c);
  return pattern;
}

std::string locked_file_text(const RemoteFile& file) {
  const bool plain = file.blob.kind() == DigestKind::git_sha1;
  std::string text =
      fmt::format("        {}: {{\"size\": {}", json_string(file.path.text()), file.size);
  if (plain) text += fmt::format(", \"git_sha1\": \"{}\"", file.blob.hex());
  const auto sha256 = plain ? file.expected_sha256 : std::optional(file.blob);
  if (sha256) text += fmt::format(", \"sha256\": \"{}\"", sha256->hex());
  return text + "}";
}

std::string locked_model_text(const ResolvedSnapshot& snapshot) {
  const ModelSpec& spec = snapshot.spec;
  std::map<RepoPath, const RemoteFile*> files;
  for (const RemoteFile& file : snapshot.files) files.emplace(file.path, &file);
  std::vector<std::string> include;
  std::vector<std::string> locked;
  for (const auto& [path, file] : files) {
    include.push_back("            " + json_string(literal_pattern(path)));
    locked.push_back(locked_file_text(*file));
  }
  if (spec.whole_commit) include = {"            \"*\""};
  const std::string variant = json_string(to_string(spec.variant));
  return fmt::format(
             "    {}: {{\n      \"repo\": {},\n      \"revision\": \"{}\",\n      \"ref\": {},\n",
             json_string(spec.key), json_string(spec.repo.text()), snapshot.commit.hex(),
             json_string(spec.ref)) +
         fmt::format(
             "      \"variants\": {{\n        {}: {{\n          \"include\": [\n{}\n          ],\n",
             variant, fmt::join(include, ",\n")) +
         fmt::format("          \"size\": {}\n        }}\n      }},\n      \"locked\": [{}],\n",
                     total_blob_size(snapshot.files), variant) +
         fmt::format("      \"files\": {{\n{}\n      }}\n    }}", fmt::join(locked, ",\n"));
}

/// Each once, in the order in which they are wanted.
Result<std::vector<ManifestModel>> find_models(const Manifest& manifest,
                                               const std::vector<std::string>& wanted) {
  if (wanted.empty()) return manifest.models;
  std::vector<ManifestModel> models;
  std::set<std::string> seen;
  for (const std::string& name : wanted) {
    if (!seen.insert(name).second) continue;
    const auto found = std::find_if(manifest.models.begin(), manifest.models.end(),
                                    [&](const ManifestModel& model) { return model.key == name; });
    if (found == manifest.models.end() && name.find('/') == std::string::npos)
      return unknown_model(manifest, name);
    auto model =
        found != manifest.models.end() ? Result<ManifestModel>(*found) : make_free_model(name);
    if (!model) return model.error();
    models.push_back(std::move(*model));
  }
  return models;
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

Result<Manifest> parse_manifest(std::string_view text, std::string_view name) {
  const auto fault = [&](const std::string& what) {
    return Error{ErrorKind::usage, fmt::format("manifest {}: {}", name, what),
                 "the README describes the format"};
  };
  try {
    if (is_json_too_deep(text)) return fault("it is nested too deeply");
    constexpr bool kThrow = true;
    constexpr bool kComments = true;
    return read_manifest(Json::parse(text, nullptr, kThrow, kComments));
  } catch (const Fault& found) {
    return fault(truncated(found.message, kLongestFault));
  } catch (const nlohmann::json::exception& found) {
    return fault(truncated(found.what(), kLongestFault));
  }
}

Result<std::vector<ModelSpec>> select_models(const Manifest& manifest,
                                             const std::vector<std::string>& wanted,
                                             Variant variant, const FileFilter& patterns) {
  const auto models = find_models(manifest, wanted);
  if (!models) return models.error();
  std::vector<ModelSpec> specs;
  for (const ManifestModel& model : *models) {
    auto spec = make_spec(model, variant, patterns);
    if (!spec) return spec.error();
    specs.push_back(std::move(*spec));
  }
  if (specs.empty()) return Error{ErrorKind::usage, "the manifest names no model", {}};
  return specs;
}

std::string lock_text(const std::vector<ResolvedSnapshot>& snapshots) {
  std::map<std::string, std::string> models;
  for (const ResolvedSnapshot& snapshot : snapshots)
    models.emplace(snapshot.spec.key, locked_model_text(snapshot));
  std::string text;
  for (const auto& [key, model] : models) text += (text.empty() ? "" : ",\n") + model;
  return fmt::format("{{\n  \"version\": 1,\n  \"models\": {{\n{}\n  }}\n}}\n", text);
}

Result<std::map<RepoId, Pins>> select_pins(const Manifest& manifest,
                                           const std::vector<std::string>& wanted) {
  const auto models = find_models(manifest, wanted);
  if (!models) return models.error();
  std::map<RepoId, Pins> pinned;
  for (const ManifestModel& model : manifest.models) add_pins(model, pinned);
  std::map<RepoId, Pins> selected;
  for (const ManifestModel& model : *models) add_pins(model, selected);
  for (auto& [repo, pins] : selected) {
    const auto named = pinned.find(repo);
    if (named == pinned.end()) continue;
    pins.of_manifest = true;
    pins.commits.insert(named->second.commits.begin(), named->second.commits.end());
    pins.refs.insert(named->second.refs.begin(), named->second.refs.end());
  }
  return selected;
}

}  // namespace model_prep
