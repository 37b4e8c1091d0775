// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/weight_selection.h"

#include <algorithm>
#include <iterator>
#include <unordered_set>

#include <fmt/format.h>

#include "model_prep/base/glob.h"
#include "model_prep/base/text.h"
#include "model_prep/core/json_reader.h"

namespace model_prep {
namespace {

constexpr std::string_view kSafetensors = ".safetensors";
constexpr std::string_view kPickles[] = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"};
constexpr std::string_view kOtherFrameworks[] = {".h5",   ".keras",  ".pb",   ".msgpack", ".ot",
                                                 ".onnx", ".tflite", ".gguf", ".mlmodel", ".pte"};
constexpr std::string_view kOtherParts[] = {".data-0000", ".onnx_data", ".onnx.data", ".mlpackage/",
                                            ".mlmodelc/"};
constexpr std::string_view kOtherFolders[] = {"onnx/", "openvino/", "coreml/"};
// What a trainer needs to go on, and nobody else.
constexpr std::string_view kTraining[] = {
    "training_args.bin", "optimizer*",      "scheduler.pt",      "scheduler.bin",    "scaler.pt",
    "rng_state*.pth",    "random_states_*", "*_optim_states.pt", "*_model_states.pt"};
constexpr std::string_view kOnnxModels[] = {"onnx/model.onnx", "model.onnx"};
constexpr std::string_view kOpenVinoInt8 = "openvino/openvino_model_qint8_quantized";

std::string_view folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash + 1);
}
std::string_view name_of(std::string_view path) { return path.substr(folder_of(path).size()); }
std::string_view extension_of(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos || dot < folder_of(path).size() ? std::string_view()
                                                                       : path.substr(dot);
}
std::string_view stem_of(std::string_view path) {
  return path.substr(0, path.size() - extension_of(path).size());
}

template <class Texts>
bool is_one_of(const Texts& texts, std::string_view text) {
  return std::find(std::begin(texts), std::end(texts), text) != std::end(texts);
}
bool is_pickle_name(std::string_view path) { return is_one_of(kPickles, extension_of(path)); }

/// Of another framework, as far as its own name tells.
bool has_other_name(std::string_view path) {
  return is_one_of(kOtherFrameworks, extension_of(path)) ||
         (name_of(path).starts_with("ggml-") && extension_of(path) == ".bin") ||
         std::any_of(std::begin(kOtherParts), std::end(kOtherParts), [&](std::string_view part) {
           return path.find(part) != std::string_view::npos;
         });
}

bool is_in_other_folder(std::string_view path) {
  return std::any_of(std::begin(kOtherFolders), std::end(kOtherFolders),
                     [&](std::string_view folder) {
                       std::size_t at = path.find(folder);
                       while (at != std::string_view::npos && at > 0 && path[at - 1] != '/')
                         at = path.find(folder, at + 1);
                       return at != std::string_view::npos;
                     });
}

/// `-00001-of-00002` in a name: where it begins and ends.
std::optional<std::pair<std::size_t, std::size_t>> shard_number(std::string_view name) {
  const auto digit = [&](std::size_t at) {
    return at < name.size() && name[at] >= '0' && name[at] <= '9';
  };
  const std::size_t of = name.find("-of-");
  if (of == std::string_view::npos || of == 0 || !digit(of - 1) || !digit(of + 4))
    return std::nullopt;
  std::size_t begin = of;
  while (begin > 0 && digit(begin - 1)) --begin;
  std::size_t end = of + 4;
  while (digit(end)) ++end;
  if (begin == 0 || name[begin - 1] != '-') return std::nullopt;
  return std::pair{begin - 1, end};
}

enum class Part : std::uint8_t { whole, shard, index };

/// A file of weights that PyTorch loads. Files of one `set` are the same weights, or parts of them:
/// `model.safetensors`, `model-00001-of-00002.safetensors`, `pytorch_model.bin`,
/// `model.safetensors.index.json`.
struct Weights {
  std::string set;
  Part part{Part::whole};
  bool safetensors{false};
};

/// `model.fp16` for both `model.fp16-00001-of-00002` and `model-00001-of-00002.fp16`.
std::string set_of(std::string stem) {
  if (stem.starts_with("pytorch_")) stem.erase(0, std::string_view("pytorch_").size());
  return stem;
}

std::optional<Weights> parse_weights(std::string_view name) {
  for (const std::string_view extension : {kSafetensors, kPickles[0]}) {
    const std::size_t at = name.find(std::string(extension) + ".index.");
    if (at == std::string_view::npos || !name.ends_with(".json")) continue;
    const std::string_view behind =
        name.substr(at + extension.size() + std::string_view(".index").size());
    const std::string variant(behind.substr(0, behind.size() - std::string_view(".json").size()));
    return Weights{set_of(std::string(name.substr(0, at)) + variant), Part::index,
                   extension == kSafetensors};
  }
  const bool safetensors = extension_of(name) == kSafetensors;
  if (!safetensors && !is_pickle_name(name)) return std::nullopt;
  std::string stem(stem_of(name));
  const auto number = shard_number(stem);
  if (number) stem.erase(number->first, number->second - number->first);
  return Weights{set_of(std::move(stem)), number ? Part::shard : Part::whole, safetensors};
}

Error incomplete(std::string_view object, std::string_view what) {
  return {
      ErrorKind::not_found, fmt::format("{}: {}", object, what),
      "the repository is not complete at this revision: name another one, or choose files with --include"};
}

/// The weights of one format in one folder.
struct Format {
  struct Forms {
    bool whole{false};
    bool index{false};
    bool shards{false};
  };
  std::map<std::string, Forms> sets;
  std::set<RepoPath> named;      // by the indexes that were read
  std::set<std::string> unread;  // sets whose index was not
};

struct Directory {
  Format safetensors;
  Format pickles;

  Format& format(const Weights& weights) { return weights.safetensors ? safetensors : pickles; }
  const Format& format(const Weights& weights) const {
    return weights.safetensors ? safetensors : pickles;
  }
  bool has(const std::string& set) const {
    return safetensors.sets.contains(set) || pickles.sets.contains(set);
  }
  /// `model.fp16` beside `model`; but `model_1.0` is no variant of `model_1`.
  bool is_second_choice(const std::string& set) const {
    const std::size_t dot = set.rfind('.');
    if (dot == std::string::npos || dot + 1 == set.size() ||
        (set[dot + 1] >= '0' && set[dot + 1] <= '9'))
      return false;
    return has(set.substr(0, dot));
  }
};

/// `all` must outlive it.
class WeightSelector {
 public:
  WeightSelector(const std::vector<RepoPath>& all, Variant variant, const ShardIndexes& indexes)
      : variant_(variant) {
    for (const RepoPath& path : all) names_.insert(path.text());
    for (const RepoPath& path : all) note(path.text());
    pipeline_ =
        names_.contains("model_index.json") && folders_.size() > (folders_.contains("") ? 1U : 0U);
    for (const std::string_view model : kOnnxModels)
      if (onnx_.empty() && names_.contains(model)) onnx_ = model;
    const bool int8 = std::any_of(names_.begin(), names_.end(), [](std::string_view name) {
      return is_half(name) && stem_of(name) == kOpenVinoInt8;
    });
    const bool itself = std::any_of(names_.begin(), names_.end(), [](std::string_view name) {
      return is_half(name) && folder_of(name).empty() && matches_pattern("openvino_*model*", name);
    });
    if (int8 || itself) openvino_ = int8 ? folder_of(kOpenVinoInt8) : "";
    for (const RepoPath& path : all) note_index(path, indexes);
  }

  bool has(std::string_view path) const { return names_.contains(path); }

  bool has_variant() const {
    return variant_ == Variant::fp32 || (variant_ == Variant::onnx && !onnx_.empty()) ||
           (variant_ == Variant::openvino_int8 && openvino_.has_value());
  }

  bool is_selected(const RepoPath& path) const {
    const std::string_view text = path.text();
    if (name_of(text) == ".gitattributes") return false;
    if (is_of_variant(text)) return true;
    if (is_weights(text))
      return (variant_ == Variant::fp32 || is_of_later_module(text)) && keeps_weights(path);
    return !is_in_other_folder(text) || is_beside_variant(text);
  }

  /// An index of which it depends which shards are kept.
  bool decides(const RepoPath& path) const {
    const auto weights = parse_weights(name_of(path.text()));
    return variant_ == Variant::fp32 && weights && weights->part == Part::index &&
           keeps_weights(path);
  }

  bool is_other_framework(std::string_view path) const {
    return has_other_name(path) || is_openvino(path);
  }

 private:
  static bool is_half(std::string_view path) {
    return extension_of(path) == ".xml" || extension_of(path) == ".bin";
  }
  bool is_openvino(std::string_view path) const {
    if (!is_half(path)) return false;
    const std::string_view other = extension_of(path) == ".xml" ? ".bin" : ".xml";
    return name_of(path).starts_with("openvino_") ||
           has(std::string(stem_of(path)) + std::string(other));
  }
  bool is_weights(std::string_view path) const {
    return parse_weights(name_of(path)) || is_other_framework(path);
  }

  /// Weights that PyTorch could load, and some service might.
  std::optional<Weights> candidate(std::string_view path) const {
    auto weights = parse_weights(name_of(path));
    const bool other =
        weights && (is_other_framework(path) || is_in_other_folder(path) ||
                    (!weights->safetensors && any_matches(kTraining, name_of(path))));
    return other ? std::nullopt : weights;
  }

  void note(std::string_view path) {
    const auto weights = candidate(path);
    if (!weights) return;
    Format::Forms& forms =
        folders_[std::string(folder_of(path))].format(*weights).sets[weights->set];
    forms.whole = forms.whole || weights->part == Part::whole;
    forms.index = forms.index || weights->part == Part::index;
    forms.shards = forms.shards || weights->part == Part::shard;
  }

  void note_index(const RepoPath& path, const ShardIndexes& indexes) {
    if (!decides(path)) return;
    const Weights weights = *candidate(path.text());
    Format& format = folders_.find(folder_of(path.text()))->second.format(weights);
    if (const auto found = indexes.find(path); found != indexes.end())
      format.named.insert(found->second.begin(), found->second.end());
    else
      format.unread.insert(weights.set);
  }

  bool keeps_weights(const RepoPath& path) const {
    const auto weights = candidate(path.text());
    if (!weights || (folder_of(path.text()).empty() && pipeline_)) return false;
    const Directory& folder = folders_.find(folder_of(path.text()))->second;
    if (folder.is_second_choice(weights->set) || is_vendor_duplicate(weights->set)) return false;
    if (!weights->safetensors && folder.safetensors.sets.contains(weights->set)) return false;
    const Format& format = folder.format(*weights);
    if (weights->part == Part::whole) return true;
    if (format.sets.at(weights->set).whole) return false;
    if (weights->part == Part::index || format.named.contains(path)) return true;
    // Where no index was read, the names have to do; without any index nobody can tell.
    return format.unread.contains(weights->set) || (format.named.empty() && format.unread.empty());
  }

  /// `consolidated.00.pth`, `original/consolidated.safetensors`.
  bool is_vendor_duplicate(std::string_view set) const {
    const auto root = folders_.find("");
    return set.starts_with("consolidated") && root != folders_.end() && root->second.has("model");
  }

  /// `2_Dense/model.safetensors`: of sentence-transformers' modules only the first, the model
  /// itself, has other builds.
  bool is_of_later_module(std::string_view path) const {
    const std::string_view folder = folder_of(path);
    const std::size_t digits = folder.find_first_not_of("0123456789");
    return has("modules.json") && digits != std::string_view::npos && digits > 0 &&
           folder[digits] == '_' && folder.front() != '0';
  }

  /// The variant's own, which no other has.
  bool is_of_variant(std::string_view path) const {
    if (variant_ == Variant::onnx && !onnx_.empty())
      return path == onnx_ || path.starts_with(onnx_ + "_data") ||
             path.starts_with(onnx_ + ".data");
    if (variant_ != Variant::openvino_int8 || folder_of(path) != openvino_ || !is_half(path))
      return false;
    const std::string_view name = name_of(path);
    if (openvino_->empty()) return name.starts_with("openvino_");
    return stem_of(path) == kOpenVinoInt8 || name.starts_with("openvino_tokenizer.") ||
           name.starts_with("openvino_detokenizer.");
  }
  /// `onnx/config.json`
  bool is_beside_variant(std::string_view path) const {
    if (variant_ == Variant::onnx) return folder_of(path) == folder_of(onnx_);
    return variant_ == Variant::openvino_int8 && folder_of(path) == openvino_;
  }

  Variant variant_;
  std::unordered_set<std::string_view> names_;
  std::map<std::string, Directory, std::less<>>
      folders_;  // those with weights; a path ends in a slash
  bool pipeline_{false};
  std::string onnx_;                          // its model
  std::optional<std::string_view> openvino_;  // the folder of its model
};

}  // namespace

Result<std::set<RepoPath>> parse_shard_index(std::string_view text, const RepoPath& path,
                                             std::string_view object) {
  constexpr std::string_view kMap[] = {"weight_map"};
  std::set<RepoPath> shards;
  const auto fault = [&](std::string_view what) {
    return Error{
        ErrorKind::protocol, fmt::format("{} {}: {}", object, path.text(), what),
        "the index is not as transformers writes it: choose files with --include, or take --variant all"};
  };
  const std::string folder(folder_of(path.text()));
  const auto document = read_json(text, {.collections = kMap, .of_texts = true},
                                  [&](const JsonEntry& entry) -> Status {
                                    auto shard = RepoPath::parse(folder + entry.text);
                                    if (!shard) return shard.error();
                                    shards.insert(std::move(*shard));
                                    return ok();
                                  });
  if (!document) return fault(document.error().message);
  if (shards.empty()) return fault("it names no shard");
  return shards;
}

Variant available_variant(const std::vector<RepoPath>& all, Variant wanted) {
  return WeightSelector(all, wanted, {}).has_variant() ? wanted : Variant::fp32;
}

Result<SelectedFiles> select_weights(const std::vector<RepoPath>& all, Variant variant,
                                     const ShardIndexes& indexes, std::string_view object) {
  const WeightSelector rule(all, variant, indexes);
  SelectedFiles ruled;
  bool has_weights = variant != Variant::fp32;
  const RepoPath* other = nullptr;
  for (const RepoPath& path : all) {
    if (rule.is_other_framework(path.text())) other = &path;
    if (!rule.is_selected(path)) continue;
    has_weights = has_weights || parse_weights(name_of(path.text()));
    ruled.files.insert(path);
    if (!rule.decides(path)) continue;
    ruled.indexes.insert(path);
    const auto index = indexes.find(path);
    if (index == indexes.end()) continue;
    for (const RepoPath& shard : index->second)
      if (!rule.has(shard.text()))
        return incomplete(
            object, fmt::format("{} names {}, which is not there", path.text(), shard.text()));
    ruled.files.insert(index->second.begin(), index->second.end());
  }
  if (!has_weights && other != nullptr)
    return Error{ErrorKind::not_found,
                 fmt::format("{}: there are no weights that PyTorch loads, only {} and the like",
                             object, other->text()),
                 "choose files with --include, or take --variant onnx, openvino-int8 or all"};
  return ruled;
}

Status check_openvino(const std::vector<RemoteFile>& files, const ModelSpec& spec) {
  if (spec.variant != Variant::openvino_int8 || spec.filter.from_command_line) return ok();
  std::set<std::string_view> names;
  for (const RemoteFile& file : files) names.insert(file.path.text());
  for (const std::string_view name : names) {
    const std::string_view extension = extension_of(name);
    const bool half =
        extension == ".xml" || (extension == ".bin" && name_of(name).starts_with("openvino_"));
    const std::string other = std::string(stem_of(name)) + (extension == ".xml" ? ".bin" : ".xml");
    if (half && !names.contains(other))
      return incomplete(
          spec.repo.text(),
          fmt::format("{} is chosen without {}, and an OpenVINO model is both", name, other));
  }
  return ok();
}

std::optional<std::string> pickle_warning(const ResolvedSnapshot& snapshot) {
  if (snapshot.spec.repo.kind() != RepoKind::model) return std::nullopt;
  const std::vector<RemoteFile>& all = snapshot.listing.empty() ? snapshot.files : snapshot.listing;
  std::set<std::string, std::less<>> names;
  std::set<std::string_view> folders;  // that have safetensors
  for (const RemoteFile& file : all) {
    names.insert(file.path.text());
    if (extension_of(file.path.text()) == kSafetensors) folders.insert(folder_of(file.path.text()));
  }
  std::vector<std::string_view> pickles;
  bool replaceable = false;
  for (const RemoteFile& file : snapshot.files) {
    const std::string_view path = file.path.text();
    const bool openvino = name_of(path).starts_with("openvino_") ||
                          names.contains(std::string(stem_of(path)) + ".xml");
    if (!is_pickle_name(path) || openvino || has_other_name(path)) continue;
    pickles.push_back(path);
    replaceable = replaceable || folders.contains(folder_of(path));
  }
  if (pickles.empty() || (replaceable && snapshot.spec.whole_commit)) return std::nullopt;
  const bool one = pickles.size() == 1;
  const std::string text = fmt::format("{}: {}{} {}, which can run code when loaded",
                                       snapshot.spec.key, truncated(pickles.front()),
                                       one ? "" : fmt::format(" and {} more", pickles.size() - 1),
                                       one ? "is a pickle" : "are pickles");
  if (replaceable) return text + "; there are safetensors in the same folder";
  if (!folders.empty() || snapshot.listing.empty()) return text;
  return text +
         ", and this revision has no safetensors; its page on the Hub may have a conversion, as refs/pr/N";
}

}  // namespace model_prep
