// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/exported_builds.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "model_prep/base/text.h"
#include "model_prep/core/build_table.h"
#include "model_prep/core/weight_names.h"

namespace model_prep {
namespace {

// More than any repository has. What comes after that many is not looked at, so that no listing
// takes quadratic time.
constexpr std::size_t kMaxModels = 5'000;
constexpr std::size_t kMaxUnexplained = 100;

/// Where a build lies, and what its models have in common.
using GroupKey = std::pair<std::string, std::string>;
using Groups = std::map<GroupKey, ExportedBuild>;

std::string upper(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? char(c - 'a' + 'A') : c; });
  return result;
}

void add_names(ExportedBuild& build, std::string_view path) {
  build.names.insert(lower_case(stem_of(path)));
  build.names.insert(lower_case(stem_of(name_of(path))));
}

/// Of parts, the first in the order of the table gives the build its name.
void add_model(ExportedBuild& build, const RepoPath& path, std::string_view name) {
  if (build.variant.name.empty()) {
    build.variant.name = name;
    build.path_name =
        (folder_of(path.text()).empty() ? "./" : "") + std::string(stem_of(path.text()));
    build.names.insert(lower_case(build.path_name));
  }
  build.files.insert(path);
  add_names(build, path.text());
}

void append_builds(Groups groups, std::vector<ExportedBuild>& builds) {
  for (auto& [key, build] : groups) builds.push_back(std::move(build));
}

class BuildFinder {
 public:
  BuildFinder(const std::vector<ListedFile>& all, const DecidingFacts& facts) : facts_(facts) {
    for (const ListedFile& file : all) names_.insert(file.path.text());
    is_pipeline_ = names_.contains("model_index.json");
    for (const ListedFile& file : all) sort_in(file.path);
  }

  std::vector<ExportedBuild> run() const {
    std::vector<ExportedBuild> builds;
    append_builds(find_openvino(), builds);
    append_builds(find_onnx(), builds);
    append_builds(find_gguf(), builds);
    return builds;
  }

 private:
  void sort_in(const RepoPath& path) {
    const std::string_view text = path.text();
    const FileRole role = role_of(text);
    if (role == FileRole::foreign) return;
    const auto keep = [&](std::vector<const RepoPath*>& paths) {
      if (paths.size() < kMaxModels) paths.push_back(&path);
    };

    if (role == FileRole::onnx && extension_of(text) == ".onnx")
      keep(onnx_);
    else if (role == FileRole::onnx)
      keep(onnx_data_[std::string(text.substr(0, text.rfind(".onnx") + 5))]);
    else if (role == FileRole::gguf)
      keep(gguf_);
    else if (is_openvino(text))
      keep(openvino_);
    else if (could_be_onnx_data(text, role))
      unexplained_[std::string(folder_of(text))].push_back(&path);
  }

  // ---- ONNX ----

  Groups find_onnx() const {
    Groups groups;
    PartsOfGroups parts;
    for (const std::string_view part : onnx_parts())
      for (const RepoPath* path : onnx_)
        if (const GroupKey* key = add_onnx(groups, *path, part)) parts[*key][part] = path;
    for (const RepoPath* path : onnx_) add_onnx(groups, *path, {});
    add_missing_parts(groups, parts);

    for (auto& [key, build] : groups) {
      const std::set<RepoPath> models = build.files;
      for (const RepoPath& model : models) add_onnx_data(build, model);
    }
    return groups;
  }

  using PartsOfGroups = std::map<GroupKey, std::map<std::string_view, const RepoPath*>>;

  /// A part that was not exported in this form is the plain one's, or else the only one there is.
  /// Parts are the plain model only if they are all that there is: a part with other forms alone,
  /// or a model of another name beside them, may be one more.
  static void add_missing_parts(Groups& groups, const PartsOfGroups& parts) {
    std::map<std::string, std::map<std::string_view, std::vector<const RepoPath*>>> known;
    for (const auto& [key, of_group] : parts)
      for (const auto& [part, path] : of_group) known[key.first][part].push_back(path);

    for (const auto& [key, of_group] : parts) {
      const auto plain = parts.find({key.first, ""});
      for (const auto& [part, forms] : known[key.first]) {
        if (of_group.contains(part)) continue;

        if (plain != parts.end() && plain->second.contains(part))
          groups.at(key).files.insert(*plain->second.at(part));
        else if (forms.size() == 1)
          groups.at(key).files.insert(*forms.front());
        else
          groups.at(key).is_plain = false;
      }
      if (has_model_in(groups, key.first)) groups.at(key).is_plain = false;
    }
  }

  /// Whether a file that is no part lies there.
  static bool has_model_in(const Groups& groups, const std::string& place) {
    const auto first = groups.lower_bound({place, "="});
    return first != groups.end() && first->first.first == place &&
           first->first.second.starts_with('=');
  }

  /// Adds the file if it is this part of a model; without a part, if it is a whole one. Returns
  /// where it was added, or nothing.
  const GroupKey* add_onnx(Groups& groups, const RepoPath& path, std::string_view part) const {
    const std::string_view stem = stem_of(name_of(path.text()));
    if (part != onnx_part_of(stem)) return nullptr;

    const std::string_view suffix = stem.substr(part.size());
    const GroupKey key{place_of(path.text()),
                       part.empty() ? "=" + std::string(stem) : std::string(suffix)};
    ExportedBuild& build = groups[key];
    build.variant.build = Build::onnx;
    const std::string_view folder = folder_of(path.text());
    const bool is_usual_place = folder == "onnx/" || folder.empty();
    build.is_plain = part.empty() ? stem == "model" && (is_usual_place || key.first == "*")
                                  : suffix.empty() && is_usual_place && !has_whole_model();
    build.in_folder_of_form = is_in_folder_of_form(path.text());
    add_model(build, path, stem);
    return &groups.find(key)->first;
  }

  /// Beside it, parts are another choice.
  bool has_whole_model() const {
    return names_.contains("onnx/model.onnx") || names_.contains("model.onnx");
  }

  /// The models in a pipeline's directories belong together.
  std::string place_of(std::string_view path) const {
    const std::string folder(folder_of(path));
    return is_pipeline_ && !folder.empty() && !is_in_folder_of_form(path) ? "*" : folder;
  }

  void add_onnx_data(ExportedBuild& build, const RepoPath& model) const {
    const auto known = facts_.external_data.find(model);
    if (known != facts_.external_data.end()) {
      build.files.insert(known->second.begin(), known->second.end());
      return;
    }

    if (const auto data = onnx_data_.find(model.text()); data != onnx_data_.end())
      for (const RepoPath* path : data->second) build.files.insert(*path);

    const std::string folder(folder_of(model.text()));
    const auto others = unexplained_.find(folder);
    if (others == unexplained_.end() || others->second.size() > kMaxUnexplained) return;
    build.unread.insert(model);

    // In the root, they could as well be something else.
    if (!folder.empty())
      for (const RepoPath* path : others->second) build.files.insert(*path);
  }

  /// By its name, it is neither PyTorch's nor anybody else's.
  static bool could_be_onnx_data(std::string_view path, FileRole role) {
    const std::string_view name = name_of(path);
    const bool is_weights = role == FileRole::torch && is_pickle_name(path) &&
                            name.find("pytorch_model") == std::string_view::npos &&
                            (is_in_folder_of_form(path) || !name.starts_with("model."));
    return is_weights || extension_of(path) == ".pb";
  }

  // ---- OpenVINO ----

  Groups find_openvino() const {
    Groups groups;
    std::map<std::string, std::vector<const RepoPath*>> tokenizers;
    for (const RepoPath* path : openvino_) {
      const std::string_view stem = stem_of(name_of(path->text()));
      if (stem == "openvino_tokenizer" || stem == "openvino_detokenizer")
        tokenizers[place_of(path->text())].push_back(path);
      else
        add_openvino(groups, *path, stem);
    }

    for (auto& [key, build] : groups)
      for (const RepoPath* path : tokenizers[key.first]) build.files.insert(*path);
    return groups;
  }

  bool is_openvino(std::string_view path) const {
    const std::string_view extension = extension_of(path);
    if (extension != ".xml" && extension != ".bin") return false;
    if (role_of(path) == FileRole::openvino) return true;
    return names_.contains(other_half_of(path));
  }

  void add_openvino(Groups& groups, const RepoPath& path, std::string_view stem) const {
    // `openvino_decoder_model_int8`: parts with the same suffix are one model.
    constexpr std::string_view kModel = "model";
    const std::size_t model = stem.rfind(kModel);
    const bool is_named_by_optimum = stem.starts_with("openvino_");
    const std::string_view suffix =
        model != std::string_view::npos ? stem.substr(model + kModel.size()) : std::string_view();
    const GroupKey key{place_of(path.text()),
                       is_named_by_optimum ? std::string(suffix) : "=" + std::string(stem)};

    ExportedBuild& build = groups[key];
    build.variant.build = Build::openvino;
    build.is_plain = is_named_by_optimum && suffix.empty();
    build.in_folder_of_form = is_in_folder_of_form(path.text());
    add_model(build, path, stem);
  }

  // ---- GGUF ----

  Groups find_gguf() const {
    Groups groups;
    std::vector<const RepoPath*> projectors;
    for (const RepoPath* path : gguf_) {
      if (lower_case(name_of(path->text())).find("mmproj") != std::string::npos)
        projectors.push_back(path);
      else
        add_gguf(groups, *path);
    }

    // What works with every quantisation; llama.cpp prefers it too.
    const auto projector = std::ranges::min_element(projectors, {}, [](const RepoPath* path) {
      const std::string bits = quantisation_of(name_of(path->text()));
      return bits == "F16" || bits == "FP16" ? 0 : bits == "BF16" ? 1 : 2;
    });
    if (projector != projectors.end())
      for (auto& [key, build] : groups) build.files.insert(**projector);
    return groups;
  }

  static void add_gguf(Groups& groups, const RepoPath& path) {
    const std::string_view name = name_of(path.text());
    const std::string whole = without_shard_number(stem_of(name));
    std::string quantisation = quantisation_of(name);
    if (quantisation.empty()) quantisation = quantisation_of(folder_of(path.text()));

    ExportedBuild& build = groups[{std::string(folder_of(path.text())), whole}];
    build.variant.build = Build::gguf;
    add_model(build, path, quantisation.empty() ? whole : quantisation);
    build.names.insert(lower_case(whole));
    if (quantisation.empty()) return;

    // unsloth's own mixtures of quantisations; llama.cpp finds them without the prefix too.
    build.names.insert(lower_case(quantisation));
    if (quantisation.starts_with("UD-")) build.names.insert(lower_case(quantisation.substr(3)));
  }

  using Paths = std::vector<const RepoPath*>;

  const DecidingFacts& facts_;
  std::unordered_set<std::string_view> names_;
  bool is_pipeline_{false};

  Paths onnx_;
  Paths openvino_;
  Paths gguf_;
  std::map<std::string, Paths> onnx_data_;    ///< by the model that their names begin with
  std::map<std::string, Paths> unexplained_;  ///< by directory: what could be data of a model
};

}  // namespace

std::string quantisation_of(std::string_view name) {
  constexpr std::string_view kWords[] = {"BF16", "FP16", "FP32", "F16", "F32", "MXFP4"};
  const std::string text = upper(name);
  std::string found;

  // Words are separated by `-` and `.`; a quantisation has underscores inside.
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of("-./", at), text.size());
    std::string_view word = std::string_view(text).substr(at, end - at);

    // `model_q4_k_m` has no other separator.
    for (std::size_t skip = 0; skip < word.size();) {
      const std::string_view rest = word.substr(skip);
      std::string_view digits = rest;
      for (const char prefix : {'I', 'T'})
        if (digits.starts_with(prefix)) digits.remove_prefix(1);
      const bool is_quantised =
          digits.size() > 1 && digits[0] == 'Q' && digits[1] >= '0' && digits[1] <= '9';
      const bool is_word = std::ranges::any_of(kWords, [&](std::string_view known) {
        return rest == known || rest.starts_with(std::string(known) + "_");
      });
      if (is_quantised || is_word) {
        const bool is_dynamic = at >= 3 && std::string_view(text).substr(at - 3, 3) == "UD-";
        found = (is_dynamic ? "UD-" : "") + std::string(rest);
        break;
      }
      const std::size_t underscore = rest.find('_');
      skip = underscore == std::string_view::npos ? word.size() : skip + underscore + 1;
    }
    at = end + 1;
  }
  return found;
}

std::vector<ExportedBuild> find_exported_builds(const std::vector<ListedFile>& all,
                                                const DecidingFacts& facts) {
  return BuildFinder(all, facts).run();
}

}  // namespace model_prep
