// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/bom.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

using Json = nlohmann::json;

// Of the licenses that the Hub offers, those that SPDX has under the same id, but for its case.
constexpr std::string_view kSpdxIds[] = {"AFL-3.0",
                                         "AGPL-3.0",
                                         "Apache-2.0",
                                         "Artistic-2.0",
                                         "BSD-2-Clause",
                                         "BSD-3-Clause",
                                         "BSD-3-Clause-Clear",
                                         "BSL-1.0",
                                         "CC-BY-2.0",
                                         "CC-BY-2.5",
                                         "CC-BY-3.0",
                                         "CC-BY-4.0",
                                         "CC-BY-NC-2.0",
                                         "CC-BY-NC-3.0",
                                         "CC-BY-NC-4.0",
                                         "CC-BY-NC-ND-3.0",
                                         "CC-BY-NC-ND-4.0",
                                         "CC-BY-NC-SA-2.0",
                                         "CC-BY-NC-SA-3.0",
                                         "CC-BY-NC-SA-4.0",
                                         "CC-BY-ND-4.0",
                                         "CC-BY-SA-3.0",
                                         "CC-BY-SA-4.0",
                                         "CC0-1.0",
                                         "CDLA-Permissive-1.0",
                                         "CDLA-Permissive-2.0",
                                         "CDLA-Sharing-1.0",
                                         "ECL-2.0",
                                         "EPL-1.0",
                                         "EPL-2.0",
                                         "etalab-2.0",
                                         "EUPL-1.1",
                                         "EUPL-1.2",
                                         "GPL-2.0",
                                         "GPL-3.0",
                                         "ISC",
                                         "LGPL-2.1",
                                         "LGPL-3.0",
                                         "LPPL-1.3c",
                                         "MIT",
                                         "MPL-2.0",
                                         "MS-PL",
                                         "NCSA",
                                         "OFL-1.1",
                                         "OSL-3.0",
                                         "PostgreSQL",
                                         "Unlicense",
                                         "WTFPL",
                                         "Zlib"};

struct Alias {
  std::string_view license;
  std::string_view spdx;
};
constexpr Alias kAliases[] = {{"c-uda", "C-UDA-1.0"},
                              {"lgpl-lr", "LGPLLR"},
                              {"odbl", "ODbL-1.0"},
                              {"odc-by", "ODC-By-1.0"},
                              {"pddl", "PDDL-1.0"}};

std::string purl(const RepoId& repo, std::string_view commit) {
  const std::string name(repo.kind() == RepoKind::model ? repo.name() : repo.text());
  return fmt::format("pkg:huggingface/{}{}{}", name, commit.empty() ? "" : "@", commit);
}

std::string_view type_of(RepoKind kind) {
  switch (kind) {
    case RepoKind::model: return "machine-learning-model";
    case RepoKind::dataset: return "data";
    case RepoKind::space: return "application";
    case RepoKind::kernel: return "library";
  }
  return "machine-learning-model";
}

Json property(std::string_view name, std::string_view value) {
  return {{"name", fmt::format("model-prep:{}", name)}, {"value", value}};
}

Json licenses_json(const Strings& licenses) {
  constexpr std::string_view kOtherPrefix = "other:";
  Json list = Json::array();
  for (const std::string& license : licenses) {
    Json entry = {{"acknowledgement", "declared"}};
    if (const auto id = spdx_id(license); !id.empty())
      entry["id"] = id;
    else
      entry["name"] = license.starts_with(kOtherPrefix) && license.size() > kOtherPrefix.size()
                          ? license.substr(kOtherPrefix.size())
                          : license;
    list.push_back({{"license", std::move(entry)}});
  }
  return list;
}

Json file_json(const RemoteFile& file, const std::string& of_model) {
  const bool is_plain = file.blob.kind() == DigestKind::git_sha1;
  const auto sha256 = file.sha256();
  Json json = {{"type", "file"},
               {"bom-ref", of_model + "#" + file.path.text()},
               {"name", file.path.text()},
               {"properties", Json::array({property("size", std::to_string(file.size))})}};
  if (sha256) json["hashes"] = Json::array({{{"alg", "SHA-256"}, {"content", sha256->hex()}}});
  if (is_plain) json["properties"].push_back(property("git-blob-sha1", file.blob.hex()));
  return json;
}

Json component_json(const RepoId& repo, std::string_view commit) {
  const std::string ref = purl(repo, commit);
  const std::string_view name = repo.name();
  const std::size_t slash = name.find('/');
  Json json = {{"type", type_of(repo.kind())},
               {"bom-ref", ref},
               {"name", slash == std::string_view::npos ? name : name.substr(slash + 1)}};
  if (slash != std::string_view::npos) json["group"] = name.substr(0, slash);
  if (!commit.empty()) json["version"] = commit;

  // The type huggingface is defined for models only.
  if (repo.kind() == RepoKind::model) json["purl"] = ref;
  const std::string tree = commit.empty() ? "" : fmt::format("/tree/{}", commit);
  json["externalReferences"] = Json::array(
      {{{"type", "distribution"}, {"url", "https://huggingface.co/" + repo.text() + tree}}});
  return json;
}

/// All models of one commit: they may have different variants.
struct Entry {
  const ResolvedSnapshot* snapshot;
  HubFacts facts{};
  std::map<RepoPath, const RemoteFile*> files{};
  std::set<std::string> variants{};
  std::set<std::string> needs{};  ///< bom-refs
};

Json scan_properties(const ScanVerdict& scan) {
  Json list = Json::array({property("hub-scan", scan.complete ? "complete" : "incomplete")});
  for (const auto& [path, level] : scan.findings)
    list.push_back(property("hub-scan-finding", fmt::format("{} ({})", path, level)));
  return list;
}

Json model_json(const std::string& ref, const Entry& entry) {
  const ResolvedSnapshot& snapshot = *entry.snapshot;
  Json json = component_json(snapshot.spec.repo, snapshot.commit.hex());
  const HubFacts& facts = entry.facts;
  if (facts.licenses && !facts.licenses->empty()) json["licenses"] = licenses_json(*facts.licenses);

  Json properties = Json::array();
  for (const std::string& variant : entry.variants)
    properties.push_back(property("variant", variant));
  if (facts.scan)
    for (Json& each : scan_properties(*facts.scan)) properties.push_back(std::move(each));
  json["properties"] = std::move(properties);

  for (const auto& [path, file] : entry.files) json["components"].push_back(file_json(*file, ref));
  return json;
}

using Entries = std::map<std::string, Entry>;

/// What a model needs, as a component: a model of the lock if there is one, at the revision that is
/// asked for or else at any.
std::string ref_of(const Dependency& dependency, const std::vector<BomModel>& models) {
  // Of several, the first one in order.
  const auto find = [&](auto is_right) {
    std::string first;
    for (const auto& [snapshot, needs] : models) {
      if (snapshot->spec.repo != dependency.repo || !is_right(*snapshot)) continue;
      const std::string ref = purl(dependency.repo, snapshot->commit.hex());
      if (first.empty() || ref < first) first = ref;
    }
    return first;
  };

  const auto is_asked_for = [&](const ResolvedSnapshot& snapshot) {
    return snapshot.spec.revision == dependency.revision ||
           snapshot.spec.ref == dependency.revision.text();
  };
  std::string ref = find(is_asked_for);
  if (ref.empty()) ref = find([](const ResolvedSnapshot&) { return true; });
  return ref.empty() ? purl(dependency.repo, {}) : ref;
}

}  // namespace

std::string_view spdx_id(std::string_view license) {
  const auto alias = std::ranges::find(kAliases, license, &Alias::license);
  if (alias != std::end(kAliases)) return alias->spdx;
  const auto found = std::ranges::find(kSpdxIds, license, lower_case);
  return found == std::end(kSpdxIds) ? std::string_view() : *found;
}

std::string cyclonedx_text(const std::vector<BomModel>& models, std::string_view version) {
  Entries entries;
  std::map<std::string, RepoId> unlocked;
  for (const auto& [snapshot, dependencies] : models) {
    const std::string ref = purl(snapshot->spec.repo, snapshot->commit.hex());
    Entry& entry = entries.try_emplace(ref, Entry{snapshot}).first->second;
    complete(entry.facts, snapshot->facts);
    entry.variants.insert(snapshot->spec.variant.text());
    for (const RemoteFile& file : snapshot->files) {
      const RemoteFile*& listed = entry.files[file.path];
      if (listed == nullptr || !listed->sha256()) listed = &file;
    }

    for (const Dependency& dependency : dependencies) {
      // What a dependency needs in turn is known only if that is in the cache.
      if (!dependency.direct) continue;
      const std::string needed = ref_of(dependency, models);
      entry.needs.insert(needed);
      if (needed == purl(dependency.repo, {})) unlocked.emplace(needed, dependency.repo);
    }
  }

  Json components = Json::array();
  Json dependencies = Json::array();
  for (const auto& [ref, entry] : entries) {
    components.push_back(model_json(ref, entry));
    dependencies.push_back({{"ref", ref}, {"dependsOn", entry.needs}});
  }
  for (const auto& [ref, repo] : unlocked) components.push_back(component_json(repo, {}));

  const Json tool = {{"type", "application"}, {"name", "model-prep"}, {"version", version}};
  const Json bom = {
      {"$schema", "http://cyclonedx.org/schema/bom-1.6.schema.json"},
      {"bomFormat", "CycloneDX"},
      {"specVersion", "1.6"},
      {"version", 1},
      {"metadata", {{"tools", {{"components", Json::array({tool})}}}}},
      {"components", std::move(components)},
      {"dependencies", std::move(dependencies)},
  };
  return escape_for_log(bom.dump(2)) + "\n";
}

}  // namespace model_prep
