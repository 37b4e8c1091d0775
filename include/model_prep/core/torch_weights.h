// SPDX-License-Identifier: Apache-2.0
// Which of a repository's weights a service with PyTorch loads: the builds `fp32` and `fp16`.
//
// - In each directory, a pickle (`pytorch_model.bin`) is left out if the same weights are there as
//   safetensors (`model.safetensors`), and taken if they are not (`2_Dense/pytorch_model.bin`).
// - Of a single file and shards of the same weights the single file is taken, as transformers does;
//   of shards exactly those that the index names.
// - Of `model.safetensors` and `model.fp16.safetensors`, `fp32` takes the first and `fp16` the
//   second.
// - Of a diffusers pipeline, only the directories are taken that `model_index.json` names: files in
//   its root are the same weights again.
// - Left out are the vendor's duplicates: `consolidated.*` beside `model.*`, and the directories
//   `original/` and `metal/` beside other weights.
// - ONNX models are left out as exports, but for those that lie beside weights of other names.
//
// Pure.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "model_prep/core/deciding_files.h"
#include "model_prep/core/weight_names.h"

namespace model_prep {

enum class Precision : std::uint8_t { plain, fp16 };

/// `all` and `facts` must outlive it.
class TorchWeights {
 public:
  TorchWeights(const std::vector<ListedFile>& all, const DecidingFacts& facts, Precision precision);

  bool keeps(const RepoPath& path) const;

  /// An ONNX model, or its data, that is no export of the weights in its directory: none of them is
  /// called as a whole model is, nor as this one. Services with PyTorch load both.
  bool needs_onnx(const RepoPath& path) const;

  /// A kept index: it tells which shards are kept. If it has not been read, their names do.
  bool is_kept_index(const RepoPath& path) const;

  /// Whether any directory has weights in half precision beside or instead of the plain ones.
  bool has_fp16() const { return has_fp16_; }

  /// Whether what config.json says could change what is kept.
  bool depends_on_config() const { return depends_on_config_; }

  bool empty() const { return weights_.empty(); }

  /// Whether there is more than data that is called as weights are.
  bool has_model() const { return has_model_; }

 private:
  /// The weights of one format in one directory.
  struct Format {
    /// Whether each set has a file that holds all of it.
    std::map<std::string, bool> sets;

    /// The shards that the indexes name, and the sets whose index has not been read.
    std::set<RepoPath> indexed;
    std::set<std::string> unread;
  };

  /// The weights in one directory of the repository.
  struct Folder {
    std::map<bool, Format> formats{{false, {}}, {true, {}}};  // true: safetensors
    bool has_model_set{false};

    bool has(const std::string& set) const {
      return formats.at(true).sets.contains(set) || formats.at(false).sets.contains(set);
    }
  };

  void add(const RepoPath& path);
  void tell_ctranslate2_apart(const std::vector<ListedFile>& all);
  void add_index(const RepoPath& path);
  bool is_of_pipeline(std::string_view path) const;
  bool is_second_choice(const Folder& folder, const std::string& set) const;
  bool is_vendor_duplicate(const std::string& set) const;
  bool is_named(const RepoPath& path) const;

  const DecidingFacts& facts_;
  const Precision precision_;

  std::unordered_map<std::string_view, Weights> weights_;  ///< by path

  /// The directories that have weights; a name ends in a slash.
  std::map<std::string, Folder, std::less<>> folders_;

  bool is_pipeline_{false};
  bool has_fp16_{false};
  bool has_model_{false};
  bool depends_on_config_{false};
};

}  // namespace model_prep
