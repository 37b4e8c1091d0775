// SPDX-License-Identifier: Apache-2.0
// The writing half of core/manifest.h.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "model_prep/base/text.h"
#include "model_prep/core/manifest.h"

namespace model_prep {
namespace {

/// As JSON writes it. (Not `quoted`: the standard library has a function of that name for strings.)
/// The lock is printed, and a file of the Hub may have any name.
std::string json_string(std::string_view text) {
  return escape_for_log(nlohmann::json(text).dump());
}

/// A pattern that matches only this path.
std::string literal_pattern(const RepoPath& path) {
  std::string pattern;
  for (const char c : path.text())
    pattern += c == '*' || c == '?' || c == '[' ? fmt::format("[{}]", c) : std::string(1, c);
  return pattern;
}

std::string locked_file_text(const RemoteFile& file) {
  const bool is_plain = file.blob.kind() == DigestKind::git_sha1;
  std::string text =
      fmt::format("        {}: {{\"size\": {}", json_string(file.path.text()), file.size);

  if (is_plain) text += ", \"git_sha1\": \"" + file.blob.hex() + "\"";
  if (const auto sha256 = file.sha256()) text += ", \"sha256\": \"" + sha256->hex() + "\"";
  return text + "}";
}

/// A list of strings in one line.
std::string list_text(const auto& texts) {
  Strings items;
  for (const std::string& text : texts) items.push_back(json_string(text));
  return fmt::format("[{}]", fmt::join(items, ", "));
}

/// What the models or the model were held to, so that a run with the lock holds them to the same.
std::string policy_text(const Policy& policy, std::string_view indent) {
  Strings members;
  const auto add = [&](std::string_view name, const auto& rule) {
    if (rule) members.push_back(fmt::format("\"{}\": \"{}\"", name, to_string(*rule)));
  };
  if (policy.licenses) members.push_back("\"licenses\": " + list_text(*policy.licenses));
  add("pickles", policy.pickles);
  add("scan", policy.scan);
  add("signatures", policy.signatures);
  if (members.empty()) return {};
  return fmt::format("{}\"policy\": {{{}}},\n", indent, fmt::join(members, ", "));
}

/// What is known of the license and the scan.
std::string locked_facts(const HubFacts& facts) {
  std::string text;
  if (facts.licenses) text = "      \"license\": " + list_text(*facts.licenses) + ",\n";
  if (!facts.scan) return text;

  Strings findings;
  for (const auto& [path, level] : facts.scan->findings)
    findings.push_back(json_string(path) + ": " + json_string(level));
  return text + fmt::format("      \"scan\": {{\"complete\": {}, \"findings\": {{{}}}}},\n",
                            facts.scan->complete, fmt::join(findings, ", "));
}

std::string locked_signature(const ResolvedSnapshot& snapshot) {
  std::string text;
  if (const auto& signer = snapshot.spec.signer; signer && !signer->in_manifest.empty())
    text += fmt::format("      \"signature\": {{\"{}\": {}}},\n", to_string(signer->kind),
                        json_string(signer->in_manifest));
  if (snapshot.signed_by)
    text += fmt::format("      \"signed_by\": \"{}\",\n", snapshot.signed_by->key.hex());
  return text;
}

/// Laid out by hand rather than by nlohmann: one line for each file, so that a change of one file
/// is one line in a diff.
std::string locked_model_text(const ResolvedSnapshot& snapshot) {
  const ModelSpec& spec = snapshot.spec;
  std::map<RepoPath, const RemoteFile*> files;
  for (const RemoteFile& file : snapshot.files) files.emplace(file.path, &file);

  Strings include;
  Strings locked;
  for (const auto& [path, file] : files) {
    include.push_back("            " + json_string(literal_pattern(path)));
    locked.push_back(locked_file_text(*file));
  }
  if (spec.whole_commit) include = {"            \"*\""};

  constexpr const char* kFormat = R"(    {key}: {{
      "repo": {repo},
      "revision": "{commit}",
      "ref": {ref},
{policy}{facts}{signature}      "variants": {{
        {variant}: {{
          "include": [
{include}
          ],
          "size": {size}
        }}
      }},
      "locked": [{variant}],
      "files": {{
{files}
      }}
    }})";
  return fmt::format(
      kFormat, fmt::arg("key", json_string(spec.key)),
      fmt::arg("repo", json_string(spec.repo.text())), fmt::arg("commit", snapshot.commit.hex()),
      fmt::arg("ref", json_string(spec.ref)), fmt::arg("variant", json_string(spec.variant.text())),
      fmt::arg("signature", locked_signature(snapshot)),
      fmt::arg("policy", policy_text(spec.policy, "      ")),
      fmt::arg("facts", locked_facts(snapshot.facts)),
      fmt::arg("include", fmt::join(include, ",\n")),
      fmt::arg("size", total_blob_size(snapshot.files)),
      fmt::arg("files", fmt::join(locked, ",\n")));
}

}  // namespace

std::string lock_text(const std::vector<ResolvedSnapshot>& snapshots, const Policy& policy) {
  std::map<std::string, std::string> models;
  for (const ResolvedSnapshot& snapshot : snapshots)
    models.emplace(snapshot.spec.key, locked_model_text(snapshot));

  std::string text;
  for (const auto& [key, model] : models) text += (text.empty() ? "" : ",\n") + model;
  return fmt::format("{{\n  \"version\": 1,\n{}  \"models\": {{\n{}\n  }}\n}}\n",
                     policy_text(policy, "  "), text);
}

}  // namespace model_prep
