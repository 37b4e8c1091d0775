// SPDX-License-Identifier: Apache-2.0
#include "support/hub_control.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

namespace model_prep::testing {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 4> kInclude = {"*.json", "*.txt", "*.model",
                                                      "model.safetensors"};
constexpr std::array<std::string_view, 2> kExclude = {"onnx/*", "openvino/*"};

// `*` is any run of characters, slashes too. Every star but the last takes as little as it can.
bool matches_pattern(std::string_view path, std::string_view pattern) {
  std::size_t at = 0;
  const auto pieces = split(pattern, '*');
  if (pieces.size() == 1) return path == pattern;
  if (!path.starts_with(pieces.front())) return false;
  at = pieces.front().size();
  for (std::size_t i = 1; i + 1 < pieces.size(); ++i) {
    const std::size_t found = path.find(pieces[i], at);
    if (found == std::string_view::npos) return false;
    at = found + pieces[i].size();
  }
  return path.size() >= at + pieces.back().size() && path.ends_with(pieces.back());
}

bool matches_any(std::string_view path, std::span<const std::string_view> patterns) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](auto pattern) { return matches_pattern(path, pattern); });
}

Json file_lock(const SiteFile& file) {
  if (file.file.lfs) return {{"size", file.digests.size}, {"sha256", file.digests.sha256}};
  return {{"size", file.digests.size},
          {"git_sha1", file.digests.git_sha1},
          {"sha256", file.digests.sha256}};
}

Json model_lock(const SiteRepo& repo, const std::string& commit) {
  Json files = Json::object();
  std::int64_t size = 0;
  for (const SiteFile& file : repo.commits.at(commit)) {
    files[file.file.path] = file_lock(file);
    if (matches_any(file.file.path, kInclude) && !matches_any(file.file.path, kExclude))
      size += file.digests.size;
  }
  const Json variant = {{"include", kInclude}, {"exclude", kExclude}, {"size", size}};
  return {{"repo", repo.repo.id},
          {"revision", commit},
          {"ref", "main"},
          {"purpose", "demo"},
          {"variants", {{"fp32", variant}}},
          {"locked", {"fp32", "all"}},
          {"files", std::move(files)}};
}

}  // namespace

std::string log_as_json(const std::vector<LoggedRequest>& log) {
  Json requests = Json::array();
  for (const LoggedRequest& request : log) {
    requests.push_back({{"origin", request.origin},
                        {"method", request.method},
                        {"target", request.target},
                        {"path", request.path},
                        {"headers", request.headers},
                        {"range", request.range ? Json(*request.range) : Json()},
                        {"status", request.status},
                        {"body_bytes_sent", request.body_bytes_sent},
                        {"kind", request.kind},
                        {"file", request.file},
                        {"connection", request.connection}});
  }
  return requests.dump(1, ' ', false, Json::error_handler_t::replace);
}

std::string manifest_of(const std::deque<SiteRepo>& repos) {
  Json models = Json::object();
  for (const SiteRepo& repo : repos) {
    const auto main = repo.repo.refs.find("main");
    if (main == repo.repo.refs.end() || !repo.commits.contains(main->second)) continue;
    const std::string name = repo.repo.id.substr(repo.repo.id.rfind('/') + 1);
    const bool is_taken = models.contains(name) && models[name]["repo"] != repo.repo.id;
    models[is_taken ? repo.repo.id : name] = model_lock(repo, main->second);
  }
  return Json{{"version", 1}, {"models", std::move(models)}}.dump(1) + "\n";
}

}  // namespace model_prep::testing
