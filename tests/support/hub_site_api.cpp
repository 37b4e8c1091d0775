// SPDX-License-Identifier: Apache-2.0
// The JSON routes of HubSite.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "support/hub_site.h"

namespace model_prep::testing {
namespace {

using Json = nlohmann::ordered_json;  // the Hub's order of members, for whoever reads a dump

constexpr std::size_t kExpandedPageSize = 50;
const std::string kMask(64, '*');

Answer json_answer(const Json& body) {
  // Paths may be any bytes; JSON may not.
  return text_answer(200, "application/json; charset=utf-8",
                     body.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string query_value(const HttpRequest& request, std::string_view name) {
  for (const auto& [key, value] : parse_query(request.query)) {
    if (key == name) return value;
  }
  return {};
}

// Clients of Python write True, httpx writes true.
bool is_true(const std::string& value) { return to_lower(value) == "true" || value == "1"; }

enum class Hashes { shown, masked };

Json file_entry(const SiteFile& file, Hashes hashes) {
  Json entry = {{"type", "file"}, {"oid", file.digests.oid()}, {"size", file.digests.size}};
  if (file.file.lfs) {
    const bool shown = hashes == Hashes::shown;
    entry["lfs"] = {{"oid", shown ? file.digests.sha256 : kMask},
                    {"size", file.digests.size},
                    {"pointerSize", file.digests.pointer_size}};
    entry["xetHash"] = shown ? file.xet_hash : kMask;
  }
  entry["path"] = file.file.path;
  return entry;
}

Json folder_entry(const std::string& path, const std::string& commit) {
  // Not the id git would compute: it cannot be checked without all the trees below.
  return {{"type", "directory"},
          {"oid", sha1_hex("tree " + commit + " " + path)},
          {"size", 0},
          {"path", path}};
}

Json sibling(const SiteFile& file, Hashes hashes, bool with_blobs) {
  Json entry = {{"rfilename", file.file.path}};
  if (!with_blobs) return entry;
  entry["blobId"] = file.digests.oid();
  entry["size"] = file.digests.size;
  if (file.file.lfs) {
    entry["lfs"] = {{"sha256", hashes == Hashes::shown ? file.digests.sha256 : kMask},
                    {"size", file.digests.size},
                    {"pointerSize", file.digests.pointer_size}};
  }
  return entry;
}

// The folders of a path that lie below `folder` (which is empty or ends in a slash).
void add_folders(const std::string& path, const std::string& folder, bool recursive,
                 std::set<std::string>& folders) {
  for (std::size_t at = path.find('/', folder.size()); at != std::string::npos;
       at = path.find('/', at + 1)) {
    folders.insert(path.substr(0, at));
    if (!recursive) return;
  }
}

std::vector<Json> tree_entries(const std::vector<SiteFile>& files, const std::string& commit,
                               const std::string& folder, bool recursive, Hashes hashes) {
  std::set<std::string> folders;
  std::vector<Json> file_entries;
  for (const SiteFile& file : files) {
    if (!file.file.path.starts_with(folder)) continue;
    add_folders(file.file.path, folder, recursive, folders);
    const bool is_deeper = file.file.path.find('/', folder.size()) != std::string::npos;
    if (recursive || !is_deeper) file_entries.push_back(file_entry(file, hashes));
  }
  std::vector<Json> entries;
  entries.reserve(folders.size() + file_entries.size());
  for (const std::string& path : folders) entries.push_back(folder_entry(path, commit));
  entries.insert(entries.end(), file_entries.begin(), file_entries.end());
  return entries;
}

// As with expand=true. The commit is that of the page: which one changed a file last is not known.
void add_details(Json& entry, const HubRepo& repo, const std::string& commit) {
  entry["lastCommit"] = {{"id", commit}, {"title", "upload"}, {"date", "2024-11-01T10:26:30.000Z"}};
  if (entry["type"] != "file" || repo.scan.empty()) return;

  const auto known = repo.scan_of_files.find(entry["path"].get<std::string>());
  const std::string status = known == repo.scan_of_files.end() ? "safe" : known->second;
  entry["securityFileStatus"] = {{"status", status},
                                 {"avScan", {{"status", status}}},
                                 {"pickleImportScan", {{"status", "unscanned"}}}};
}

// Opaque, and with characters that must come back as they were sent.
std::string make_cursor(std::size_t offset) {
  const std::string text = std::to_string(offset);
  return base64("{\"after\":" + text + "}") + "==:" + text;
}

std::optional<std::size_t> read_cursor(const std::string& cursor) {
  if (cursor.empty()) return 0;
  const auto number = parse_number(cursor.substr(cursor.rfind(':') + 1));
  if (!number || make_cursor(static_cast<std::size_t>(*number)) != cursor) return std::nullopt;
  return static_cast<std::size_t>(*number);
}

std::size_t page_size(const HttpRequest& request, std::size_t maximum) {
  if (is_true(query_value(request, "expand"))) maximum = std::min(maximum, kExpandedPageSize);
  const auto limit = parse_number(query_value(request, "limit"));
  if (!limit || *limit == 0) return maximum;
  return std::min(maximum, static_cast<std::size_t>(*limit));
}

std::string next_link(const HttpRequest& request, const std::string& origin, std::size_t limit,
                      std::size_t offset) {
  std::string query = is_true(query_value(request, "expand")) ? "expand=true" : "expand=false";
  if (is_true(query_value(request, "recursive"))) query += "&recursive=true";
  query += "&limit=" + std::to_string(limit) + "&cursor=" + percent_encode(make_cursor(offset));
  return "<" + origin + request.path + "?" + query + ">; rel=\"next\"";
}

std::vector<std::string> asked_paths(const HttpRequest& request) {
  std::vector<std::string> paths;
  if (request.header("content-type").value_or("").starts_with("application/json")) {
    const auto body = nlohmann::json::parse(request.body, nullptr, false);
    const auto list =
        body.is_object() ? body.value("paths", nlohmann::json::array()) : nlohmann::json::array();
    for (const auto& path : list) {
      if (path.is_string()) paths.push_back(path.get<std::string>());
    }
    return paths;
  }
  for (const auto& [name, value] : parse_query(request.body)) {
    if (name == "paths") paths.push_back(value);
  }
  return paths;
}

Json gated_value(HubRepo::Access access) {
  const bool is_gated = access == HubRepo::Access::gated || access == HubRepo::Access::gated_masked;
  return is_gated ? Json("manual") : Json(false);
}

}  // namespace

Answer HubSite::repo_info(const HttpRequest& request, const Place& place) const {
  const HubRepo& repo = place.repo->repo;
  const bool is_masked =
      repo.access == HubRepo::Access::gated_masked && !has_access(*place.repo, caller_of(request));
  const bool with_blobs = options_.lists_blobs && is_true(query_value(request, "blobs"));
  Json siblings = Json::array();
  for (const SiteFile& file : place.repo->commits.at(place.commit)) {
    siblings.push_back(sibling(file, is_masked ? Hashes::masked : Hashes::shown, with_blobs));
  }
  const std::string id(name_of(repo.id));
  Json info = {{"_id", sha1_hex(repo.id).substr(0, 24)},
               {"id", id},
               {"private", repo.access == HubRepo::Access::private_},
               {"tags", Json::array({"region:us"})},
               {"downloads", 0},
               {"likes", 0},
               {"modelId", id},
               {"author", id.substr(0, id.find('/'))},
               {"sha", place.commit},
               {"lastModified", "2024-11-01T10:26:30.000Z"},
               {"gated", gated_value(repo.access)},
               {"disabled", repo.access == HubRepo::Access::disabled},
               {"siblings", std::move(siblings)},
               {"spaces", Json::array()},
               {"createdAt", "2022-03-02T23:29:05.000Z"}};
  if (!repo.card.empty()) info["cardData"] = Json::parse(repo.card);
  if (!repo.scan.empty() && is_true(query_value(request, "securityStatus")))
    info["securityRepoStatus"] = Json::parse(repo.scan);
  if (kind_of(repo.id) != "models")
    for (const char* of_models : {"modelId", "spaces"}) info.erase(of_models);
  if (kind_of(repo.id) == "spaces") info["sdk"] = "static";
  if (kind_of(repo.id) == "kernels") info.erase("siblings");
  return json_answer(info);
}

Answer HubSite::tree(const HttpRequest& request, const Place& place,
                     const std::string& folder) const {
  if (!place.repo->repo.has_tree_api)
    return text_answer(404, "application/json", R"({"detail":"Not Found"})");
  const bool is_masked = place.repo->repo.access == HubRepo::Access::gated_masked &&
                         !has_access(*place.repo, caller_of(request));
  const bool recursive = options_.lists_recursively && is_true(query_value(request, "recursive"));
  const std::vector<Json> entries = tree_entries(place.repo->commits.at(place.commit), place.commit,
                                                 folder.empty() ? folder : folder + "/", recursive,
                                                 is_masked ? Hashes::masked : Hashes::shown);
  if (entries.empty() && !folder.empty()) {
    return error_answer(404, "EntryNotFound",
                        folder + " does not exist on \"" + place.commit + "\"");
  }
  const std::size_t limit = page_size(request, options_.page_size);
  const auto begin = read_cursor(query_value(request, "cursor"));
  if (!begin || *begin > entries.size()) return error_answer(400, "", "Invalid cursor");
  const std::size_t end = std::min(entries.size(), *begin + limit);
  Json page = Json::array();
  for (std::size_t i = *begin; i < end; ++i) {
    page.push_back(entries[i]);
    if (is_true(query_value(request, "expand")))
      add_details(page.back(), place.repo->repo, place.commit);
  }
  Answer answer = json_answer(page);
  const std::string& origin = options_.link_origin.empty() ? hub_origin_ : options_.link_origin;
  if (end < entries.size())
    set_header(answer.headers, "Link", next_link(request, origin, limit, end));
  return answer;
}

Answer HubSite::refs(const Place& place) const {
  Json branches = Json::array();
  Json pull_requests = Json::array();
  for (const auto& [name, commit] : place.repo->repo.refs) {
    constexpr std::string_view kPullRequests = "refs/pr/";
    if (name.starts_with(kPullRequests)) {
      pull_requests.push_back(
          {{"name", name.substr(kPullRequests.size())}, {"ref", name}, {"targetCommit", commit}});
    } else {
      branches.push_back({{"name", name}, {"ref", "refs/heads/" + name}, {"targetCommit", commit}});
    }
  }
  return json_answer({{"tags", Json::array()},
                      {"branches", std::move(branches)},
                      {"converts", Json::array()},
                      {"pullRequests", std::move(pull_requests)}});
}

Answer HubSite::paths_info(const HttpRequest& request, const Place& place) const {
  const bool is_masked = place.repo->repo.access == HubRepo::Access::gated_masked &&
                         !has_access(*place.repo, caller_of(request));
  const auto entries = tree_entries(place.repo->commits.at(place.commit), place.commit, "", true,
                                    is_masked ? Hashes::masked : Hashes::shown);
  const std::vector<std::string> paths = asked_paths(request);
  Json found = Json::array();
  for (const Json& entry : entries) {
    if (std::find(paths.begin(), paths.end(), entry.at("path").get<std::string>()) != paths.end())
      found.push_back(entry);
  }
  return json_answer(found);
}

}  // namespace model_prep::testing
