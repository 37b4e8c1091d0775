// SPDX-License-Identifier: Apache-2.0
// The table of names behind docs/variants.md: what a file is, judged by its name, which build needs
// it, and what is taken if a repository does not have a build.
//
// To teach the program another format, another name or another folder, add a row here. The code
// that applies the rows is in core/torch_weights.h (fp32, fp16), core/exported_builds.h (onnx,
// openvino, gguf) and core/builds.h (all of them). What a configuration file says goes before what
// these names suggest (core/deciding_files.h).
//
// Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "model_prep/base/variant.h"

namespace model_prep {

enum class FileRole : std::uint8_t {
  small,     ///< configuration, tokenizer, text: every build needs it
  torch,     ///< weights that PyTorch or CTranslate2 loads, or their index
  onnx,      ///< a model for ONNX Runtime, or its data
  openvino,  ///< one half of a model for OpenVINO
  gguf,      ///< a model for llama.cpp
  unused,    ///< another framework's, or the state of a training: only `all` takes it
  foreign    ///< what macOS puts beside each file, with its name: only `all` takes it
};

/// The first row that matches the path decides.
FileRole role_of(std::string_view path);

/// A directory of this name, at any depth, holds another form of the model. Its small files belong
/// to that form, and what looks like PyTorch's weights in it is not for PyTorch.
bool is_in_folder_of_form(std::string_view path);

/// The same for a directory that holds PyTorch's weights too, laid out in the vendor's own way.
/// They count if the repository has no others.
bool is_in_folder_of_vendor(std::string_view path);

/// Every build needs it, although its name is one of PyTorch's weights.
bool is_needed_by_every_build(std::string_view path);

/// `fp16`, `ema` …: what follows the dot in `model.fp16`, if those are the weights of `model` once
/// more, as another choice.
bool is_second_choice_word(std::string_view word);

/// `vocabulary.txt` …: a directory that has it and `model.bin` is a model of CTranslate2.
bool is_ctranslate2_vocabulary(std::string_view name);

/// Whether a set of weights (core/weight_names.h) is called as models are, not as data is.
bool is_model_set(std::string_view set);

/// The parts of a model that is exported to several ONNX files, which only work together. Of two
/// that begin alike, the longer one comes first.
std::span<const std::string_view> onnx_parts();

/// What separates the name of a model from what tells its forms apart: `flow_fp16`, `flow.int8`.
inline constexpr std::string_view kFormSeparators = "_.-";

/// Whether a name, or a path, without its extension is this one or that of a form of it.
bool is_form_of(std::string_view stem, std::string_view name);

/// Which part a file is, by its name without the extension: `encoder_model` of
/// `encoder_model_quantized`; empty if it is none.
std::string_view onnx_part_of(std::string_view stem);

/// What to take, in this order, if a repository does not have the build. Empty: that is an error.
std::span<const Build> fallbacks_of(Build build);

/// Whether services load this build with PyTorch, and so may run Python code of a repository.
bool runs_python_code(Build build);

}  // namespace model_prep
