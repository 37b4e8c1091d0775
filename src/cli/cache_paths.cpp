// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/cache_paths.h"

#include <algorithm>

#include "model_prep/io/posix.h"

namespace model_prep {
namespace {

std::optional<std::string> hf_home(const FlagValues& settings) {
  const auto home = settings.get("HF_HOME");
  return home ? std::optional(canonical_path(settings.expand(*home))) : std::nullopt;
}

/// The first of these variables that is set, and what it holds.
std::optional<FlagValues::Value> first_of(const FlagValues& settings,
                                          std::initializer_list<const char*> variables) {
  for (const char* variable : variables)
    if (const auto value = settings.get(variable))
      return FlagValues::Value{variable, canonical_path(settings.expand(*value))};
  return std::nullopt;
}

}  // namespace

std::vector<Consumer> find_consumers(const FlagValues& settings) {
  const auto home = hf_folder(settings);
  Consumer hub{"huggingface_hub", home ? canonical_path(*home + "/hub") : "", "HF_HUB_CACHE"};
  if (const auto named = first_of(settings, {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}))
    hub = {hub.name, named->value, named->name};
  Consumer four{"transformers 4", hub.folder, hub.setting, Consumer::Loads::models};
  if (const auto named = first_of(settings, {"TRANSFORMERS_CACHE", "PYTORCH_TRANSFORMERS_CACHE",
                                             "PYTORCH_PRETRAINED_BERT_CACHE"}))
    four = {four.name, named->value, named->name, Consumer::Loads::models};
  Consumer sentences{"sentence-transformers", hub.folder, hub.setting, Consumer::Loads::models};
  if (const auto named = first_of(settings, {"SENTENCE_TRANSFORMERS_HOME"}))
    sentences = {sentences.name, named->value, named->name, Consumer::Loads::models};
  Consumer rust{"hf-hub 0.x (Rust)", "", "HF_HOME"};
  if (const auto home_of_rust = hf_home(settings))
    rust.folder = canonical_path(*home_of_rust + "/hub");
  else if (const auto user = settings.get("HOME"))
    rust.folder = canonical_path(*user + "/.cache/huggingface/hub");
  return {hub,
          four,
          {"transformers 5", hub.folder, hub.setting, Consumer::Loads::models},
          sentences,
          rust};
}

std::optional<std::string> hf_folder(const FlagValues& settings) {
  if (auto home = hf_home(settings)) return home;
  if (const auto xdg = settings.get("XDG_CACHE_HOME"))
    return canonical_path(settings.expand(*xdg) + "/huggingface");
  if (const auto home = settings.get("HOME")) return canonical_path(*home + "/.cache/huggingface");
  return std::nullopt;
}

Result<CachePaths> find_cache_paths(const FlagValues& settings) {
  CachePaths places;
  const auto named = settings.find("--cache-dir");
  if (named && named->value.empty()) return bad_value(*named, "a folder");
  const auto folder = hf_folder(settings);
  if (named)
    places.cache_dir = canonical_path(settings.expand(named->value));
  else if (folder)
    places.cache_dir = canonical_path(*folder + "/hub");
  else
    return Error{ErrorKind::usage, "no place for the cache: neither HF_HOME nor HOME is set",
                 "set HF_HOME, or give --cache-dir"};
  const auto home = hf_home(settings);
  std::vector<std::string> legacy_dirs;
  if (home) legacy_dirs = {*home, canonical_path(*home + "/hub")};
  if (const auto older = settings.get("TRANSFORMERS_CACHE"))
    legacy_dirs.push_back(canonical_path(settings.expand(*older)));
  for (const std::string& view : legacy_dirs)
    if (view != places.cache_dir && std::find(places.legacy_dirs.begin(), places.legacy_dirs.end(),
                                              view) == places.legacy_dirs.end())
      places.legacy_dirs.push_back(view);
  // Where only the cache was named, nothing else may be touched.
  places.summary = (home || !named ? *folder : places.cache_dir) + "/model-prep-summary.json";
  return places;
}

}  // namespace model_prep
