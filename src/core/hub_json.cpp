// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/hub_json.h"

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/core/json_reader.h"

namespace model_prep {
namespace {

constexpr std::string_view kTreeFields[] = {"type", "path",    "size",     "oid",
                                            "lfs",  "lfs.oid", "lfs.size", "xetHash"};
constexpr std::string_view kBlobsFields[] = {"rfilename", "size",       "blobId",
                                             "lfs",       "lfs.sha256", "lfs.size"};
constexpr std::string_view kSiblings[] = {"siblings"};
constexpr std::string_view kInfoFields[] = {"sha"};

Error unreadable(std::string_view object, std::string_view why) {
  return {ErrorKind::protocol, fmt::format("{}: cannot read the Hub's response: {}", object, why),
          "a proxy or a mirror may be responding in the Hub's place: check HF_ENDPOINT"};
}

Error bad_entry(const std::string& name, std::string_view what) {
  return {ErrorKind::protocol,
          fmt::format("'{}' is listed without a valid {}", truncated(name), what)};
}

bool is_masked(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of('*') == std::string::npos;
}

/// How the members of an entry are called: the tree's `oid` and the repo info's `sha256` are the
/// same digest.
struct MemberNames {
  std::string_view path;
  std::string_view git_id;
  std::string_view lfs_digest;
  bool has_type;  ///< directories are listed too
};

Status add_file(Listing& listing, const JsonFields& entry, const MemberNames& names) {
  const auto type = entry.text("type");
  if (names.has_type && !type) return Error{ErrorKind::protocol, "an entry has no type"};
  if (names.has_type && *type != "file") return ok();

  const auto name = entry.text(names.path);
  if (!name) return Error{ErrorKind::protocol, "an entry has no name"};
  const auto path = RepoPath::parse(*name);
  if (!path) return path.error();

  const bool lfs = entry.has("lfs");
  const auto digest = entry.text(lfs ? names.lfs_digest : names.git_id);
  if (lfs && digest && is_masked(*digest)) {
    listing.masked.push_back(*path);
    return ok();
  }

  // In an entry with `lfs` the outer size may be the pointer's, but it is always present.
  const auto size = entry.integer(lfs ? "lfs.size" : "size");
  if (!size || !entry.integer("size") || *size < 0 || *size > kMaxFileSize)
    return bad_entry(*name, "size");

  const auto blob = Digest::parse(digest.value_or(""));
  const auto oid = Digest::parse(entry.text(names.git_id).value_or(""));
  if (!blob || !oid || oid->kind() != DigestKind::git_sha1 ||
      blob->kind() != (lfs ? DigestKind::sha256 : DigestKind::git_sha1))
    return bad_entry(*name, "digest");

  std::string xet_hash = entry.text("xetHash").value_or("");
  if (!is_lower_hex(xet_hash, 64)) xet_hash.clear();  // masked, or not a hash
  listing.files.push_back({*path, *size, *blob, *oid, std::nullopt, std::move(xet_hash)});
  return ok();
}

Result<Listing> parse_listing(std::string_view body, std::string_view object,
                              const JsonShape& shape, const MemberNames& names,
                              std::string_view if_missing) {
  Listing listing;
  const auto document = read_json(
      body, shape, [&](const JsonEntry& entry) { return add_file(listing, entry.fields, names); });
  if (!document) return unreadable(object, document.error().message);
  if (document->collections.empty()) return unreadable(object, if_missing);
  return listing;
}

}  // namespace

Result<CommitId> parse_info(std::string_view body, std::string_view object) {
  const auto document = read_json(body, {.fields = kInfoFields});
  if (!document) return unreadable(object, document.error().message);

  auto commit = CommitId::parse(document->fields.text("sha").value_or(""));
  if (!commit) return unreadable(object, commit.error().message);
  return commit;
}

Result<Listing> parse_tree_page(std::string_view body, std::string_view object) {
  return parse_listing(body, object, {.collections = kTopArray, .fields = kTreeFields},
                       {"path", "oid", "lfs.oid", true}, "a listing must be an array");
}

Result<Listing> parse_blobs(std::string_view body, std::string_view object) {
  return parse_listing(body, object, {.collections = kSiblings, .fields = kBlobsFields},
                       {"rfilename", "blobId", "lfs.sha256", false},
                       "the member 'siblings' is missing");
}

}  // namespace model_prep
