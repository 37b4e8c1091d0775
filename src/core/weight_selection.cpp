// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/weight_selection.h"

#include <unordered_set>

#include <fmt/format.h>

#include "model_prep/base/glob.h"
#include "model_prep/base/text.h"
#include "model_prep/core/json_reader.h"
#include "model_prep/core/weight_checks.h"
#include "model_prep/core/weight_names.h"

namespace model_prep {
namespace {

// Only needed to continue a training.
constexpr std::string_view kTraining[] = {
    "training_args.bin", "optimizer*",      "scheduler.pt",      "scheduler.bin",    "scaler.pt",
    "rng_state*.pth",    "random_states_*", "*_optim_states.pt", "*_model_states.pt"};

constexpr std::string_view kOnnxModels[] = {"onnx/model.onnx", "model.onnx"};
constexpr std::string_view kOpenVinoInt8 = "openvino/openvino_model_qint8_quantized";

/// The weights of one format in one directory.
struct Format {
  /// Whether each set has a file that holds all of it.
  std::map<std::string, bool> sets;

  /// The shards that the indexes name, and the sets whose index has not been read.
  std::set<RepoPath> indexed;
  std::set<std::string> unread;
};

/// The weights in one directory of the repository.
struct FolderWeights {
  std::map<bool, Format> formats{{false, {}}, {true, {}}};  // true: safetensors

  bool has(const std::string& set) const {
    return formats.at(true).sets.contains(set) || formats.at(false).sets.contains(set);
  }

  /// `model.fp16` if there is `model`. But `model_1.0` is a name of its own, not a build of
  /// `model_1`.
  bool is_second_choice(const std::string& set) const {
    const std::size_t dot = set.rfind('.');
    if (dot == std::string::npos || dot + 1 == set.size() ||
        (set[dot + 1] >= '0' && set[dot + 1] <= '9'))
      return false;
    return has(set.substr(0, dot));
  }
};

/// Decides for each path of a repository. `all` must outlive it.
class WeightSelector {
 public:
  WeightSelector(const std::vector<RepoPath>& all, Variant variant, const ShardIndexes& indexes)
      : variant_(variant) {
    for (const RepoPath& path : all) names_.insert(path.text());
    for (const RepoPath& path : all) add_weights(path.text());

    // The parts of a diffusers pipeline are in directories; files in its root are duplicates.
    is_pipeline_ =
        names_.contains("model_index.json") && folders_.size() > (folders_.contains("") ? 1U : 0U);

    for (const std::string_view model : kOnnxModels)
      if (onnx_model_.empty() && names_.contains(model)) onnx_model_ = model;
    find_openvino();

    // Which indexes decide is known only when all weights are.
    for (const RepoPath& path : all) add_index(path, indexes);
  }

  bool has(std::string_view path) const { return names_.contains(path); }

  bool has_variant() const {
    return variant_ == Build::fp32 || (variant_ == Build::onnx && !onnx_model_.empty()) ||
           (variant_ == Build::openvino_int8 && openvino_folder_.has_value());
  }

  bool is_selected(const RepoPath& path) const {
    const std::string_view text = path.text();
    if (name_of(text) == ".gitattributes") return false;
    if (belongs_to_variant(text)) return true;
    if (is_weights(text))
      return (variant_ == Build::fp32 || is_in_later_module(text)) && keeps_weights(path);
    return !is_in_other_framework_folder(text) || is_in_folder_of_variant(text);
  }

  /// Whether this is an index that determines which shards are kept.
  bool decides_shards(const RepoPath& path) const {
    const auto weights = parse_weights(name_of(path.text()));
    return variant_ == Build::fp32 && weights && weights->part == Part::index &&
           keeps_weights(path);
  }

  bool is_other_framework(std::string_view path) const {
    return has_other_framework_name(path) || is_openvino(path);
  }

 private:
  static bool is_xml_or_bin(std::string_view path) {
    return extension_of(path) == ".xml" || extension_of(path) == ".bin";
  }

  bool is_openvino(std::string_view path) const {
    if (!is_xml_or_bin(path)) return false;
    const std::string_view other = extension_of(path) == ".xml" ? ".bin" : ".xml";
    return name_of(path).starts_with("openvino_") ||
           has(std::string(stem_of(path)) + std::string(other));
  }

  void find_openvino() {
    for (const std::string_view name : names_) {
      if (!is_xml_or_bin(name)) continue;
      if (stem_of(name) == kOpenVinoInt8) openvino_folder_ = folder_of(kOpenVinoInt8);

      const bool is_root_model =
          folder_of(name).empty() && matches_pattern("openvino_*model*", name);
      if (is_root_model && !openvino_folder_) openvino_folder_ = "";
    }
  }

  bool is_weights(std::string_view path) const {
    return parse_weights(name_of(path)) || is_other_framework(path);
  }

  /// Weights that PyTorch loads and that a service could need.
  std::optional<Weights> candidate(std::string_view path) const {
    auto weights = parse_weights(name_of(path));
    const bool excluded =
        weights && (is_other_framework(path) || is_in_other_framework_folder(path) ||
                    (!weights->safetensors && any_matches(kTraining, name_of(path))));
    return excluded ? std::nullopt : weights;
  }

  void add_weights(std::string_view path) {
    const auto weights = candidate(path);
    if (!weights) return;

    FolderWeights& folder = folders_[std::string(folder_of(path))];
    bool& has_whole = folder.formats[weights->safetensors].sets[weights->set];
    has_whole = has_whole || weights->part == Part::whole;
  }

  void add_index(const RepoPath& path, const ShardIndexes& indexes) {
    if (!decides_shards(path)) return;

    const Weights weights = *candidate(path.text());
    Format& format = folders_.find(folder_of(path.text()))->second.formats[weights.safetensors];
    if (const auto found = indexes.find(path); found != indexes.end())
      format.indexed.insert(found->second.begin(), found->second.end());
    else
      format.unread.insert(weights.set);
  }

  bool keeps_weights(const RepoPath& path) const {
    const auto weights = candidate(path.text());
    if (!weights || (folder_of(path.text()).empty() && is_pipeline_)) return false;

    const FolderWeights& folder = folders_.find(folder_of(path.text()))->second;
    if (folder.is_second_choice(weights->set) || is_vendor_duplicate(weights->set)) return false;
    if (!weights->safetensors && folder.formats.at(true).sets.contains(weights->set)) return false;

    const Format& format = folder.formats.at(weights->safetensors);
    if (weights->part == Part::whole) return true;
    if (format.sets.at(weights->set)) return false;
    if (weights->part == Part::index || format.indexed.contains(path)) return true;

    // If the index was not read, the name of the shard has to do. If there is no index at all,
    // nothing tells which shards belong to the model, so all of them are kept.
    return format.unread.contains(weights->set) ||
           (format.indexed.empty() && format.unread.empty());
  }

  /// `consolidated.00.pth` or `original/consolidated.safetensors`: the weights of `model.*` again,
  /// in the format of the vendor's own code.
  bool is_vendor_duplicate(std::string_view set) const {
    const auto root = folders_.find("");
    return set.starts_with("consolidated") && root != folders_.end() && root->second.has("model");
  }

  /// `2_Dense/model.safetensors`: of the modules of sentence-transformers only the first, which is
  /// the model itself, has other builds.
  bool is_in_later_module(std::string_view path) const {
    const std::string_view folder = folder_of(path);
    const std::size_t digits = folder.find_first_not_of("0123456789");
    return has("modules.json") && digits != std::string_view::npos && digits > 0 &&
           folder[digits] == '_' && folder.front() != '0';
  }

  /// A file of the model in the wanted build.
  bool belongs_to_variant(std::string_view path) const {
    if (variant_ == Build::onnx && !onnx_model_.empty())
      return path == onnx_model_ || path.starts_with(onnx_model_ + "_data") ||
             path.starts_with(onnx_model_ + ".data");

    if (variant_ != Build::openvino_int8 || folder_of(path) != openvino_folder_ ||
        !is_xml_or_bin(path))
      return false;
    const std::string_view name = name_of(path);
    if (openvino_folder_->empty()) return name.starts_with("openvino_");
    return stem_of(path) == kOpenVinoInt8 || name.starts_with("openvino_tokenizer.") ||
           name.starts_with("openvino_detokenizer.");
  }

  /// `onnx/config.json`: a small file that goes with the model in that directory.
  bool is_in_folder_of_variant(std::string_view path) const {
    if (variant_ == Build::onnx) return folder_of(path) == folder_of(onnx_model_);
    return variant_ == Build::openvino_int8 && folder_of(path) == openvino_folder_;
  }

  Variant variant_;
  std::unordered_set<std::string_view> names_;

  /// The directories that have weights; a name ends in a slash.
  std::map<std::string, FolderWeights, std::less<>> folders_;
  bool is_pipeline_{false};
  std::string onnx_model_;
  std::optional<std::string_view> openvino_folder_;
};

}  // namespace

Result<std::set<RepoPath>> parse_shard_index(std::string_view text, const RepoPath& path,
                                             std::string_view object) {
  const auto refuse = [&](std::string_view what) {
    return Error{
        ErrorKind::protocol, fmt::format("{} {}: {}", object, path.text(), what),
        "the index does not have transformers' format: select files with --include, or use --variant all"};
  };

  // Shards are named relative to the index.
  constexpr std::string_view kMap[] = {"weight_map"};
  const std::string folder(folder_of(path.text()));
  std::set<RepoPath> shards;
  const auto document = read_json(text, {.collections = kMap, .of_texts = true},
                                  [&](const JsonEntry& entry) -> Status {
                                    auto shard = RepoPath::parse(folder + entry.text);
                                    if (!shard) return shard.error();
                                    shards.insert(std::move(*shard));
                                    return ok();
                                  });
  if (!document) return refuse(document.error().message);
  if (shards.empty()) return refuse("it lists no shards");
  return shards;
}

Variant available_variant(const std::vector<RepoPath>& all, Variant wanted) {
  return WeightSelector(all, wanted, {}).has_variant() ? wanted : Build::fp32;
}

Result<SelectedFiles> select_weights(const std::vector<RepoPath>& all, Variant variant,
                                     const ShardIndexes& indexes, std::string_view object) {
  const WeightSelector selector(all, variant, indexes);
  SelectedFiles selected;
  bool has_weights = variant != Build::fp32;
  const RepoPath* other_framework = nullptr;
  for (const RepoPath& path : all) {
    if (selector.is_other_framework(path.text())) other_framework = &path;
    if (!selector.is_selected(path)) continue;

    has_weights = has_weights || parse_weights(name_of(path.text()));
    selected.files.insert(path);
    if (!selector.decides_shards(path)) continue;
    selected.indexes.insert(path);

    const auto index = indexes.find(path);
    if (index == indexes.end()) continue;
    for (const RepoPath& shard : index->second)
      if (!selector.has(shard.text()))
        return incomplete_error(object,
                                path.text() + " lists " + shard.text() + ", which does not exist");
    selected.files.insert(index->second.begin(), index->second.end());
  }

  // A repository without any weights is fine: it may hold a tokenizer only.
  if (!has_weights && other_framework != nullptr) {
    std::string builds;
    for (const Variant other : {Build::onnx, Build::openvino_int8})
      if (available_variant(all, other) == other)
        builds += fmt::format("{} or ", to_string(other.build));
    return Error{ErrorKind::not_found,
                 fmt::format("{}: there are no weights for PyTorch, only files such as {}", object,
                             other_framework->text()),
                 fmt::format("select files with --include, or use --variant {}all", builds)};
  }
  return selected;
}

}  // namespace model_prep
