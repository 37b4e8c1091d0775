// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/hub_api.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/core/json_reader.h"
#include "model_prep/io/url.h"

namespace model_prep {
namespace {

constexpr std::string_view kTreeFields[] = {"type", "path",    "size",     "oid",
                                            "lfs",  "lfs.oid", "lfs.size", "xetHash"};
constexpr std::string_view kBlobsFields[] = {"rfilename", "size",       "blobId",
                                             "lfs",       "lfs.sha256", "lfs.size"};
constexpr std::string_view kSiblings[] = {"siblings"};
constexpr std::string_view kInfoFields[] = {"sha"};

Error unreadable(std::string_view object, std::string_view why) {
  return {ErrorKind::protocol,
          fmt::format("{}: the hub's answer is not understood: {}", object, why),
          "a proxy or a mirror may be answering in the Hub's place: check HF_ENDPOINT"};
}

Error odd_entry(const std::string& name, std::string_view what) {
  return {ErrorKind::protocol,
          fmt::format("the listing of '{}' has no usable {}", truncated(name), what),
          {}};
}

bool is_masked(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of('*') == std::string::npos;
}

/// What an entry's members are called: the tree says `oid` where the repo info says `sha256`, for
/// the same digest.
struct Names {
  std::string_view path;
  std::string_view git_id;
  std::string_view lfs_digest;
};

Status add_file(Listing& listing, const JsonFields& entry, const Names& names) {
  const auto name = entry.text(names.path);
  if (!name) return Error{ErrorKind::protocol, "an entry has no name", {}};
  const auto path = RepoPath::parse(*name);
  if (!path) return path.error();
  const bool lfs = entry.has("lfs");
  const auto digest = entry.text(lfs ? names.lfs_digest : names.git_id);
  if (lfs && digest && is_masked(*digest)) {
    listing.masked.push_back(*path);
    return ok();
  }
  // Beside `lfs` the size may be the pointer's, but it is always there.
  const auto size = entry.integer(lfs ? "lfs.size" : "size");
  if (!size || !entry.integer("size") || *size < 0 || *size > kMaxFileSize)
    return odd_entry(*name, "size");
  const auto blob = Digest::parse(digest.value_or(""));
  const auto oid = Digest::parse(entry.text(names.git_id).value_or(""));
  if (!blob || !oid || oid->kind() != DigestKind::git_sha1 ||
      blob->kind() != (lfs ? DigestKind::sha256 : DigestKind::git_sha1))
    return odd_entry(*name, "digest");
  std::string xet_hash = entry.text("xetHash").value_or("");
  if (!is_lower_hex(xet_hash, 64)) xet_hash.clear();  // hidden, or of no use
  listing.files.push_back({*path, *size, *blob, *oid, std::nullopt, std::move(xet_hash), false});
  return ok();
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
    return Error{ErrorKind::usage,
                 fmt::format("the endpoint '{}' is not an http or https URL",
                             truncated(strip_user_info(endpoint))),
                 "write it like https://huggingface.co, without a query"};

  // The rest of a password that contains a `/` would be taken for a path, and shown.
  const auto login = find_user_info(endpoint);
  if (login && login->find('/') != std::string_view::npos)
    return Error{ErrorKind::usage, "the endpoint has an '@' after its host",
                 "write special characters of a user name or password as %XX"};
  return Hub(*url);
}

Url Hub::at(const std::string& path) const {
  return {endpoint_.text + path, endpoint_.origin, endpoint_.https};
}

Url Hub::api(const RepoId& repo, const std::string& rest) const {
  return at(fmt::format("/api/{}/{}/{}", plural(repo.kind()), repo.name(), rest));
}
Url Hub::info(const RepoId& repo, const Revision& revision) const {
  return api(repo, "revision/" + percent_encode(revision.text()));
}
Url Hub::tree(const RepoId& repo, const CommitId& commit) const {
  return api(repo, fmt::format("tree/{}?recursive=true&expand=false", commit.hex()));
}
Url Hub::blobs(const RepoId& repo, const CommitId& commit) const {
  return api(repo, fmt::format("revision/{}?blobs=true", commit.hex()));
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
  const auto document = read_json(body, {.fields = kInfoFields});
  if (!document) return unreadable(object, document.error().message);
  auto commit = CommitId::parse(document->fields.text("sha").value_or(""));
  if (!commit) return unreadable(object, commit.error().message);
  return commit;
}

Result<Listing> parse_tree_page(std::string_view body, std::string_view object) {
  Listing listing;
  const auto document = read_json(
      body, {.collections = kTopArray, .fields = kTreeFields},
      [&](const JsonEntry& entry) -> Status {
        const auto type = entry.fields.text("type");
        if (!type) return Error{ErrorKind::protocol, "an entry has no type", {}};
        return *type == "file" ? add_file(listing, entry.fields, {"path", "oid", "lfs.oid"}) : ok();
      });
  if (!document) return unreadable(object, document.error().message);
  if (!document->has(kTopArray[0])) return unreadable(object, "a listing should be an array");
  return listing;
}

Result<Listing> parse_blobs(std::string_view body, std::string_view object) {
  Listing listing;
  const auto document = read_json(
      body, {.collections = kSiblings, .fields = kBlobsFields}, [&](const JsonEntry& entry) {
        return add_file(listing, entry.fields, {"rfilename", "blobId", "lfs.sha256"});
      });
  if (!document) return unreadable(object, document.error().message);
  if (!document->has(kSiblings[0])) return unreadable(object, "there are no siblings in it");
  return listing;
}

}  // namespace model_prep
