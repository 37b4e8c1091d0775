// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/torch_weights.h"

#include <algorithm>
#include <set>
#include <unordered_set>

#include "model_prep/core/build_table.h"

namespace model_prep {
namespace {

constexpr std::string_view kFp16 = ".fp16";

/// The directories with a vocabulary of CTranslate2.
std::unordered_set<std::string_view> ctranslate2_folders(const std::vector<ListedFile>& all) {
  std::unordered_set<std::string_view> folders;
  for (const ListedFile& file : all)
    if (is_ctranslate2_vocabulary(name_of(file.path.text())))
      folders.insert(folder_of(file.path.text()));
  return folders;
}

std::string_view without_extension(std::string_view path) {
  return path.substr(0, path.size() - extension_of(path).size());
}

/// The paths of what was exported from PyTorch, without their extensions: `best.pt` beside
/// `best.onnx` is a model, and `speakers.pt` may be data.
std::set<std::string_view> export_names(const std::vector<ListedFile>& all) {
  std::set<std::string_view> names;
  for (const ListedFile& file : all) {
    const FileRole role = role_of(file.path.text());
    if (role == FileRole::onnx || role == FileRole::openvino || role == FileRole::gguf)
      names.insert(without_extension(file.path.text()));
  }
  return names;
}

/// `flow.decoder.onnx` is exported from `flow.pt` as well.
bool is_exported(const std::set<std::string_view>& names, std::string_view path) {
  const std::string_view stem = without_extension(path);
  const auto name = names.lower_bound(stem);
  return name != names.end() && is_form_of(*name, stem);
}

}  // namespace

TorchWeights::TorchWeights(const std::vector<ListedFile>& all, const DecidingFacts& facts,
                           Precision precision)
    : facts_(facts), precision_(precision) {
  std::unordered_set<std::string_view> names;
  for (const ListedFile& file : all) names.insert(file.path.text());

  std::vector<const RepoPath*> of_vendor;
  for (const ListedFile& file : all) {
    const std::string_view path = file.path.text();
    if (role_of(path) != FileRole::torch || is_in_folder_of_form(path)) continue;

    // The other half of a model for OpenVINO.
    if (extension_of(path) == ".bin" && names.contains(other_half_of(path))) continue;

    if (is_in_folder_of_vendor(path))
      of_vendor.push_back(&file.path);
    else
      add(file.path);
  }
  if (weights_.empty())
    for (const RepoPath* path : of_vendor) add(*path);

  // The parts of a diffusers pipeline are in directories; files in its root are duplicates.
  is_pipeline_ =
      names.contains("model_index.json") && folders_.size() > (folders_.contains("") ? 1U : 0U);

  tell_ctranslate2_apart(all);
  const auto exported = export_names(all);
  for (const auto& [path, weights] : weights_) {
    Folder& folder = folders_[std::string(folder_of(path))];
    folder.has_model_set = folder.has_model_set || is_model_set(weights.set);
    bool& has_whole = folder.formats[weights.safetensors].sets[weights.set];
    has_whole = has_whole || weights.part == Part::whole;
    has_model_ = has_model_ || weights.safetensors || is_model_set(weights.set) ||
                 is_exported(exported, path);
  }

  // Which indexes decide is known only when all weights are.
  for (const ListedFile& file : all) add_index(file.path);

  for (const ListedFile& file : all) {
    const auto found = weights_.find(file.path.text());
    if (found == weights_.end()) continue;

    const Weights& weights = found->second;
    const bool is_kept = keeps(file.path);
    has_fp16_ = has_fp16_ || (is_kept && weights.set.ends_with(kFp16));
    if (folder_of(file.path.text()).empty() && weights.safetensors && !is_kept &&
        !is_vendor_duplicate(weights.set))
      depends_on_config_ = true;
  }
}

void TorchWeights::add(const RepoPath& path) {
  weights_.emplace(path.text(), *parse_weights(name_of(path.text())));
  folders_[std::string(folder_of(path.text()))];
}

/// CTranslate2 calls its model as older versions of transformers called theirs.
void TorchWeights::tell_ctranslate2_apart(const std::vector<ListedFile>& all) {
  const auto of_ctranslate2 = ctranslate2_folders(all);
  for (auto& [path, weights] : weights_) {
    if (name_of(path) != "model.bin") continue;

    const bool is_in_root = folder_of(path).empty();
    if (of_ctranslate2.contains(folder_of(path)) || (is_in_root && facts_.is_ctranslate2))
      weights.set = "CTranslate2";
    else
      depends_on_config_ = depends_on_config_ || is_in_root;
  }
}

void TorchWeights::add_index(const RepoPath& path) {
  if (!is_kept_index(path)) return;

  const Weights& weights = weights_.at(path.text());
  Format& format = folders_.find(folder_of(path.text()))->second.formats[weights.safetensors];
  if (const auto found = facts_.shards.find(path); found != facts_.shards.end())
    format.indexed.insert(found->second.begin(), found->second.end());
  else
    format.unread.insert(weights.set);
}

bool TorchWeights::is_kept_index(const RepoPath& path) const {
  const auto found = weights_.find(path.text());
  return found != weights_.end() && found->second.part == Part::index && keeps(path);
}

bool TorchWeights::keeps(const RepoPath& path) const {
  const auto found = weights_.find(path.text());
  if (found == weights_.end()) return false;
  if (is_named(path)) return true;
  if (!is_of_pipeline(path.text())) return false;

  const Weights& weights = found->second;
  const Folder& folder = folders_.find(folder_of(path.text()))->second;
  if (is_second_choice(folder, weights.set) || is_vendor_duplicate(weights.set)) return false;
  if (!weights.safetensors && folder.formats.at(true).sets.contains(weights.set)) return false;

  const Format& format = folder.formats.at(weights.safetensors);
  if (weights.part == Part::whole) return true;
  if (format.sets.at(weights.set)) return false;
  if (weights.part == Part::index || format.indexed.contains(path)) return true;

  // If the index was not read, the name of the shard has to do. If there is no index at all,
  // nothing tells which shards belong to the model, so all of them are kept.
  return format.unread.contains(weights.set) || (format.indexed.empty() && format.unread.empty());
}

bool TorchWeights::needs_onnx(const RepoPath& path) const {
  const std::string_view text = path.text();
  if (text.find(".onnx") == text.npos || role_of(text) != FileRole::onnx) return false;
  if (is_in_folder_of_form(text) || !is_of_pipeline(text)) return false;

  const auto folder = folders_.find(folder_of(text));
  if (folder == folders_.end() || folder->second.has_model_set) return false;

  const std::string_view stem = stem_of(name_of(text));
  if (is_model_set(stem) || !onnx_part_of(stem).empty()) return false;

  // `flow.onnx`, `flow.decoder.onnx` and `flow_fp16.onnx` are exports of `flow.pt`.
  for (std::size_t end = 0; end != stem.npos;) {
    end = stem.find_first_of(kFormSeparators, end + 1);
    if (folder->second.has(std::string(stem.substr(0, end)))) return false;
  }
  return true;
}

bool TorchWeights::is_of_pipeline(std::string_view path) const {
  if (!is_pipeline_) return true;

  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos) return false;
  return !facts_.pipeline_folders ||
         facts_.pipeline_folders->contains(std::string(path.substr(0, slash + 1)));
}

bool TorchWeights::is_second_choice(const Folder& folder, const std::string& set) const {
  const bool is_fp16 = precision_ == Precision::fp16 && set.ends_with(kFp16);
  if (precision_ == Precision::fp16 && !is_fp16 && folder.has(set + std::string(kFp16)))
    return true;

  // `model_1.0` is a name of its own, not another choice of `model_1`.
  const std::string plain = is_fp16 ? set.substr(0, set.size() - kFp16.size()) : set;
  const std::size_t dot = plain.rfind('.');
  return dot != std::string::npos && is_second_choice_word(plain.substr(dot + 1)) &&
         folder.has(plain.substr(0, dot));
}

/// `consolidated.00.pth`, `consolidated.safetensors`: the weights of `model.*` again, in the format
/// of the vendor's own code.
bool TorchWeights::is_vendor_duplicate(const std::string& set) const {
  const auto root = folders_.find("");
  return set.starts_with("consolidated") && root != folders_.end() && root->second.has("model");
}

/// By config.json, or a shard of an index that config.json names.
bool TorchWeights::is_named(const RepoPath& path) const {
  return std::ranges::any_of(facts_.named_weights, [&](const RepoPath& named) {
    const auto weights = weights_.find(named.text());
    const bool is_index = weights != weights_.end() && weights->second.part == Part::index;
    return named == path || (is_index && folder_of(named.text()) == folder_of(path.text()) &&
                             weights_.at(path.text()).set == weights->second.set);
  });
}

}  // namespace model_prep
