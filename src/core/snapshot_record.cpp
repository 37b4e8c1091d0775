// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/snapshot_record.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model_prep/base/listing.h"
#include "model_prep/core/digest_check.h"
#include "model_prep/core/json_reader.h"

namespace model_prep {
namespace {

constexpr int kRecordFormat = 1;
constexpr int kTreeFormat = 1;

// Of the record, of the tree, of a file in either, and of a blob.
constexpr std::string_view kFields[] = {
    "format",        "format_version", "size",     "blob_id", "lfs_sha256",
    "lfs_size",      "xet_hash",       "mtime_ns", "sha256",  "signature.trusted",
    "signature.key", "origin",         "scan",     "level",   "blob"};
constexpr std::string_view kTreeCollections[] = {"files"};
constexpr std::string_view kRecordCollections[] = {"listing",  "unusable",      "claimed", "signed",
                                                   "licenses", "scan_findings", "blobs"};
constexpr std::string_view kScanComplete = "complete";
constexpr std::string_view kScanIncomplete = "incomplete";

/// Nobody reads the message: a record that cannot be parsed counts as missing.
Status invalid() { return Error{ErrorKind::protocol, "invalid"}; }

/// Reads one file of a listing. The keys are those of huggingface_hub's TreeCache, so that record
/// and tree share this function.
Status add_file(Listing& listing, const JsonEntry& entry) {
  const bool lfs = entry.fields.has("lfs_sha256");
  auto name = RepoPath::parse(entry.name);
  const auto oid = Digest::parse(entry.fields.text("blob_id").value_or(""));
  const auto blob = lfs ? Digest::parse(entry.fields.text("lfs_sha256").value_or("")) : oid;
  const auto size = entry.fields.integer(lfs ? "lfs_size" : "size");
  if (!name || !oid || !blob || !size || !entry.fields.integer("size")) return invalid();

  if (oid->kind() != DigestKind::git_sha1 || (blob->kind() == DigestKind::sha256) != lfs)
    return invalid();
  const bool bad_hash = entry.fields.has("xet_hash") && !entry.fields.text("xet_hash");
  if (entry.fields.has("lfs_size") != lfs || *size < 0 || *size > kMaxFileSize || bad_hash)
    return invalid();

  listing.files.push_back({.path = std::move(*name),
                           .size = *size,
                           .blob = *blob,
                           .oid = *oid,
                           .locked_sha256 = {},
                           .xet_hash = entry.fields.text("xet_hash").value_or("")});
  return ok();
}

Status add_blob(SnapshotRecord& record, const JsonEntry& entry) {
  const auto blob = Digest::parse(entry.name);
  const auto sha256 = Digest::parse(entry.fields.text("sha256").value_or(""));
  const auto size = entry.fields.integer("size");
  const auto mtime_ns = entry.fields.integer("mtime_ns");
  if (!blob || !sha256 || sha256->kind() != DigestKind::sha256 || !size || !mtime_ns)
    return invalid();
  return record.blobs.emplace(*blob, VerifiedBlob{*size, *mtime_ns, *sha256}).second ? ok()
                                                                                     : invalid();
}

/// Only a signature with its files counts.
Status add_signed_file(std::map<RepoPath, Digest>& files, const JsonEntry& entry) {
  const auto path = RepoPath::parse(entry.name);
  const auto blob = Digest::parse(entry.fields.text("blob").value_or(""));
  if (!path || !blob) return invalid();
  files.insert_or_assign(*path, *blob);
  return ok();
}

std::optional<SignedBy> read_signed_by(const JsonFields& fields) {
  const auto trusted = Digest::parse(fields.text("signature.trusted").value_or(""));
  const auto key = Digest::parse(fields.text("signature.key").value_or(""));
  if (!trusted || !key || trusted->kind() != DigestKind::sha256 ||
      key->kind() != DigestKind::sha256)
    return std::nullopt;
  return SignedBy{trusted->hex(), *key};
}

/// What is put together when the whole record was read.
struct RecordParts {
  Listing listing{};
  Listing claimed{};
  ScanVerdict scan{};
  std::map<RepoPath, Digest> signed_files{};
};

/// An entry of the record, of whichever of its collections.
Status add_entry(SnapshotRecord& record, RecordParts& parts, const JsonEntry& entry) {
  if (entry.collection == "blobs") return add_blob(record, entry);
  if (entry.collection == "listing") return add_file(parts.listing, entry);
  if (entry.collection == "claimed") return add_file(parts.claimed, entry);
  if (entry.collection == "signed") return add_signed_file(parts.signed_files, entry);
  if (entry.collection == "licenses") {
    record.facts.licenses->push_back(entry.name);
  } else if (entry.collection == "scan_findings") {
    const auto level = entry.fields.text("level");
    if (!level) return invalid();
    parts.scan.findings.insert_or_assign(entry.name, *level);
  } else {
    record.unusable.push_back(entry.name);
  }
  return ok();
}

enum class Escape : std::uint8_t { needed, all_but_ascii };

std::string quoted(const std::string& text, Escape escape) {
  return nlohmann::json(text).dump(-1, ' ', escape == Escape::all_but_ascii);
}

/// The object of a listing's files, in the layout of Python's `json.dumps(indent=1)`. Written by
/// hand because members must keep their order, and the JSON library's ordered objects take
/// quadratic time.
std::optional<std::string> files_text(const std::vector<RemoteFile>& listing, Escape escape) {
  std::map<std::string_view, const RemoteFile*> sorted;
  for (const RemoteFile& file : listing) sorted.emplace(file.path.text(), &file);
  std::string text = "{";
  for (const auto& [path, file] : sorted) {
    if (!file->oid) return std::nullopt;

    text += fmt::format("{}\n  {}: {{\n   \"size\": {},\n   \"blob_id\": \"{}\"",
                        text.size() > 1 ? "," : "", quoted(file->path.text(), escape), file->size,
                        file->oid->hex());
    if (file->blob.kind() == DigestKind::sha256)
      text += fmt::format(",\n   \"lfs_sha256\": \"{}\",\n   \"lfs_size\": {}", file->blob.hex(),
                          file->size);

    if (is_lower_hex(file->xet_hash, 64))
      text += fmt::format(",\n   \"xet_hash\": \"{}\"", file->xet_hash);
    text += "\n  }";
  }
  return text + (sorted.empty() ? "}" : "\n }");
}

std::string recorded_signature(const RecordedSignature& signature) {
  std::string files;
  for (const auto& [path, blob] : signature.files)
    files += fmt::format("{}\n  {}: {{\n   \"blob\": \"{}\"\n  }}", files.empty() ? "" : ",",
                         quoted(path.text(), Escape::needed), blob.hex());
  return fmt::format(
      ",\n \"signature\": {{\n  \"trusted\": \"{}\",\n  \"key\": \"{}\"\n }},\n \"signed\": {{{}\n }}",
      signature.by.trusted, signature.by.key.hex(), files);
}

std::string blobs_text(const std::map<Digest, VerifiedBlob>& blobs) {
  std::string text = "{";
  for (const auto& [blob, verified] : blobs)
    text += fmt::format(
        "{}\n  \"{}\": {{\n   \"size\": {},\n   \"mtime_ns\": {},\n   \"sha256\": \"{}\"\n  }}",
        text.size() > 1 ? "," : "", blob.hex(), verified.size, verified.mtime_ns,
        verified.sha256.hex());
  return text + (blobs.empty() ? "}" : "\n }");
}

/// The members of what is known.
std::string recorded_facts(const HubFacts& facts) {
  std::string text;
  if (facts.licenses) {
    std::string licenses;
    for (const std::string& license : *facts.licenses)
      licenses += fmt::format("{}\n  {}: {{}}", licenses.empty() ? "" : ",",
                              quoted(license, Escape::needed));
    text += ",\n \"licenses\": {" + licenses + (licenses.empty() ? "}" : "\n }");
  }
  if (!facts.scan) return text;

  std::string findings;
  for (const auto& [path, level] : facts.scan->findings)
    findings += fmt::format("{}\n  {}: {{\n   \"level\": {}\n  }}", findings.empty() ? "" : ",",
                            quoted(path, Escape::needed), quoted(level, Escape::needed));
  return text +
         fmt::format(",\n \"scan\": \"{}\",\n \"scan_findings\": {{{}",
                     facts.scan->complete ? kScanComplete : kScanIncomplete, findings) +
         (findings.empty() ? "}" : "\n }");
}

}  // namespace

bool vouches_for(const VerifiedBlob& verified, const BlobSpec& wanted) {
  // The sha256 is that of the bytes that had the git id under which it is recorded.
  return !check_digests({.sha256 = verified.sha256, .git_sha1 = wanted.digest}, {}, wanted);
}

bool is_signed(const SnapshotRecord& record, const TrustedSigner& signer,
               const std::vector<RemoteFile>& files) {
  return record.signature && record.signature->by.trusted == signer.id &&
         std::ranges::all_of(files, [&](const RemoteFile& file) {
           const auto found = record.signature->files.find(file.path);
           return found != record.signature->files.end() && found->second == file.blob;
         });
}

void add_signature(SnapshotRecord& record, const SignedBy& by,
                   const std::vector<RemoteFile>& files) {
  if (!record.signature || record.signature->by != by) record.signature = {by, {}};
  for (const RemoteFile& file : files)
    record.signature->files.insert_or_assign(file.path, file.blob);
}

void add_snapshot(SnapshotRecord& record, const ResolvedSnapshot& snapshot) {
  if (!snapshot.listing.empty() && !snapshot.listing_unproven) {
    record.listing = snapshot.listing;
    record.unusable = snapshot.unusable;
    record.claimed.clear();
  } else if (snapshot.listing_claimed && record.listing.empty()) {
    record.claimed = snapshot.listing;
  }

  // What somebody left in the cache, or a folder claims, says nothing of the Hub's.
  if (!snapshot.listing_unproven) update(record.facts, snapshot.facts);
  if (snapshot.signed_by) add_signature(record, *snapshot.signed_by, snapshot.files);
}

std::string serialize_record(const SnapshotRecord& record) {
  std::string text = fmt::format("{{\n \"format\": {}", kRecordFormat);
  if (!record.origin.empty())
    text += fmt::format(",\n \"origin\": {}", quoted(record.origin, Escape::needed));
  if (const auto files = files_text(record.listing, Escape::needed);
      files && !record.listing.empty())
    text += ",\n \"listing\": " + *files;
  else if (const auto claims = files_text(record.claimed, Escape::needed);
           claims && !record.claimed.empty())
    text += ",\n \"claimed\": " + *claims;

  // Only with such names, so that most records are as they ever were.
  std::string names;
  for (const std::string& name : record.unusable)
    names += fmt::format("{}\n  {}: {{}}", names.empty() ? "" : ",", quoted(name, Escape::needed));
  if (!names.empty()) text += ",\n \"unusable\": {" + names + "\n }";

  if (record.signature) text += recorded_signature(*record.signature);
  text += recorded_facts(record.facts);

  return text + ",\n \"blobs\": " + blobs_text(record.blobs) + "\n}\n";
}

std::optional<SnapshotRecord> parse_record(std::string_view text) {
  SnapshotRecord record;
  RecordParts parts;
  record.facts.licenses.emplace();
  const auto document =
      read_json(text, {.collections = kRecordCollections, .fields = kFields},
                [&](const JsonEntry& entry) { return add_entry(record, parts, entry); });
  if (!document || document->fields.integer("format") != kRecordFormat || !document->has("blobs"))
    return std::nullopt;

  // A planted listing must fail here, and not later as if the Hub had sent it.
  if (!check_listing(parts.listing, {}) || !check_listing(parts.claimed, {})) return std::nullopt;
  record.listing = std::move(parts.listing.files);
  record.claimed = std::move(parts.claimed.files);
  if (const auto by = read_signed_by(document->fields))
    record.signature = {*by, std::move(parts.signed_files)};
  record.origin = document->fields.text("origin").value_or("");

  if (!document->has("licenses")) record.facts.licenses.reset();
  const std::string state = document->fields.text("scan").value_or("");
  parts.scan.complete = state == kScanComplete;
  if (parts.scan.complete || state == kScanIncomplete) record.facts.scan = std::move(parts.scan);
  return record;
}

bool can_serialize_tree(const std::vector<RemoteFile>& listing) {
  return std::ranges::all_of(listing, [](const RemoteFile& file) { return file.oid.has_value(); });
}

std::optional<std::string> serialize_tree(const std::vector<RemoteFile>& listing) {
  const auto files = files_text(listing, Escape::all_but_ascii);
  if (!files) return std::nullopt;
  return fmt::format("{{\n \"format_version\": {},\n \"files\": {}\n}}", kTreeFormat, *files);
}

std::optional<std::vector<RemoteFile>> parse_tree(std::string_view text) {
  Listing listing;
  const auto document = read_json(text, {.collections = kTreeCollections, .fields = kFields},
                                  [&](const JsonEntry& entry) { return add_file(listing, entry); });
  if (!document || document->fields.integer("format_version") != kTreeFormat ||
      !document->has("files"))
    return std::nullopt;

  // A planted listing must fail here, and not later as if the Hub had sent it.
  if (!check_listing(listing, {})) return std::nullopt;
  return std::move(listing.files);
}

}  // namespace model_prep
