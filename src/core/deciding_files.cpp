// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/deciding_files.h"

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/core/json_reader.h"
#include "model_prep/core/onnx_model.h"
#include "model_prep/core/weight_names.h"

namespace model_prep {
namespace {

Result<std::set<RepoPath>> parse_shard_index(std::string_view text, const RepoPath& path,
                                             std::string_view object) {
  const auto refuse = [&](std::string_view what) {
    return Error{
        ErrorKind::protocol, fmt::format("{} {}: {}", object, sanitize(path.text()), what),
        "the index does not have transformers' format: select files with --include, or use --variant all"};
  };

  // Shards are named relative to the index.
  constexpr std::string_view kMap[] = {"weight_map"};
  const std::string folder(folder_of(path.text()));
  std::set<RepoPath> shards;
  const auto document = read_python_json(text, {.collections = kMap, .of_texts = true},
                                         [&](const JsonEntry& entry) -> Status {
                                           auto shard = RepoPath::parse(folder + entry.text);
                                           if (!shard) return shard.error();
                                           shards.insert(std::move(*shard));
                                           return ok();
                                         });
  if (!document) return refuse(document.error().message);
  if (shards.empty()) return refuse("it lists no shards");
  return shards;
}

/// The first module is the model itself.
std::optional<std::set<std::string, std::less<>>> parse_modules(std::string_view text) {
  constexpr std::string_view kFields[] = {"path"};
  std::set<std::string, std::less<>> later;
  bool is_first = true;
  const auto document = read_python_json(
      text, {.collections = kTopArray, .fields = kFields}, [&](const JsonEntry& entry) {
        const auto path = entry.fields.text("path");
        if (path && !path->empty() && !is_first)
          later.insert(path->ends_with('/') ? *path : *path + "/");
        is_first = false;
        return ok();
      });
  if (!document || !document->has("")) return std::nullopt;
  return later;
}

std::optional<std::set<std::string>> parse_pipeline(std::string_view text,
                                                    const std::vector<ListedFile>& all) {
  // A pipeline has a dozen; each member of the file is compared with all of them.
  constexpr std::size_t kMaxFolders = 256;
  std::set<std::string, std::less<>> folders;
  for (const ListedFile& file : all) {
    if (folders.size() == kMaxFolders) break;

    const std::string_view path = file.path.text();
    if (const std::size_t slash = path.find('/'); slash != std::string_view::npos)
      folders.emplace(path.substr(0, slash));
  }

  // A component that is not there is null or a list of nulls; then it has no directory either.
  const std::vector<std::string_view> fields(folders.begin(), folders.end());
  const auto document = read_python_json(text, {.fields = fields});
  if (!document) return std::nullopt;

  std::set<std::string> named;
  for (const std::string& folder : folders)
    if (document->fields.has(folder)) named.insert(folder + "/");
  return named.empty() ? std::nullopt : std::optional(std::move(named));
}

void read_config(DecidingFacts& facts, const RepoPath& path, std::string_view text) {
  constexpr std::string_view kFields[] = {"transformers_weights", "model_type",
                                          "architectures",        "unk_token",
                                          "alignment_heads",      "lang_ids"};
  const auto document = read_python_json(text, {.fields = kFields});
  if (!document) return;

  const JsonFields& config = document->fields;
  const std::string folder(folder_of(path.text()));
  if (const auto weights = config.text("transformers_weights"))
    if (auto named = RepoPath::parse(folder + *weights)) facts.named_weights.insert(*named);

  // transformers' own always has a type. Of CTranslate2's, text models name the token for unknown
  // words, and Whisper its heads for alignment.
  const bool is_transformers = config.has("model_type") || config.has("architectures");
  if (!is_transformers &&
      (config.has("unk_token") || config.has("alignment_heads") || config.has("lang_ids")))
    facts.is_ctranslate2 = true;
}

void read_onnx(DecidingFacts& facts, const RepoPath& path, std::string_view bytes) {
  const auto named = external_data_of(range_of(bytes));
  if (!named) return;

  const std::string folder(folder_of(path.text()));
  std::set<RepoPath>& data = facts.external_data[path];
  for (const auto& [location, size] : *named) {
    const std::size_t start = location.starts_with("./") ? 2 : 0;
    if (auto file = RepoPath::parse(folder + location.substr(start))) data.insert(std::move(*file));
  }
}

}  // namespace

Status read_deciding_file(DecidingFacts& facts, const RepoPath& path, std::string_view text,
                          const std::vector<ListedFile>& all, std::string_view object) {
  const std::string_view name = name_of(path.text());
  if (extension_of(name) == ".onnx") {
    read_onnx(facts, path, text);
  } else if (name == "modules.json") {
    facts.later_modules = parse_modules(text);
  } else if (name == "model_index.json") {
    facts.pipeline_folders = parse_pipeline(text, all);
  } else if (name == "config.json") {
    read_config(facts, path, text);
  } else {
    auto shards = parse_shard_index(text, path, object);
    if (!shards) return shards.error();
    facts.shards.emplace(path, std::move(*shards));
  }
  return ok();
}

}  // namespace model_prep
