// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/weight_names.h"

#include <algorithm>
#include <span>
#include <utility>

#include "model_prep/base/parse_int.h"
#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::string_view kPickles[] = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"};

bool is_one_of(std::span<const std::string_view> texts, std::string_view text) {
  return std::ranges::find(texts, text) != texts.end();
}

/// The position of `-00001-of-00002` in a name: first character and one past the last.
std::optional<std::pair<std::size_t, std::size_t>> shard_number(std::string_view name) {
  constexpr std::string_view kOf = "-of-";
  constexpr std::string_view kDigits = "0123456789";
  const std::size_t of = name.find(kOf);
  if (of == std::string_view::npos) return std::nullopt;

  const std::size_t dash = name.substr(0, of).find_last_not_of(kDigits);
  const std::size_t total = of + kOf.size();
  const std::size_t end = std::min(name.find_first_not_of(kDigits, total), name.size());
  if (dash == std::string_view::npos || name[dash] != '-' || dash + 1 == of || end == total)
    return std::nullopt;
  return std::pair{dash, end};
}

/// `model.fp16` for both `model.fp16-00001-of-00002` and `model-00001-of-00002.fp16`.
std::string set_of(std::string stem) {
  if (stem.starts_with("pytorch_")) stem.erase(0, std::string_view("pytorch_").size());
  return stem;
}

}  // namespace

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

// Whoever loads it does not care about capitals.
bool is_pickle_name(std::string_view path) {
  return is_one_of(kPickles, lower_case(extension_of(path)));
}

bool is_only_pickle_name(std::string_view path) {
  const std::string extension = lower_case(extension_of(path));
  return extension == ".pkl" || extension == ".pickle";
}

bool is_pickle(std::string_view first_bytes) {
  // Protocol 2 to 5 begins with the opcode PROTO and its number.
  const bool is_plain = first_bytes.size() > 1 && first_bytes[0] == '\x80' && first_bytes[1] >= 2 &&
                        first_bytes[1] <= 5;
  return is_plain || first_bytes.starts_with("PK\x03\x04");
}

std::string other_half_of(std::string_view path) {
  return std::string(stem_of(path)) + (extension_of(path) == ".xml" ? ".bin" : ".xml");
}

std::string without_shard_number(std::string_view stem) {
  std::string whole(stem);
  if (const auto number = shard_number(stem))
    whole.erase(number->first, number->second - number->first);
  return whole;
}

std::vector<std::string> all_shards(std::string_view path) {
  constexpr int kMaxShards = 1'000;
  const auto number = shard_number(path);
  if (!number) return {};

  // `-00001-of-00002`
  const std::string_view text = path.substr(number->first, number->second - number->first);
  const std::size_t of = text.find("-of-");
  const std::size_t width = of - 1;
  const auto total = parse_int<int>(text.substr(of + 4));
  std::vector<std::string> names;
  for (int i = 1; total && *total <= kMaxShards && i <= *total; ++i) {
    std::string digits = std::to_string(i);
    if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
    names.push_back(std::string(path.substr(0, number->first)) + "-" + digits +
                    std::string(text.substr(of)) + std::string(path.substr(number->second)));
  }
  return names;
}

std::optional<Weights> parse_weights(std::string_view name) {
  // What macOS puts beside a file.
  if (name.starts_with("._")) return std::nullopt;

  // `model.safetensors.index.json` or, of a variant, `model.safetensors.index.fp16.json`.
  for (const std::string_view extension : {kSafetensors, kPickles[0]}) {
    const std::size_t at = name.find(std::string(extension) + ".index.");
    if (at == std::string_view::npos || !name.ends_with(".json")) continue;

    const std::string_view rest =
        name.substr(at + extension.size() + std::string_view(".index").size());
    const std::string variant(rest.substr(0, rest.size() - std::string_view(".json").size()));
    return Weights{set_of(std::string(name.substr(0, at)) + variant), Part::index,
                   extension == kSafetensors};
  }

  const bool safetensors = extension_of(name) == kSafetensors;
  if (!safetensors && !is_pickle_name(name)) return std::nullopt;

  const std::string_view stem = stem_of(name);
  const bool is_shard = shard_number(stem).has_value();
  return Weights{set_of(without_shard_number(stem)), is_shard ? Part::shard : Part::whole,
                 safetensors};
}

}  // namespace model_prep
