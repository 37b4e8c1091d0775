// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/weight_names.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace model_prep {
namespace {

constexpr std::string_view kPickles[] = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"};
constexpr std::string_view kOtherFrameworks[] = {".h5",   ".keras",  ".pb",   ".msgpack", ".ot",
                                                 ".onnx", ".tflite", ".gguf", ".mlmodel", ".pte"};
constexpr std::string_view kOtherParts[] = {".data-0000", ".onnx_data", ".onnx.data", ".mlpackage/",
                                            ".mlmodelc/"};
constexpr std::string_view kOtherFolders[] = {"/onnx/", "/openvino/", "/coreml/"};

template <class Texts>
bool is_one_of(const Texts& texts, std::string_view text) {
  return std::ranges::find(texts, text) != std::end(texts);
}

/// The position of `-00001-of-00002` in a name: first character and one past the last.
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

bool is_pickle_name(std::string_view path) { return is_one_of(kPickles, extension_of(path)); }

bool has_other_name(std::string_view path) {
  return is_one_of(kOtherFrameworks, extension_of(path)) ||
         (name_of(path).starts_with("ggml-") && extension_of(path) == ".bin") ||
         std::ranges::any_of(kOtherParts, [&](std::string_view part) {
           return path.find(part) != std::string_view::npos;
         });
}

bool is_in_other_folder(std::string_view path) {
  const std::string rooted = "/" + std::string(path);
  return std::ranges::any_of(
      kOtherFolders, [&](std::string_view folder) { return rooted.find(folder) != rooted.npos; });
}

std::optional<Weights> parse_weights(std::string_view name) {
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

  std::string stem(stem_of(name));
  const auto number = shard_number(stem);
  if (number) stem.erase(number->first, number->second - number->first);
  return Weights{set_of(std::move(stem)), number ? Part::shard : Part::whole, safetensors};
}

}  // namespace model_prep
