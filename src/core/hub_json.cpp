// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/hub_json.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/core/json_reader.h"
#include "model_prep/core/model_card.h"

namespace model_prep {
namespace {

constexpr std::string_view kTreeFields[] = {"type", "path",    "size",     "oid",
                                            "lfs",  "lfs.oid", "lfs.size", "xetHash"};
constexpr std::string_view kBlobsFields[] = {"sha", "rfilename",  "size",    "blobId",
                                             "lfs", "lfs.sha256", "lfs.size"};
constexpr std::string_view kSiblings[] = {"siblings"};

// Of the repository's info: what the model's card says of its license, and what the scanners say.
constexpr std::string_view kFindings = "securityRepoStatus.filesWithIssues";
constexpr std::string_view kInfoCollections[] = {"siblings", kFindings};
constexpr std::string_view kLicenseTexts[] = {"cardData.license"};
constexpr std::string_view kInfoFields[] = {
    "sha",  "id",   "cardData", "cardData.license_name", "securityRepoStatus.scansDone",
    "path", "level"};

// Of the expanded tree.
constexpr std::string_view kScanFields[] = {"type", "path", "securityFileStatus.status"};
constexpr std::string_view kUnfinished[] = {"unscanned", "queued", "error"};

Error unreadable(std::string_view object, std::string_view why) {
  return {ErrorKind::protocol, fmt::format("{}: cannot read the Hub's response: {}", object, why),
          "a proxy or a mirror may be responding in the Hub's place: check HF_ENDPOINT"};
}

/// Whether git can hold a file of this name, be it one that no directory here can.
bool is_possible_in_git(std::string_view name) {
  return name.find('\0') == std::string_view::npos &&
         std::ranges::none_of(split(name, '/'), [](std::string_view part) {
           return part.empty() || part == "." || part == "..";
         });
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

  const auto name = entry.text(names.path);
  if (!name) return Error{ErrorKind::protocol, "an entry has no name"};
  if (names.has_type && *type != "file") {
    if (*type == "directory") listing.folders.push_back(*name);
    return ok();
  }

  const auto path = RepoPath::parse(*name);
  if (!path && !is_possible_in_git(*name)) return path.error();
  if (!path) {
    listing.unusable.push_back(*name);
    return ok();
  }

  if (!entry.has("size") && !entry.has(names.git_id))
    return Error{
        ErrorKind::protocol, "the files are listed without sizes and digests",
        "a lock needs no listing: make one with model-prep lock on a machine that reaches huggingface.co, and pass it with --manifest"};

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

/// Each file in which a scanner found something is named. One without a level counts as the worst,
/// and of two levels for a file the one that is no mere `caution` stays.
Status add_finding(ScanVerdict& scan, const JsonFields& entry) {
  const auto path = entry.text("path");
  if (!path) return Error{ErrorKind::protocol, "a file with issues has no path"};
  std::string level = entry.text("level").value_or("unsafe");
  const auto [at, is_new] = scan.findings.try_emplace(*path, level);
  if (!is_new && at->second == "caution") at->second = std::move(level);
  return ok();
}

/// `commit`: whose listing it must be, if it says so.
Result<Listing> parse_listing(std::string_view body, std::string_view object,
                              const JsonShape& shape, const MemberNames& names,
                              std::string_view if_missing, std::string_view commit = {}) {
  Listing listing;
  const auto document = read_json(
      body, shape, [&](const JsonEntry& entry) { return add_file(listing, entry.fields, names); });
  if (!document) {
    Error error = unreadable(object, document.error().message);
    if (!document.error().hint.empty()) error.hint = document.error().hint;
    return error;
  }
  if (document->collections.empty()) return unreadable(object, if_missing);

  const std::string found = document->fields.text("sha").value_or(std::string(commit));
  if (!commit.empty() && found != commit) return about_another_commit(object);
  return listing;
}

}  // namespace

Error about_another_commit(std::string_view object) {
  return {ErrorKind::protocol, fmt::format("{}: the response is about another commit", object),
          "a mirror or a proxy may be wrong: check HF_ENDPOINT"};
}

Result<RepoInfo> parse_info(std::string_view body, std::string_view object) {
  std::size_t files = 0;
  std::set<std::string> licenses;
  ScanVerdict scan;
  const JsonShape shape{
      .collections = kInfoCollections, .fields = kInfoFields, .texts_in = kLicenseTexts};
  const auto document = read_json(body, shape, [&](const JsonEntry& entry) -> Status {
    if (entry.collection == kFindings) return add_finding(scan, entry.fields);
    if (entry.collection == "siblings")
      ++files;
    else
      add_license(licenses, entry.text);
    return ok();
  });
  if (!document) return unreadable(object, document.error().message);

  const JsonFields& fields = document->fields;
  auto commit = CommitId::parse(fields.text("sha").value_or(""));
  if (!commit) return unreadable(object, commit.error().message);

  RepoInfo info{std::move(*commit), fields.text("id").value_or(""), files};
  if (fields.has("cardData"))
    info.licenses =
        card_licenses(std::move(licenses), fields.text("cardData.license_name").value_or(""));
  if (const auto done = fields.boolean("securityRepoStatus.scansDone")) {
    scan.complete = *done;
    info.scan = std::move(scan);
  }
  return info;
}

Status add_scan_page(ScanVerdict& scan, std::set<std::string>& seen, std::string_view body,
                     std::string_view object) {
  const auto document =
      read_json(body, {.collections = kTopArray, .fields = kScanFields},
                [&](const JsonEntry& entry) -> Status {
                  if (entry.fields.text("type") == "directory") return ok();
                  const auto path = entry.fields.text("path");
                  if (!path) return Error{ErrorKind::protocol, "an entry has no name"};
                  seen.insert(*path);

                  const std::string status =
                      entry.fields.text("securityFileStatus.status").value_or("unscanned");
                  if (std::ranges::count(kUnfinished, status) > 0)
                    scan.complete = false;
                  else if (status != "safe")
                    scan.findings.insert_or_assign(*path, status);
                  return ok();
                });
  if (!document) return unreadable(object, document.error().message);
  if (document->collections.empty()) return unreadable(object, "a listing must be an array");
  return ok();
}

Result<std::string> name_difference(const RepoId& wanted, std::string_view led_to,
                                    std::string_view id) {
  if (led_to.empty()) led_to = wanted.name();
  if (id.empty()) id = led_to;

  // An old name without an organisation, which a mirror may look up by itself.
  const std::string name = lower_case(wanted.name());
  const bool is_old_name =
      name.find('/') == std::string::npos && lower_case(id).ends_with("/" + name);
  if (lower_case(id) != lower_case(led_to) && !is_old_name)
    return Error{
        ErrorKind::protocol,
        fmt::format("{}: the response is about another repository, '{}'", wanted.text(),
                    truncated(id)),
        "use that name if the repository was renamed; otherwise a mirror is wrong: check HF_ENDPOINT"};

  if (id == wanted.name()) return std::string();
  return fmt::format(
      "{}: the Hub calls this repository {}; libraries will find it offline only "
      "under the name {}",
      wanted.text(), truncated(id), wanted.name());
}

Result<Listing> parse_tree_page(std::string_view body, std::string_view object) {
  return parse_listing(body, object, {.collections = kTopArray, .fields = kTreeFields},
                       {"path", "oid", "lfs.oid", true}, "a listing must be an array");
}

Result<Listing> parse_blobs(std::string_view body, std::string_view object,
                            std::string_view commit) {
  return parse_listing(body, object, {.collections = kSiblings, .fields = kBlobsFields},
                       {"rfilename", "blobId", "lfs.sha256", false},
                       "the member 'siblings' is missing", commit);
}

}  // namespace model_prep
