// SPDX-License-Identifier: Apache-2.0
// Whether a file is a pickle, in any form that PyTorch or Python loads, and what it imports beyond
// what PyTorch allows.
//
//   a file begins with   is
//   PK\3\4               PyTorch's zip archive, if it has entries *.pkl (data.pkl)
//   a pickle             a bare pickle, or PyTorch's older form: five pickles, then the tensors
//   ustar at byte 257    PyTorch's oldest form, a tar archive of pickles
//
// What is allowed is what `torch.load(weights_only=True)` of torch 2.15 imports: the list in
// `src/core/weights_only_imports.txt`, which `src/core/weights_only_imports.py` makes. Pure.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "model_prep/core/range_reader.h"

namespace model_prep {

enum class PickleForm : std::uint8_t {
  none,
  pickle,

  /// It is or may be a pickle, of which not everything could be looked at.
  opaque,
};

struct PickleFindings {
  PickleForm form{PickleForm::none};

  /// Of an opaque one: what hides the rest.
  std::string why{};

  /// What it imports and PyTorch does not allow.
  std::set<std::string> imports{};
};

enum class PickleDepth : std::uint8_t {
  form,     ///< the first bytes, or the list of the archive's entries
  imports,  ///< all opcodes
};

PickleFindings look_for_pickle(const FileRange& file, PickleDepth depth);

/// Whether `torch.load(weights_only=True)` imports it.
bool is_weights_only_import(std::string_view name);

}  // namespace model_prep
