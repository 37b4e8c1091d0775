// SPDX-License-Identifier: Apache-2.0
// The routes of HubSite that lead to the bytes of files, and the payload host.
#include <algorithm>

#include "support/hub_site.h"

namespace model_prep::testing {
namespace {

constexpr std::string_view kTextType = "text/plain; charset=utf-8";
constexpr std::string_view kSignature = "&Signature=";

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string content_disposition(const std::string& path) {
  std::string plain = base_name(path);
  std::replace_if(
      plain.begin(), plain.end(), [](char c) { return c < ' ' || c > '~' || c == '"'; }, '_');
  return "inline; filename*=UTF-8''" + percent_encode(base_name(path)) + "; filename=\"" + plain +
         "\";";
}

Answer xml_error(int status, const std::string& code, const std::string& message) {
  Answer answer;
  answer.status = status;
  answer.headers = {{"Content-Type", "application/xml"}};
  answer.text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>" + code +
                "</Code><Message>" + message + "</Message></Error>";
  return answer;
}

Answer redirect(int status, const std::string& location) {
  Answer answer;
  answer.status = status;
  answer.headers = {{"Content-Type", std::string(kTextType)}, {"Location", location}};
  answer.text = std::string(reason_phrase(status)) + ". Redirecting to " + location;
  return answer;
}

// Of a gated repository these stay readable for all.
bool is_public_in_gated(const std::string& path) {
  return path == "README.md" || path == "LICENSE";
}

bool is_gated(const HubRepo& repo) {
  return repo.access == HubRepo::Access::gated || repo.access == HubRepo::Access::gated_masked;
}

std::string unix_time(std::chrono::system_clock::time_point when) {
  return std::to_string(
      std::chrono::duration_cast<std::chrono::seconds>(when.time_since_epoch()).count());
}

bool is_in_future(const std::string& unix_seconds) {
  const auto seconds = parse_number(unix_seconds);
  return seconds && std::chrono::system_clock::now() <
                        std::chrono::system_clock::time_point(std::chrono::seconds(*seconds));
}

/// `models/org/name`: as in the API's addresses.
std::string api_name(const HubRepo& repo) {
  return std::string(kind_of(repo.id)) + "/" + std::string(name_of(repo.id));
}

const SiteFile* find_file(const std::vector<SiteFile>& files, const std::string& path) {
  const auto place = std::find_if(files.begin(), files.end(),
                                  [&](const SiteFile& file) { return file.file.path == path; });
  return place == files.end() ? nullptr : &*place;
}

}  // namespace

Answer file_answer(const HttpRequest& request, const SiteFile& file, const std::string& etag) {
  Answer answer;
  answer.headers = {{"ETag", quoted(etag)},
                    {"Accept-Ranges", "bytes"},
                    {"Content-Disposition", content_disposition(file.file.path)}};
  const std::string size = std::to_string(file.digests.size);
  const RangeAnswer range = range_for(request.header("range"), file.digests.size);
  if (std::holds_alternative<Unsatisfiable>(range)) {
    answer.status = 416;
    answer.text = "Range Not Satisfiable";
    answer.headers = {{"Content-Range", "bytes */" + size},
                      {"Content-Type", std::string(kTextType)}};
    return answer;
  }
  answer.content = &file.file.content;
  answer.length = file.digests.size;
  if (const auto* part = std::get_if<ByteRange>(&range)) {
    answer.status = 206;
    answer.first = part->first;
    answer.length = part->last - part->first + 1;
    set_header(
        answer.headers, "Content-Range",
        "bytes " + std::to_string(part->first) + "-" + std::to_string(part->last) + "/" + size);
  }
  return answer;
}

HubSite::Place HubSite::find_place_of_file(const HttpRequest& request, const std::string& id,
                                           const std::string& revision,
                                           const std::string& path) const {
  const SiteRepo* repo = find_repo(id);
  const Caller caller = caller_of(request);
  // The gate comes before the check of the token, of the revision and of the entry, all recorded.
  if (repo != nullptr && is_gated(repo->repo) && caller != Caller::granted &&
      !is_public_in_gated(path)) {
    const bool is_known = caller == Caller::valid_without_access;
    const std::string_view kinds = kind_of(id);
    const std::string restricted = "Access to " + std::string(kinds.substr(0, kinds.size() - 1)) +
                                   " " + std::string(name_of(id)) + " is restricted";
    return {
        nullptr,
        {},
        is_known
            ? error_answer(
                  403, "GatedRepo",
                  restricted +
                      " and you are not in the authorized list. Visit https://huggingface.co/" +
                      id + " to ask for access.")
            : error_answer(
                  401, "GatedRepo",
                  restricted +
                      ". You must have access to it and be authenticated to access it. Please log in.")};
  }
  Place place = find_repo_for(request, id);
  if (place.repo == nullptr) return place;
  if (place.repo->repo.access == HubRepo::Access::disabled) {
    return {nullptr, {}, error_answer(403, "", "Access to this resource is disabled.")};
  }
  find_revision(place, revision);
  if (place.repo == nullptr || find_file(place.repo->commits.at(place.commit), path) != nullptr)
    return place;
  Answer missing = error_answer(404, "EntryNotFound", "Entry not found");
  set_header(missing.headers, "X-Repo-Commit", place.commit);
  set_header(missing.headers, "Accept-Ranges", "bytes");
  return {nullptr, {}, std::move(missing)};
}

Answer HubSite::resolve(const HttpRequest& request, const std::string& id,
                        const std::string& revision, const std::string& path) const {
  const Place place = find_place_of_file(request, id, revision, path);
  if (place.repo == nullptr) return place.refusal;
  const SiteFile& file = *find_file(place.repo->commits.at(place.commit), path);
  if (options_.style == HubOptions::Style::mirror) return serve_from_hub(request, place, file);
  return file.file.lfs ? redirect_to_payload(request, place, file)
                       : redirect_to_cache(request, place, file);
}

Answer HubSite::resolve_cache(const HttpRequest& request, const Segments& segments) const {
  const std::size_t id_end = segments.size() >= 3 && is_commit(segments[2]) ? 2 : 3;
  if (segments.size() < id_end + 2) return error_answer(404, "", "Not found");
  std::string path = segments[id_end + 1];
  for (std::size_t i = id_end + 2; i < segments.size(); ++i) path += "/" + segments[i];
  std::string id = segments[0] == "models" ? "" : segments[0] + "/";
  id += id_end == 2 ? segments[1] : segments[1] + "/" + segments[2];
  const std::string& commit = segments[id_end];
  Answer answer = error_answer(400, "", "Invalid commit: " + commit);
  if (is_commit(commit)) {
    const Place place = find_place_of_file(request, id, commit, path);
    answer = place.repo == nullptr
                 ? place.refusal
                 : serve_from_hub(request, place,
                                  *find_file(place.repo->commits.at(place.commit), path));
  }
  answer.kind = "resolve_cache";
  answer.file = path;
  return answer;
}

Answer HubSite::redirect_to_cache(const HttpRequest& request, const Place& place,
                                  const SiteFile& file) const {
  const std::string etag = quoted(file.digests.git_sha1);
  Answer answer =
      redirect(307, options_.path_prefix + "/api/resolve-cache/" + api_name(place.repo->repo) +
                        "/" + place.commit + "/" + percent_encode(file.file.path, "/") + "?" +
                        percent_encode(request.path) + "=&etag=" + percent_encode(etag));
  set_header(answer.headers, "X-Repo-Commit", place.commit);
  set_header(answer.headers, "X-Linked-Etag", etag);
  set_header(answer.headers, "Accept-Ranges", "bytes");
  set_header(answer.headers, "Content-Disposition", content_disposition(file.file.path));
  return answer;
}

Answer HubSite::redirect_to_payload(const HttpRequest& request, const Place& place,
                                    const SiteFile& file) const {
  const std::string range = options_.sign_ranges ? request.header("range").value_or("none") : "any";
  const std::string unsigned_target =
      "/xet-bridge/" + file.xet_hash +
      "?X-Xet-Cas-Uid=public&response-content-disposition=inline%3B+filename*%3DUTF-8%27%27" +
      percent_encode(percent_encode(base_name(file.file.path))) +
      "&Range-signed=" + percent_encode(range) +
      "&Expires=" + unix_time(std::chrono::system_clock::now() + options_.signed_url_lifetime);
  Answer answer = redirect(302, payload_origin_ + unsigned_target + std::string(kSignature) +
                                    signature(unsigned_target, request));
  set_header(answer.headers, "X-Repo-Commit", place.commit);
  set_header(answer.headers, "X-Linked-Size", std::to_string(file.digests.size));
  set_header(answer.headers, "X-Linked-Etag", quoted(file.digests.sha256));
  set_header(answer.headers, "X-Xet-Hash", file.xet_hash);
  // Both lead back to this hub, which answers 404: a Xet client must not leave the loopback
  // interface.
  set_header(answer.headers, "Link",
             "<" + hub_origin_ + options_.path_prefix + "/api/" + api_name(place.repo->repo) +
                 "/xet-read-token/" + place.commit + ">; rel=\"xet-auth\", <" + hub_origin_ +
                 "/cas/v1/reconstructions/" + file.xet_hash + ">; rel=\"xet-reconstruction-info\"");
  set_header(answer.headers, "Accept-Ranges", "bytes");
  set_header(answer.headers, "Cache-Control", "no-store");
  return answer;
}

Answer HubSite::serve_from_hub(const HttpRequest& request, const Place& place,
                               const SiteFile& file) const {
  Answer answer = file_answer(request, file, file.digests.blob_name());
  if (answer.status != 416) set_header(answer.headers, "Content-Type", std::string(kTextType));
  set_header(answer.headers, "X-Repo-Commit", place.commit);
  return answer;
}

// Over the text as it was sent, so that a client that decodes and encodes the URL again is found
// out.
std::string HubSite::signature(std::string_view unsigned_target, const HttpRequest& request) const {
  const std::string range = options_.sign_ranges ? request.header("range").value_or("") : "";
  return sha256_hex("signed " + std::to_string(epoch_) + "\n" + std::string(unsigned_target) +
                    "\n" + range);
}

bool HubSite::is_signed(const HttpRequest& request) const {
  const std::size_t at = request.target.rfind(kSignature);
  if (at == std::string::npos) return false;
  const std::string_view unsigned_target = std::string_view(request.target).substr(0, at);
  const std::string_view given = std::string_view(request.target).substr(at + kSignature.size());
  constexpr std::string_view kExpires = "&Expires=";
  const std::size_t expires = unsigned_target.rfind(kExpires);
  return given == signature(unsigned_target, request) && expires != std::string::npos &&
         is_in_future(std::string(unsigned_target.substr(expires + kExpires.size())));
}

Answer HubSite::answer_payload(const HttpRequest& request) const {
  constexpr std::string_view kRoute = "/xet-bridge/";
  const bool is_route = request.path.starts_with(kRoute);
  const auto place =
      is_route ? payloads_.find(request.path.substr(kRoute.size())) : payloads_.end();
  const bool is_read = request.method == "GET" || request.method == "HEAD";
  Answer answer;
  if (request.header("authorization")) {
    answer = xml_error(400, "InvalidArgument", "Only one auth mechanism allowed");
  } else if (place == payloads_.end() || !is_read) {
    answer = xml_error(404, "NoSuchKey", "The specified key does not exist.");
  } else if (!is_signed(request)) {
    answer = xml_error(403, "AccessDenied", "Request has expired or was signed for another range");
  } else {
    answer = file_answer(request, *place->second, place->second->xet_hash);
    if (answer.status != 416)
      set_header(answer.headers, "Content-Type", "application/octet-stream");
  }
  if (is_route) answer.kind = "payload";
  if (place != payloads_.end()) answer.file = place->second->file.path;
  return answer;
}

}  // namespace model_prep::testing
