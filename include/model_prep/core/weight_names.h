// SPDX-License-Identifier: Apache-2.0
// What the name of a file says about the weights in it: which framework, which format, and which
// part of the model. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace model_prep {

inline constexpr std::string_view kSafetensors = ".safetensors";

/// `a/b/` of `a/b/c.bin`; empty for a file in the root of the repository.
std::string_view folder_of(std::string_view path);

/// `c.bin`
std::string_view name_of(std::string_view path);

/// `.bin`
std::string_view extension_of(std::string_view path);

/// `a/b/c`
std::string_view stem_of(std::string_view path);

/// Python can load it only by running what it says (`.bin`, `.pt`, `.ckpt` …).
bool is_pickle_name(std::string_view path);

/// Of those, a name that nothing but a pickle has (`.pkl`).
bool is_only_pickle_name(std::string_view path);

/// Whether a file begins like a pickle, or like the zip archive that PyTorch puts pickles in. The
/// oldest pickles, of protocols 0 and 1, cannot be told from text.
bool is_pickle(std::string_view first_bytes);

/// Of a model for OpenVINO, `a/b.bin` for `a/b.xml` and the reverse.
std::string other_half_of(std::string_view path);

/// `model-Q8_0` of `model-Q8_0-00001-of-00002`.
std::string without_shard_number(std::string_view stem);

/// The names of all files of a set, if this one is numbered `-00001-of-00002` and they are at most
/// 1,000; else nothing.
std::vector<std::string> all_shards(std::string_view path);

enum class Part : std::uint8_t { whole, shard, index };

/// A file of weights that PyTorch loads. Files with the same `set` hold the same weights or parts
/// of them: `model.safetensors`, `model-00001-of-00002.safetensors`, `pytorch_model.bin`,
/// `model.safetensors.index.json`.
struct Weights {
  std::string set;
  Part part{Part::whole};
  bool safetensors{false};
};

/// `name` without directories. Nothing if it is no such file.
std::optional<Weights> parse_weights(std::string_view name);

}  // namespace model_prep
