// SPDX-License-Identifier: Apache-2.0
#include "model_prep/decisions/record.h"

#include <nlohmann/json.hpp>

namespace model_prep {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kRecordFormat = 1;

/// Reads one file of a listing; the keys are huggingface_hub's (TreeCache), so that record and tree share them.
std::optional<RemoteFile> parse_file(const std::string& path, const Json& entry) {
  const auto name = RepoPath::parse(path);
  const auto oid = Digest::parse(entry.at("blob_id").get<std::string>());
  if (!name || !oid || oid->kind() != DigestKind::git_sha1) return std::nullopt;
  RemoteFile file{.path = *name,
                  .size = entry.at("size").get<std::int64_t>(),
                  .blob = *oid,
                  .oid = *oid,
                  .expected_sha256 = {},
                  .xet_hash = entry.value("xet_hash", std::string()),
                  .locked = false};
  if (const auto lfs = entry.find("lfs_sha256"); lfs != entry.end()) {
    const auto sha256 = Digest::parse(lfs->get<std::string>());
    if (!sha256 || sha256->kind() != DigestKind::sha256) return std::nullopt;
    file.blob = *sha256;
    file.size = entry.at("lfs_size").get<std::int64_t>();
  }
  if (file.size < 0) return std::nullopt;
  return file;
}

std::optional<std::vector<RemoteFile>> parse_files(const Json& files) {
  std::vector<RemoteFile> listing;
  for (const auto& [path, entry] : files.items()) {
    auto file = parse_file(path, entry);
    if (!file) return std::nullopt;
    listing.push_back(std::move(*file));
  }
  return listing;
}

std::optional<Json> files_json(const std::vector<RemoteFile>& listing) {
  std::map<std::string, const RemoteFile*> sorted;
  for (const RemoteFile& file : listing) sorted.emplace(file.path.text(), &file);
  Json files = Json::object();
  for (const auto& [path, file] : sorted) {
    if (!file->oid) return std::nullopt;
    Json entry = {{"size", file->size}, {"blob_id", file->oid->hex()}};
    if (file->blob.kind() == DigestKind::sha256) {
      entry["lfs_sha256"] = file->blob.hex();
      entry["lfs_size"] = file->size;
    }
    if (is_lower_hex(file->xet_hash, 64)) entry["xet_hash"] = file->xet_hash;
    files[path] = std::move(entry);
  }
  return files;
}

/// Runs `read` on the parsed text; any surprise in it is "nothing".
template <class Read>
auto guarded(std::string_view text, Read read) -> decltype(read(Json())) {
  try {
    return read(Json::parse(text));
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace

std::string record_text(const Record& record) {
  Json blobs = Json::object();
  for (const auto& [blob, verified] : record.blobs)
    blobs[blob.hex()] = {{"size", verified.size}, {"mtime_ns", verified.mtime_ns}, {"sha256", verified.sha256.hex()}};
  Json document = {{"format", kRecordFormat}};
  if (const auto files = files_json(record.listing); files && !record.listing.empty()) document["listing"] = *files;
  document["blobs"] = std::move(blobs);
  return document.dump(1) + "\n";
}

std::optional<Record> parse_record(std::string_view text) {
  return guarded(text, [](const Json& document) -> std::optional<Record> {
    if (document.at("format") != kRecordFormat) return std::nullopt;
    Record record;
    if (const auto listing = document.find("listing"); listing != document.end()) {
      auto files = parse_files(*listing);
      if (!files) return std::nullopt;
      record.listing = std::move(*files);
    }
    for (const auto& [hex, entry] : document.at("blobs").items()) {
      const auto blob = Digest::parse(hex);
      const auto sha256 = Digest::parse(entry.at("sha256").get<std::string>());
      if (!blob || !sha256 || sha256->kind() != DigestKind::sha256) return std::nullopt;
      record.blobs.emplace(
          *blob, VerifiedBlob{entry.at("size").get<std::int64_t>(), entry.at("mtime_ns").get<std::int64_t>(), *sha256});
    }
    return record;
  });
}

std::optional<std::string> tree_text(const std::vector<RemoteFile>& listing) {
  const auto files = files_json(listing);
  if (!files) return std::nullopt;
  const Json document = {{"format_version", 1}, {"files", *files}};
  return document.dump(1, ' ', true);
}

std::optional<std::vector<RemoteFile>> parse_tree(std::string_view text) {
  return guarded(text, [](const Json& document) -> std::optional<std::vector<RemoteFile>> {
    if (document.at("format_version") != 1) return std::nullopt;
    return parse_files(document.at("files"));
  });
}

}  // namespace model_prep
