// SPDX-License-Identifier: Apache-2.0
#include "model_prep/program/places.h"

#include <algorithm>

#include "model_prep/effects/posix.h"

namespace model_prep {
namespace {

std::optional<std::string> hf_home(const Settings& settings) {
  const auto home = settings.get("HF_HOME");
  return home ? std::optional(canonical_path(settings.expand(*home))) : std::nullopt;
}

}  // namespace

std::optional<std::string> hf_folder(const Settings& settings) {
  if (auto home = hf_home(settings)) return home;
  if (const auto xdg = settings.get("XDG_CACHE_HOME")) return canonical_path(settings.expand(*xdg) + "/huggingface");
  if (const auto home = settings.get("HOME")) return canonical_path(*home + "/.cache/huggingface");
  return std::nullopt;
}

Result<Places> find_places(const Settings& settings) {
  Places places;
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
  std::vector<std::string> views;
  if (home) views = {*home, canonical_path(*home + "/hub")};
  if (const auto older = settings.get("TRANSFORMERS_CACHE")) views.push_back(canonical_path(settings.expand(*older)));
  for (const std::string& view : views)
    if (view != places.cache_dir && std::find(places.views.begin(), places.views.end(), view) == places.views.end())
      places.views.push_back(view);
  // Where only the cache was named, nothing else may be touched.
  places.summary = (home || !named ? *folder : places.cache_dir) + "/model-prep-summary.json";
  return places;
}

}  // namespace model_prep
