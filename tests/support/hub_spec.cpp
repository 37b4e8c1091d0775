// SPDX-License-Identifier: Apache-2.0
#include "support/hub_spec.h"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "support/hub_http.h"

namespace model_prep::testing {
namespace {

using nlohmann::json;

HubRepo::Access parse_access(const std::string& name) {
  if (name == "open") return HubRepo::Access::open;
  if (name == "gated") return HubRepo::Access::gated;
  if (name == "gated_masked") return HubRepo::Access::gated_masked;
  if (name == "private") return HubRepo::Access::private_;
  if (name == "disabled") return HubRepo::Access::disabled;
  throw std::invalid_argument("no such access: " + name);
}

HubFile parse_file(const json& object, const std::filesystem::path& folder) {
  HubFile file;
  file.path = object.at("path").get<std::string>();
  file.lfs = object.value("lfs", false);
  if (object.contains("text")) {
    file.content = object.at("text").get<std::string>();
  } else if (object.contains("from")) {
    file.content = DiskBytes{folder / object.at("from").get<std::string>()};
  } else {
    file.content = content_for(file.path, MadeUpBytes{object.at("size").get<std::int64_t>(),
                                                      object.value("seed", std::uint64_t{0})});
  }
  return file;
}

HubRepo parse_repo(const json& object, const std::filesystem::path& folder) {
  HubRepo repo;
  repo.id = object.at("id").get<std::string>();
  repo.access = parse_access(object.value("access", std::string("open")));
  repo.renamed_to = object.value("renamed_to", std::string());
  repo.has_tree_api = object.value("has_tree_api", true);
  if (object.contains("card")) repo.card = object.at("card").dump();
  if (object.contains("scan")) repo.scan = object.at("scan").dump();
  repo.refs = object.value("refs", std::map<std::string, std::string>());
  const json commits = object.value("commits", json::object());
  for (const auto& [commit, files] : commits.items()) {
    if (!is_commit(commit)) throw std::invalid_argument("not a commit: " + commit);
    for (const json& file : files) repo.commits[commit].push_back(parse_file(file, folder));
  }
  return repo;
}

}  // namespace

HubSpec read_spec(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw std::invalid_argument("cannot read " + file.string());
  const std::string text(std::istreambuf_iterator<char>(stream), {});
  try {
    const json document = json::parse(text);
    HubSpec spec;
    for (const json& repo : document.at("repos"))
      spec.repos.push_back(parse_repo(repo, file.parent_path()));
    spec.tokens = document.value("tokens", std::vector<std::string>());
    return spec;
  } catch (const json::exception& error) {
    throw std::invalid_argument(file.string() + ": " + error.what());
  }
}

}  // namespace model_prep::testing
