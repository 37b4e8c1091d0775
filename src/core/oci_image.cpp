// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/oci_image.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kConfigType = "application/vnd.oci.image.config.v1+json";
constexpr std::string_view kLayerType = "application/vnd.oci.image.layer.v1.tar";
constexpr std::string_view kManifestType = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kIndexType = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view kTagAnnotation = "org.opencontainers.image.ref.name";
constexpr std::string_view kEpoch = "1970-01-01T00:00:00Z";

Json descriptor(std::string_view media_type, const OciBlob& blob) {
  return {{"mediaType", media_type}, {"digest", oci_digest(blob.digest)}, {"size", blob.size}};
}

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Null if there is no such member.
Json member(const Json& json, std::string_view name) {
  const auto found = json.is_object() ? json.find(name) : json.end();
  return found == json.end() ? Json() : *found;
}

bool has_tag(const Json& entry, std::string_view tag) {
  return member(member(entry, "annotations"), kTagAnnotation) == Json(tag);
}

/// No index of OCI is as deep as this, and writing JSON takes a call for each level.
Json parse_shallow(std::string_view text) {
  constexpr int kMaxDepth = 32;
  return Json::parse(
      text, [](int depth, Json::parse_event_t, const Json&) { return depth <= kMaxDepth; },
      /*allow_exceptions=*/false);
}

}  // namespace

std::string oci_digest(const Digest& digest) { return "sha256:" + digest.hex(); }

std::string oci_config(std::string_view architecture, std::span<const OciLayer> layers) {
  Json diff_ids = Json::array();
  Json history = Json::array();
  for (const OciLayer& layer : layers) {
    // A layer is not compressed, so its digest is also that of its tar.
    diff_ids.push_back(oci_digest(layer.blob.digest));
    history.push_back({{"created", kEpoch}, {"created_by", layer.history}});
  }
  return text_of({{"created", kEpoch},
                  {"architecture", architecture},
                  {"os", "linux"},
                  {"config", Json::object()},
                  {"rootfs", {{"type", "layers"}, {"diff_ids", std::move(diff_ids)}}},
                  {"history", std::move(history)}});
}

std::string oci_manifest(const OciBlob& config, std::span<const OciLayer> layers) {
  Json list = Json::array();
  for (const OciLayer& layer : layers) list.push_back(descriptor(kLayerType, layer.blob));
  return text_of({{"schemaVersion", 2},
                  {"mediaType", kManifestType},
                  {"config", descriptor(kConfigType, config)},
                  {"layers", std::move(list)}});
}

std::string oci_image_index(std::span<const OciBlob> manifests) {
  Json list = Json::array();
  for (std::size_t i = 0; i < manifests.size(); ++i) {
    Json manifest = descriptor(kManifestType, manifests[i]);
    manifest["platform"] = {{"architecture", kOciArchitectures[i]}, {"os", "linux"}};
    list.push_back(std::move(manifest));
  }
  return text_of({{"schemaVersion", 2}, {"mediaType", kIndexType}, {"manifests", std::move(list)}});
}

Result<std::string> oci_layout_index(const std::optional<std::string>& existing,
                                     const OciBlob& image, std::string_view tag) {
  Json index = existing ? parse_shallow(*existing)
                        : Json{{"schemaVersion", 2}, {"manifests", Json::array()}};
  if (member(index, "schemaVersion") != 2 || !member(index, "manifests").is_array())
    return Error{ErrorKind::io, "index.json is not the index of an OCI image layout",
                 "choose another folder"};

  // In place, so that the same export twice gives the same file.
  Json entry = descriptor(kIndexType, image);
  entry["annotations"] = {{kTagAnnotation, tag}};
  Json entries = Json::array();
  bool placed = false;
  for (Json& other : index["manifests"]) {
    const bool replaced = has_tag(other, tag);
    if (!replaced || !placed) entries.push_back(replaced ? entry : std::move(other));
    placed = placed || replaced;
  }
  if (!placed) entries.push_back(std::move(entry));
  index["manifests"] = std::move(entries);
  return text_of(index);
}

bool is_oci_tag(std::string_view text) {
  const std::string allowed = fmt::format("{}.-", kWordCharacters);
  return !text.empty() && text.size() <= 128 && text.front() != '.' && text.front() != '-' &&
         text.find_first_not_of(allowed) == std::string_view::npos;
}

bool is_whiteout(std::string_view path) {
  return path.starts_with(".wh.") || path.find("/.wh.") != std::string_view::npos;
}

}  // namespace model_prep
