// SPDX-License-Identifier: Apache-2.0
#include "support/hub_site.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <span>

namespace model_prep::testing {
namespace {

constexpr std::string_view kPlainText = "text/plain; charset=utf-8";
constexpr std::string_view kJsonText = "application/json; charset=utf-8";

// No repository can have these names, so an id with and one without an organisation are distinct.
constexpr std::array<std::string_view, 5> kVerbs = {"revision", "tree", "refs", "paths-info",
                                                    "xet-read-token"};

bool is_verb(std::string_view segment) {
  return std::find(kVerbs.begin(), kVerbs.end(), segment) != kVerbs.end();
}

std::vector<std::string> decoded_segments(std::string_view path) {
  std::vector<std::string> segments;
  for (const std::string_view segment : split(path.substr(1), '/')) {
    segments.push_back(percent_decode(segment).value_or(""));
  }
  return segments;
}

std::string join(std::span<const std::string> segments) {
  std::string path;
  for (const std::string& segment : segments) path += (path.empty() ? "" : "/") + segment;
  return path;
}

/// From the type and the name after it.
std::string id_of(std::span<const std::string> segments) {
  return join(segments[0] == "models" ? segments.subspan(1) : segments);
}

Answer unknown_route() {
  return text_answer(404, kJsonText,
                     R"({"error":"Sorry, we can't find the page you are looking for."})");
}

Answer with_kind(Answer answer, std::string kind, std::string file = {}) {
  answer.kind = std::move(kind);
  answer.file = std::move(file);
  return answer;
}

Answer redirect_to_id(const HttpRequest& request, const std::string& typed_id,
                      const std::string& true_id) {
  std::string location = request.target;
  const std::size_t at = location.find("/" + typed_id);
  if (at != std::string::npos) location.replace(at + 1, typed_id.size(), true_id);
  Answer answer = text_answer(307, kPlainText, "Temporary Redirect. Redirecting to " + location);
  remove_header(answer.headers, "ETag");
  set_header(answer.headers, "Location", location);
  return answer;
}

Answer missing_repo(bool with_valid_token) {
  if (with_valid_token) return error_answer(404, "RepoNotFound", "Repository not found");
  return error_answer(401, "", "Invalid username or password.");
}

std::string weak_etag(std::string_view body) {
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const unsigned char*>(body.data()), body.size(), digest.data());
  const std::string bytes(digest.begin(), digest.end());
  std::string length;
  for (std::size_t rest = body.size(); rest > 0; rest /= 16)
    length.insert(0, 1, "0123456789abcdef"[rest % 16]);
  return "W/\"" + (length.empty() ? "0" : length) + "-" + base64(bytes).substr(0, 27) + "\"";
}

bool is_kind(std::string_view segment) {
  return segment == "datasets" || segment == "spaces" || segment == "kernels";
}

std::string sibling_hash(const std::string& repo_id, const HubFile& file,
                         const FileDigests& digests) {
  return sha256_hex("xet\n" + repo_id + "\n" + file.path + "\n" + digests.sha256);
}

}  // namespace

SiteRepo make_site_repo(HubRepo repo) {
  SiteRepo site;
  for (auto& [commit, files] : repo.commits) {
    std::sort(files.begin(), files.end(),
              [](const HubFile& a, const HubFile& b) { return a.path < b.path; });
    auto& site_files = site.commits[commit];
    for (HubFile& file : files) {
      FileDigests digests = digests_of(file);
      std::string xet_hash = file.lfs ? sibling_hash(repo.id, file, digests) : std::string();
      site_files.push_back({std::move(file), std::move(digests), std::move(xet_hash)});
    }
  }
  repo.commits.clear();
  site.repo = std::move(repo);
  return site;
}

HubSite::HubSite(HubOptions options, std::string hub_origin, std::string payload_origin)
    : options_(std::move(options)),
      hub_origin_(std::move(hub_origin)),
      payload_origin_(std::move(payload_origin)) {}

void HubSite::add(SiteRepo repo) {
  repos_.push_back(std::move(repo));
  for (const auto& [commit, files] : repos_.back().commits) {
    for (const SiteFile& file : files) {
      if (file.file.lfs) payloads_[file.xet_hash] = &file;
    }
  }
}

Answer HubSite::answer_hub(const HttpRequest& request) {
  Answer answer = route_hub(request);
  count_request(answer);
  add_common_headers(answer);
  return answer;
}

Answer HubSite::route_hub(const HttpRequest& request) const {
  std::string_view path = request.path;
  if (!path.starts_with(options_.path_prefix + "/")) return unknown_route();
  path.remove_prefix(options_.path_prefix.size());
  const Segments segments = decoded_segments(path);
  const bool is_read = request.method == "GET" || request.method == "HEAD";
  if (segments.size() >= 3 && segments[0] == "api" &&
      (segments[1] == "models" || is_kind(segments[1]))) {
    return route_api(request, {segments.begin() + 1, segments.end()});
  }
  if (is_read && segments.size() >= 5 && segments[0] == "api" && segments[1] == "resolve-cache") {
    return resolve_cache(request, {segments.begin() + 2, segments.end()});
  }
  const auto verb = std::find(segments.begin(), segments.end(), "resolve");
  const auto id_length = static_cast<std::size_t>(verb - segments.begin());
  const std::size_t kind_length = is_kind(segments[0]) ? 1 : 0;
  if (!is_read || id_length < kind_length + 1 || id_length > kind_length + 2 ||
      id_length + 2 >= segments.size())
    return unknown_route();
  const std::span all(segments);
  const std::string file = join(all.subspan(id_length + 2));
  return with_kind(resolve(request, join(all.first(id_length)), segments[id_length + 1], file),
                   "resolve", file);
}

Answer HubSite::route_api(const HttpRequest& request, const Segments& segments) const {
  const std::size_t id_end = segments.size() >= 3 && !is_verb(segments[2]) ? 3 : 2;
  const std::string id = id_of(std::span(segments).first(id_end));
  Answer answer =
      route_verb(request, id, {segments.begin() + static_cast<int>(id_end), segments.end()});
  return answer.status >= 400 ? json_error(answer) : answer;
}

Answer HubSite::route_verb(const HttpRequest& request, const std::string& id,
                           const Segments& rest) const {
  const std::string verb = rest.empty() ? "revision" : rest[0];
  const std::string revision = rest.size() < 2 ? "main" : rest[1];
  const bool is_post = request.method == "POST";
  if (!is_post && request.method != "GET" && request.method != "HEAD") return unknown_route();
  Place place = find_repo_for(request, id);
  const bool refused = place.repo == nullptr;
  const bool is_disabled = !refused && place.repo->repo.access == HubRepo::Access::disabled;
  if (verb == "refs" && rest.size() == 1)
    return with_kind(refused ? place.refusal : refs(place), "refs");
  if (is_disabled && verb != "revision") {
    place = {nullptr, {}, error_answer(403, "", "Access to this resource is disabled.")};
  }
  if (place.repo != nullptr) find_revision(place, revision);
  if (verb == "revision" && rest.size() != 1 && rest.size() <= 2 && !is_post) {
    return with_kind(place.repo == nullptr ? place.refusal : repo_info(request, place),
                     "repo_info");
  }
  if (verb == "tree" && rest.size() >= 2 && !is_post) {
    const std::string folder = join(std::span(rest).subspan(2));
    return with_kind(place.repo == nullptr ? place.refusal : tree(request, place, folder), "tree");
  }
  if (verb == "paths-info" && rest.size() == 2 && is_post) {
    return with_kind(place.repo == nullptr ? place.refusal : paths_info(request, place),
                     "paths_info");
  }
  return unknown_route();
}

void HubSite::add_common_headers(Answer& answer) {
  ++answers_;
  const std::string number = sha256_hex("request " + std::to_string(answers_));
  set_header(answer.headers, "X-Powered-By", "huggingface-moon");
  set_header(answer.headers, "X-Request-Id",
             "Root=1-" + number.substr(0, 8) + "-" + number.substr(8, 24));
  set_header(
      answer.headers, "Access-Control-Expose-Headers",
      "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,"
      "Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash");
}

void HubSite::count_request(Answer& answer) {
  const RateLimit limit = options_.rate_limit.value_or(RateLimit{});
  const std::string bucket =
      answer.kind == "resolve" || answer.kind == "resolve_cache" ? "resolvers" : "api";
  const std::int64_t quota = bucket == "api" ? limit.api : limit.resolvers;
  const auto age = std::chrono::steady_clock::now() - start_;
  Window& window = windows_[bucket];
  if (const std::int64_t number = age / limit.window; window.number != number) window = {number, 0};
  ++window.used;
  if (options_.rate_limit && window.used > quota) {
    const std::string kind = answer.kind;
    answer =
        with_kind(error_answer(429, "",
                               "We had to rate limit you, you hit the quota of " +
                                   std::to_string(quota) + " " + bucket + " requests per window."),
                  kind, answer.file);
  }
  // Without a limit the rest never runs out: a client may rightly stop at that.
  const std::int64_t rest =
      std::max<std::int64_t>(options_.rate_limit ? 0 : 100, quota - window.used);
  const auto left =
      std::chrono::ceil<std::chrono::seconds>(limit.window - age % limit.window).count();
  set_header(answer.headers, "RateLimit",
             "\"" + bucket + "\";r=" + std::to_string(rest) + ";t=" + std::to_string(left));
  set_header(answer.headers, "RateLimit-Policy",
             "\"fixed window\";\"" + bucket + "\";q=" + std::to_string(quota) +
                 ";w=" + std::to_string(limit.window.count()));
}

HubSite::Caller HubSite::caller_of(const HttpRequest& request) const {
  const auto authorization = request.header("authorization");
  if (!authorization) return Caller::anonymous;
  const auto is_of = [&](const std::vector<std::string>& tokens) {
    return std::any_of(tokens.begin(), tokens.end(), [&](const auto& token) {
      return *authorization == "Bearer " + token || *authorization == "Basic " + token;
    });
  };
  if (is_of(options_.tokens)) return Caller::granted;
  return is_of(options_.tokens_without_access) ? Caller::valid_without_access : Caller::invalid;
}

bool HubSite::has_access(const SiteRepo& repo, Caller caller) const {
  return repo.repo.access == HubRepo::Access::open || caller == Caller::granted;
}

const SiteRepo* HubSite::find_repo(const std::string& id) const {
  const auto place = std::find_if(repos_.rbegin(), repos_.rend(),
                                  [&](const SiteRepo& repo) { return repo.repo.id == id; });
  return place == repos_.rend() ? nullptr : &*place;
}

HubSite::Place HubSite::find_repo_for(const HttpRequest& request, const std::string& id) const {
  const Caller caller = caller_of(request);
  if (caller == Caller::invalid) {
    return {nullptr, {}, error_answer(401, "", "Invalid credentials in Authorization header")};
  }
  const SiteRepo* repo = find_repo(id);
  if (repo == nullptr) {
    const auto same = [&](const SiteRepo& other) {
      return to_lower(other.repo.id) == to_lower(id);
    };
    const auto place = std::find_if(repos_.rbegin(), repos_.rend(), same);
    if (place != repos_.rend()) return {nullptr, {}, redirect_to_id(request, id, place->repo.id)};
  }
  const bool is_hidden = repo == nullptr || (repo->repo.access == HubRepo::Access::private_ &&
                                             caller != Caller::granted);
  if (is_hidden) return {nullptr, {}, missing_repo(caller != Caller::anonymous)};
  if (!repo->repo.renamed_to.empty())
    return {nullptr, {}, redirect_to_id(request, id, repo->repo.renamed_to)};
  return {repo, {}, {}};
}

void HubSite::find_revision(Place& place, const std::string& revision) const {
  const auto ref = place.repo->repo.refs.find(revision);
  place.commit = ref == place.repo->repo.refs.end() ? revision : ref->second;
  if (place.repo->commits.contains(place.commit)) return;
  place = {nullptr, {}, error_answer(404, "RevisionNotFound", "Invalid rev id: " + revision)};
}

Answer text_answer(int status, std::string_view content_type, std::string body) {
  Answer answer;
  answer.status = status;
  set_header(answer.headers, "Content-Type", std::string(content_type));
  set_header(answer.headers, "ETag", weak_etag(body));
  answer.text = std::move(body);
  return answer;
}

Answer error_answer(int status, std::string_view code, const std::string& message) {
  Answer answer = text_answer(status, kPlainText, message);
  if (!code.empty()) set_header(answer.headers, "X-Error-Code", std::string(code));
  set_header(answer.headers, "X-Error-Message",
             percent_encode(message, " !\"#$&'()*+,/:;<=>?@[\\]^`{|}"));
  if (status == 401) {
    set_header(answer.headers, "WWW-Authenticate",
               "Bearer realm=\"Authentication required\", charset=\"UTF-8\"");
  }
  return answer;
}

Answer json_error(const Answer& error) {
  if (find_header(error.headers, "X-Error-Message") == nullptr) return error;
  Answer answer = error;
  answer.text = nlohmann::json{{"error", error.text}}.dump(
      -1, ' ', false, nlohmann::json::error_handler_t::replace);
  set_header(answer.headers, "Content-Type", std::string(kJsonText));
  set_header(answer.headers, "ETag", weak_etag(answer.text));
  return answer;
}

}  // namespace model_prep::testing
