// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/dependencies.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "model_prep/base/text.h"
#include "model_prep/core/build_table.h"
#include "model_prep/core/json_reader.h"
#include "model_prep/core/model_selection.h"
#include "model_prep/core/weight_names.h"

namespace model_prep {
namespace {

/// A tokenizer and its model's config, without weights.
constexpr const char* kTokenizerFiles[] = {"*.json", "*.txt", "*.model", "*.jinja", "*.py"};
/// A module imports its neighbours; nothing else is read where code is.
constexpr const char* kCodeFiles[] = {"*.py"};

/// `name: value` of a line of YAML, without quotes and comment; empty if the line has another name.
std::string_view yaml_value(std::string_view line, std::string_view name) {
  constexpr std::string_view kAround = " \t\r'\"";
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  if (!line.starts_with(name) || !line.substr(name.size()).starts_with(':')) return {};

  line.remove_prefix(name.size() + 1);
  line = line.substr(0, line.find(" #"));
  line.remove_prefix(std::min(line.find_first_not_of(kAround), line.size()));
  return line.substr(0, line.find_last_not_of(kAround) + 1);
}

class DependencyFinder {
 public:
  DependencyFinder(const ModelSpec& model, const std::vector<RemoteFile>& files)
      : model_(model), files_(files) {}

  void read(const RepoPath& path, std::string_view text) {
    const std::string_view name = name_of(path.text());
    if (name == "adapter_config.json")
      read_adapter(path, text);
    else if (name == "gliner_config.json")
      read_gliner(path, text);
    else if (name == "config.yaml")
      read_pipeline(path, text);
    else
      read_auto_map(path, text);
    if (name == "config.json") read_parts(path, text);
  }

  std::vector<Dependency> found() && { return std::move(found_); }

 private:
  void read_auto_map(const RepoPath& path, std::string_view text) {
    // Most files have none, and a tokenizer's may be megabytes.
    constexpr std::string_view kMap[] = {"auto_map"};
    if (text.find(kMap[0]) == std::string_view::npos) return;

    // A text that turns out not to be JSON names nothing.
    std::vector<std::string> classes;
    const auto document = read_python_json(text, {.texts_in = kMap}, [&](const JsonEntry& entry) {
      classes.push_back(entry.text);
      return ok();
    });
    if (!document) return;

    for (const std::string& reference : classes) {
      const std::size_t end = reference.find("--");
      if (end == std::string::npos) continue;
      const std::string module = reference.substr(end + 2);
      const auto file = RepoPath::parse(module.substr(0, module.find('.')) + ".py");
      if (file)
        add(path, std::string_view(reference).substr(0, end), "main",
            {.reason = "Python code, for trust_remote_code=True",
             .code = true,
             .needed = {*file},
             .include = {std::begin(kCodeFiles), std::end(kCodeFiles)}});
    }
  }

  /// The code of these models asks for another one, wherever that is named.
  void read_parts(const RepoPath& path, std::string_view text) {
    // jina-clip: the text tower, in `text_config`; its weights are the model's own. Ultravox.
    const Kind of_config{.reason = "the config of the model's text tower",
                         .needed = {*RepoPath::parse("config.json")},
                         .include = {std::begin(kTokenizerFiles), std::end(kTokenizerFiles)}};
    const std::pair<std::string_view, Kind> kinds[] = {
        {"hf_model_name_or_path", of_config},
        {"text_model_id", {.reason = "the language model that the model is built on"}},
        {"audio_model_id", {.reason = "the audio model that the model is built on"}}};
    const auto is_named = [&](const auto& kind) { return text.find(kind.first) != text.npos; };
    if (std::ranges::none_of(kinds, is_named)) return;

    // Elsewhere the names of Ultravox may be those of a training.
    bool is_ultravox = false;
    std::vector<std::pair<const Kind*, std::string>> named;
    const Status read = read_json_values(text, [&](auto members, const JsonFields::Value& value) {
      const auto* const name = std::get_if<std::string>(&value);
      if (members.empty() || name == nullptr) return ok();
      if (members.size() == 1 && members[0] == "model_type") is_ultravox = *name == "ultravox";
      if (name->find('/') == name->npos) return ok();

      for (const auto& [member, kind] : kinds)
        if (members.back() == member && (members.size() == 1 || &kind == &kinds[0].second) &&
            named.size() < kMaxDependencies)
          named.emplace_back(&kind, *name);
      return ok();
    });
    if (!read) return;
    for (const auto& [kind, name] : named)
      if (is_ultravox || kind == &kinds[0].second) add(path, name, "main", *kind);
  }

  void read_adapter(const RepoPath& path, std::string_view text) {
    // transformers looks for an adapter in the root alone. One in a directory of a whole model is
    // for those who ask for it.
    if (!folder_of(path.text()).empty()) {
      if (!is_whole_) is_whole_ = has_whole_model();
      if (*is_whole_) return;
    }

    constexpr std::string_view kFields[] = {"base_model_name_or_path", "revision"};
    const auto document = read_python_json(text, {.fields = kFields});
    if (!document) return;
    add(path, document->fields.text(kFields[0]).value_or(""),
        document->fields.text(kFields[1]).value_or("main"),
        {.reason = "the base model of an adapter"});
  }

  void read_gliner(const RepoPath& path, std::string_view text) {
    constexpr std::string_view kFields[] = {"model_name", "labels_encoder", "encoder_config"};
    const auto document = read_python_json(text, {.fields = kFields});
    if (!document) return;

    const auto add_tokenizer = [&](std::string_view field, std::string reason) {
      add(path, document->fields.text(field).value_or(""), "main",
          {.reason = std::move(reason),
           .needed = {*RepoPath::parse("config.json")},
           .include = {std::begin(kTokenizerFiles), std::end(kTokenizerFiles)}});
    };

    // Its own tokenizer is used if there is one; that of the labels always comes from elsewhere.
    const std::string tokenizer = std::string(folder_of(path.text())) + "tokenizer_config.json";
    const bool is_whole = document->fields.has("encoder_config") &&
                          std::ranges::any_of(files_, [&](const RemoteFile& file) {
                            return file.path.text() == tokenizer;
                          });
    if (!is_whole) add_tokenizer("model_name", "the tokenizer of a GLiNER model");
    add_tokenizer("labels_encoder", "the tokenizer of the labels of a GLiNER model");
  }

  /// Line by line: a pipeline is short, and its parameters have these names wherever they are.
  void read_pipeline(const RepoPath& path, std::string_view text) {
    if (text.find("pyannote") == std::string_view::npos) return;
    for (const std::string_view line : split(text, '\n'))
      for (const std::string_view part : {"segmentation", "embedding"}) {
        // Other files of this name have numbers there; a model is always `org/name[@revision]`.
        const std::string_view value = yaml_value(line, part);
        const std::size_t at = value.find('@');
        if (value.find('/') == std::string_view::npos) continue;
        add(path, value.substr(0, at), at == std::string_view::npos ? "main" : value.substr(at + 1),
            {.reason = "the " + std::string(part) + " model of a pyannote pipeline"});
      }
  }

  /// Whether the root has config.json and weights, its own or in a directory of their form.
  bool has_whole_model() const {
    bool has_config = false;
    bool has_weights = false;
    for (const RemoteFile& file : files_) {
      const std::string_view path = file.path.text();
      const FileRole role = role_of(path);
      const auto weights = parse_weights(name_of(path));
      const bool is_small = role == FileRole::small || role == FileRole::unused;
      has_config = has_config || path == "config.json";
      has_weights =
          has_weights ||
          (!is_small && role != FileRole::foreign && !name_of(path).starts_with("adapter_model") &&
           (role != FileRole::torch || !weights || is_model_set(weights->set)) &&
           (folder_of(path).empty() || is_in_folder_of_form(path)));
    }
    return has_config && has_weights;
  }

  /// What is known of a dependency apart from its name.
  struct Kind {
    std::string reason;
    bool code{false};
    std::set<RepoPath> needed{};
    Strings include{};
  };

  void add(const RepoPath& path, std::string_view name, std::string_view revision, Kind kind) {
    auto repo = RepoId::parse(name);
    auto asked = Revision::parse(revision.empty() ? "main" : revision);
    if (!repo || repo->kind() != RepoKind::model || !asked || *repo == model_.repo) return;

    const auto known = std::ranges::find_if(found_, [&](const Dependency& other) {
      return other.repo == *repo && other.revision == *asked && other.code == kind.code;
    });
    if (known != found_.end())
      known->needed.merge(kind.needed);
    else if (found_.size() < kMaxDependencies)
      found_.push_back({std::move(*repo), std::move(*asked), std::move(kind.reason), path,
                        kind.code, std::move(kind.needed), std::move(kind.include)});
  }

  const ModelSpec& model_;
  const std::vector<RemoteFile>& files_;
  std::vector<Dependency> found_;
  std::optional<bool> is_whole_;  // once it matters: adapters and files may be many
};

/// The model of the manifest that the dependency is.
const ManifestModel* find_described(const Dependency& dependency, const Manifest& manifest) {
  const auto found = std::ranges::find_if(manifest.models, [&](const ManifestModel& model) {
    return model.repo == dependency.repo &&
           (model.revision == dependency.revision || model.ref == dependency.revision.text());
  });
  return found == manifest.models.end() ? nullptr : &*found;
}

}  // namespace

std::string Dependency::key() const {
  return revision.text() == "main" ? repo.text() : repo.text() + "@" + revision.text();
}

bool may_name_dependencies(const RepoPath& path, const ModelSpec& model) {
  constexpr std::string_view kModels[] = {"adapter_config.json", "gliner_config.json",
                                          "config.yaml"};
  constexpr std::string_view kCode[] = {"config.json", "tokenizer_config.json",
                                        "processor_config.json", "preprocessor_config.json"};
  const auto is_one_of = [name = name_of(path.text())](const auto& names) {
    return std::ranges::find(names, name) != std::end(names);
  };
  return model.repo.kind() == RepoKind::model &&
         (is_one_of(kModels) || (runs_python_code(model.variant.build) && is_one_of(kCode)));
}

std::vector<Dependency> find_dependencies(const FileTexts& texts, const ModelSpec& model,
                                          const std::vector<RemoteFile>& files) {
  DependencyFinder finder(model, files);
  for (const auto& [path, text] : texts)
    if (may_name_dependencies(path, model)) finder.read(path, text);
  return std::move(finder).found();
}

ModelSpec dependency_spec(const Dependency& dependency, const ModelSpec& needed_by,
                          const Manifest& manifest) {
  FileFilter patterns = needed_by.filter.from_command_line ? needed_by.filter : FileFilter{};
  if (!dependency.include.empty()) patterns = {.include = dependency.include};
  const Variant variant = dependency.code || !needed_by.variant_requested.name.empty()
                              ? Variant()
                              : needed_by.variant_requested;

  // The ref is the one that the library asks for. Without variants and locks, no model is refused.
  ManifestModel model{.key = dependency.key(),
                      .repo = dependency.repo,
                      .revision = dependency.revision,
                      .ref = dependency.revision.text()};
  if (const auto* described = find_described(dependency, manifest)) {
    model.revision = described->revision;
    model.policy = described->policy;
    model.signer = described->signer;
    model.facts = described->facts;
    model.files = described->files;
  }
  const Manifest only_this{.models = {std::move(model)}};
  return (*select_models(only_this, {}, variant, patterns, needed_by.policy)).front();
}

}  // namespace model_prep
