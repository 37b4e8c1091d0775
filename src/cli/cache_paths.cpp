// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/cache_paths.h"

#include <algorithm>

#include "model_prep/io/posix.h"

namespace model_prep {
namespace {

/// The directory that a variable names.
std::optional<std::string> directory_of(const FlagValues& values, const char* variable) {
  const auto value = values.get(variable);
  return value ? std::optional(canonical_path(values.expand(*value))) : std::nullopt;
}

Status check_directories(const FlagValues& values, const Strings& variables) {
  for (const std::string& variable : variables)
    if (const auto value = values.get(variable))
      if (Status checked = values.check_path({variable, *value}); !checked) return checked;
  return ok();
}

/// A library that looks where the first of these variables that is set says, else as `fallback`.
Consumer consumer(const FlagValues& values, const char* name, const Consumer& fallback,
                  std::initializer_list<const char*> variables) {
  for (const char* variable : variables)
    if (const auto folder = directory_of(values, variable))
      return {name, *folder, variable, /*only_models=*/true};
  return {name, fallback.folder, fallback.setting, /*only_models=*/true};
}

}  // namespace

Result<std::vector<Consumer>> find_consumers(const FlagValues& values) {
  const Status checked = check_directories(
      values, {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "PYTORCH_TRANSFORMERS_CACHE",
               "PYTORCH_PRETRAINED_BERT_CACHE", "SENTENCE_TRANSFORMERS_HOME"});
  if (!checked) return checked.error();

  const auto home = hf_folder(values);
  const Consumer standard{"", home ? canonical_path(*home + "/hub") : "", "HF_HUB_CACHE"};
  Consumer hub =
      consumer(values, "huggingface_hub", standard, {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  hub.only_models = false;

  // The Rust library knows only HF_HOME.
  Consumer rust{"hf-hub 0.x (Rust)", "", "HF_HOME"};
  if (const auto own = directory_of(values, "HF_HOME"))
    rust.folder = canonical_path(*own + "/hub");
  else if (const auto user = values.get("HOME"))
    rust.folder = canonical_path(*user + "/.cache/huggingface/hub");

  return std::vector{
      hub,
      consumer(
          values, "transformers 4", hub,
          {"TRANSFORMERS_CACHE", "PYTORCH_TRANSFORMERS_CACHE", "PYTORCH_PRETRAINED_BERT_CACHE"}),
      consumer(values, "transformers 5", hub, {}),
      consumer(values, "sentence-transformers", hub, {"SENTENCE_TRANSFORMERS_HOME"}), rust};
}

std::optional<std::string> hf_folder(const FlagValues& values) {
  if (auto home = directory_of(values, "HF_HOME")) return home;
  if (const auto xdg = values.get("XDG_CACHE_HOME"))
    return canonical_path(values.expand(*xdg) + "/huggingface");
  if (const auto home = values.get("HOME")) return canonical_path(*home + "/.cache/huggingface");
  return std::nullopt;
}

Result<CachePaths> find_cache_paths(const FlagValues& values) {
  const Status checked =
      check_directories(values, {"HF_HOME", "XDG_CACHE_HOME", "TRANSFORMERS_CACHE"});
  if (!checked) return checked.error();

  CachePaths paths;
  const auto named = values.find("--cache-dir");
  const auto folder = hf_folder(values);
  if (named)
    if (Status plain = values.check_path(*named); !plain) return plain.error();
  if (!named && !folder)
    return Error{ErrorKind::usage, "no cache directory: neither HF_HOME nor HOME is set",
                 "set HF_HOME or pass --cache-dir"};
  paths.cache_dir = canonical_path(named ? values.expand(named->value) : *folder + "/hub");

  const auto home = directory_of(values, "HF_HOME");
  Strings candidates;
  if (home) candidates = {*home, canonical_path(*home + "/hub")};
  if (const auto older = directory_of(values, "TRANSFORMERS_CACHE")) candidates.push_back(*older);
  for (const std::string& path : candidates) {
    if (path != paths.cache_dir && std::ranges::count(paths.legacy_dirs, path) == 0)
      paths.legacy_dirs.push_back(path);
  }

  // Where only the cache is named, nothing outside it may be touched.
  paths.summary = (home || !named ? *folder : paths.cache_dir) + "/model-prep-summary.json";
  return paths;
}

}  // namespace model_prep
