// SPDX-License-Identifier: Apache-2.0
#include "model_prep/effects/hub.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model_prep/effects/http.h"

namespace model_prep {
namespace {

using Json = nlohmann::json;

Error unreadable(std::string_view object, std::string_view why) {
  return {ErrorKind::protocol, fmt::format("{}: the hub's answer is not understood: {}", object, why),
          "a proxy or a mirror may be answering in the Hub's place: check HF_ENDPOINT"};
}

bool is_masked(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of('*') == std::string::npos;
}

/// Runs `read` on the parsed body; a missing member or a wrong type is the hub's fault, not ours.
template <class Read>
auto guarded(std::string_view body, std::string_view object, Read read) -> decltype(read(Json())) {
  try {
    return read(Json::parse(body));
  } catch (const Json::exception& fault) {
    return unreadable(object, fault.what());
  }
}

/// The tree says `oid`, the repo info `sha256`, for the same digest.
struct Lfs {
  std::string sha256;
  std::int64_t size{0};
};

Status add_file(Listing& listing, const std::string& name, std::int64_t size, const std::string& git_id,
                const std::optional<Lfs>& lfs, const std::string& xet_hash) {
  const auto path = RepoPath::parse(name);
  if (!path) return path.error();
  if (lfs && is_masked(lfs->sha256)) {
    listing.masked.push_back(*path);
    return ok();
  }
  const auto oid = Digest::parse(git_id);
  if (!oid) return oid.error();
  const auto blob = lfs ? Digest::parse(lfs->sha256) : oid;
  if (!blob) return blob.error();
  const auto wanted = lfs ? DigestKind::sha256 : DigestKind::git_sha1;
  const std::int64_t true_size = lfs ? lfs->size : size;
  if (blob->kind() != wanted || oid->kind() != DigestKind::git_sha1 || true_size < 0 || true_size > kLargestFile)
    return Error{ErrorKind::protocol, fmt::format("the listing of '{}' has no usable digest or size", name), {}};
  listing.files.push_back({*path, true_size, *blob, *oid, std::nullopt, xet_hash, false});
  return ok();
}

std::optional<Lfs> lfs_of(const Json& entry, const char* digest_name) {
  const auto lfs = entry.find("lfs");
  if (lfs == entry.end() || lfs->is_null()) return std::nullopt;
  return Lfs{lfs->at(digest_name).get<std::string>(), lfs->at("size").get<std::int64_t>()};
}

std::string text_or_empty(const Json& entry, const char* name) {
  const auto found = entry.find(name);
  return found == entry.end() || !found->is_string() ? std::string() : found->get<std::string>();
}

std::string encode_path(const RepoPath& path) {
  std::string encoded;
  for (std::size_t begin = 0;;) {
    const std::size_t end = path.text().find('/', begin);
    encoded += percent_encode(std::string_view(path.text()).substr(begin, end - begin));
    if (end == std::string::npos) return encoded;
    encoded += '/';
    begin = end + 1;
  }
}

}  // namespace

Result<Hub> Hub::parse(std::string_view endpoint) {
  while (endpoint.ends_with('/')) endpoint.remove_suffix(1);
  const auto url = parse_url(endpoint);
  if (!url || endpoint.find_first_of("?#") != std::string_view::npos)
    return Error{ErrorKind::usage, fmt::format("the endpoint '{}' is not an http or https address", endpoint),
                 "it looks like https://huggingface.co, without a query"};
  return Hub(*url);
}

Url Hub::at(const std::string& path) const { return {endpoint_.text + path, endpoint_.origin, endpoint_.https}; }

Url Hub::info(const RepoId& repo, const Revision& revision) const {
  return at(fmt::format("/api/models/{}/revision/{}", repo.text(), percent_encode(revision.text())));
}
Url Hub::tree(const RepoId& repo, const CommitId& commit) const {
  return at(fmt::format("/api/models/{}/tree/{}?recursive=true&expand=false", repo.text(), commit.hex()));
}
Url Hub::blobs(const RepoId& repo, const CommitId& commit) const {
  return at(fmt::format("/api/models/{}/revision/{}?blobs=true", repo.text(), commit.hex()));
}
Url Hub::resolve(const RepoId& repo, const CommitId& commit, const RepoPath& path) const {
  return at(fmt::format("/{}/resolve/{}/{}", repo.text(), commit.hex(), encode_path(path)));
}

std::optional<Url> Hub::next_page(std::string_view link, const Url& page) const {
  const auto next = next_link(link);
  if (!next) return std::nullopt;
  auto url = resolve_url(page, *next);
  if (!url || url->origin == endpoint_.origin) return url;
  const std::size_t api = url->text.find("/api/");
  return api == std::string::npos ? std::nullopt : std::optional(at(url->text.substr(api)));
}

Result<CommitId> parse_info(std::string_view body, std::string_view object) {
  return guarded(body, object, [&](const Json& document) -> Result<CommitId> {
    return CommitId::parse(document.at("sha").get<std::string>());
  });
}

Result<Listing> parse_tree_page(std::string_view body, std::string_view object) {
  return guarded(body, object, [&](const Json& document) -> Result<Listing> {
    if (!document.is_array()) return unreadable(object, "a listing should be an array");
    Listing listing;
    for (const Json& entry : document) {
      if (entry.at("type") != "file") continue;
      Status added =
          add_file(listing, entry.at("path").get<std::string>(), entry.at("size").get<std::int64_t>(),
                   entry.at("oid").get<std::string>(), lfs_of(entry, "oid"), text_or_empty(entry, "xetHash"));
      if (!added) return unreadable(object, added.error().message);
    }
    return listing;
  });
}

Result<Listing> parse_blobs(std::string_view body, std::string_view object) {
  return guarded(body, object, [&](const Json& document) -> Result<Listing> {
    Listing listing;
    for (const Json& entry : document.at("siblings")) {
      Status added = add_file(listing, entry.at("rfilename").get<std::string>(), entry.at("size").get<std::int64_t>(),
                              entry.at("blobId").get<std::string>(), lfs_of(entry, "sha256"), {});
      if (!added) return unreadable(object, added.error().message);
    }
    return listing;
  });
}

}  // namespace model_prep
