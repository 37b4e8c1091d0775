// SPDX-License-Identifier: Apache-2.0
// The builds of a repository that are told apart by names: exports to ONNX and OpenVINO, and
// quantisations of GGUF.
//
// Files that only work together are one build:
//
// - ONNX: a model with its external data; the parts of a model (`encoder_model.onnx`,
//   `decoder_model.onnx`) in one directory and with the same suffix (`_quantized`, `.int8`); the
//   models of the same name in the directories of a diffusers pipeline.
// - OpenVINO: `.xml` and `.bin`, the parts of a model as for ONNX, and the tokenizers beside it.
// - GGUF: the splits of a file (`-00001-of-00003`), and a projector (`mmproj`), of several the one
//   with 16 bits.
//
// A build is chosen by the stem of any of its models, or by its quantisation.
//
// Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "model_prep/base/variant.h"
#include "model_prep/core/deciding_files.h"

namespace model_prep {

struct ExportedBuild {
  /// With its name: `onnx:model_quantized`.
  Variant variant;

  /// Another name that no other build has: the path of its first model, without the extension.
  std::string path_name{};

  /// The weights alone.
  std::set<RepoPath> files{};

  /// What chooses it, in lower case: the stems of its models, with and without their directory, and
  /// quantisations.
  std::set<std::string> names{};

  /// Of ONNX, the models whose data cannot be told by names, and that have not been read.
  std::set<RepoPath> unread{};

  /// The plain export: `onnx/model.onnx`, `openvino_model.xml`; without a `model.onnx`, the parts
  /// without a suffix.
  bool is_plain{false};

  /// In a directory of the form, such as `onnx/`.
  bool in_folder_of_form{false};
};

/// Sorted by build, and then by their first file.
std::vector<ExportedBuild> find_exported_builds(const std::vector<ListedFile>& all,
                                                const DecidingFacts& facts);

/// `Q4_K_M` of `model-Q4_K_M-00001-of-00002.gguf`; empty if the name has none.
std::string quantisation_of(std::string_view name);

}  // namespace model_prep
