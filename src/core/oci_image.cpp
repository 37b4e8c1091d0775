// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/oci_image.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kConfigType = "application/vnd.oci.image.config.v1+json";
constexpr std::string_view kLayerType = "application/vnd.oci.image.layer.v1.tar";
constexpr std::string_view kManifestType = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kIndexType = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view kTagAnnotation = "org.opencontainers.image.ref.name";
constexpr std::string_view kEpoch = "1970-01-01T00:00:00Z";

OrderedJson descriptor(std::string_view media_type, const OciBlob& blob) {
  return {{"mediaType", media_type}, {"digest", oci_digest(blob.digest)}, {"size", blob.size}};
}

std::string text_of(const OrderedJson& json) {
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

/// Null if there is no such member.
OrderedJson member(const OrderedJson& json, std::string_view name) {
  const auto found = json.is_object() ? json.find(name) : json.end();
  return found == json.end() ? OrderedJson() : *found;
}

bool has_tag(const OrderedJson& entry, std::string_view tag) {
  return member(member(entry, "annotations"), kTagAnnotation) == OrderedJson(tag);
}

/// No index of OCI is as deep as this, and writing JSON takes a call for each level.
OrderedJson parse_shallow(std::string_view text) {
  constexpr int kMaxIndexDepth = 32;
  return OrderedJson::parse(
      text,
      [](int depth, OrderedJson::parse_event_t, const OrderedJson&) {
        return depth <= kMaxIndexDepth;
      },
      /*allow_exceptions=*/false);
}

bool is_index(const OrderedJson& json) {
  return member(json, "schemaVersion") == 2 && member(json, "manifests").is_array();
}

}  // namespace

std::string oci_digest(const Digest& digest) { return "sha256:" + digest.hex(); }

std::string oci_config(std::string_view architecture, std::span<const OciLayer> layers) {
  OrderedJson diff_ids = OrderedJson::array();
  OrderedJson history = OrderedJson::array();
  for (const OciLayer& layer : layers) {
    // A layer is not compressed, so its digest is also that of its tar.
    diff_ids.push_back(oci_digest(layer.blob.digest));
    history.push_back({{"created", kEpoch}, {"created_by", layer.history}});
  }
  return text_of({{"created", kEpoch},
                  {"architecture", architecture},
                  {"os", "linux"},
                  {"config", OrderedJson::object()},
                  {"rootfs", {{"type", "layers"}, {"diff_ids", std::move(diff_ids)}}},
                  {"history", std::move(history)}});
}

std::string oci_manifest(const OciBlob& config, std::span<const OciLayer> layers) {
  OrderedJson list = OrderedJson::array();
  for (const OciLayer& layer : layers) list.push_back(descriptor(kLayerType, layer.blob));
  return text_of({{"schemaVersion", 2},
                  {"mediaType", kManifestType},
                  {"config", descriptor(kConfigType, config)},
                  {"layers", std::move(list)}});
}

std::string oci_image_index(std::span<const OciBlob> manifests) {
  OrderedJson list = OrderedJson::array();
  for (std::size_t i = 0; i < manifests.size(); ++i) {
    OrderedJson manifest = descriptor(kManifestType, manifests[i]);
    manifest["platform"] = {{"architecture", kOciArchitectures[i]}, {"os", "linux"}};
    list.push_back(std::move(manifest));
  }
  return text_of({{"schemaVersion", 2}, {"mediaType", kIndexType}, {"manifests", std::move(list)}});
}

Result<std::string> oci_layout_index(const std::optional<std::string>& existing,
                                     const OciBlob& image, std::string_view tag) {
  OrderedJson index = existing
                          ? parse_shallow(*existing)
                          : OrderedJson{{"schemaVersion", 2}, {"manifests", OrderedJson::array()}};
  if (!is_index(index))
    return Error{ErrorKind::io, "index.json is not the index of an OCI image layout",
                 "choose another folder"};

  // In place, so that the same export twice gives the same file.
  OrderedJson entry = descriptor(kIndexType, image);
  entry["annotations"] = {{kTagAnnotation, tag}};
  OrderedJson entries = OrderedJson::array();
  bool placed = false;
  for (OrderedJson& other : index["manifests"]) {
    const bool replaced = has_tag(other, tag);
    if (!replaced || !placed) entries.push_back(replaced ? entry : std::move(other));
    placed = placed || replaced;
  }
  if (!placed) entries.push_back(std::move(entry));
  index["manifests"] = std::move(entries);
  return text_of(index);
}

bool is_oci_index(std::string_view text) { return is_index(parse_shallow(text)); }

bool is_oci_marker(std::string_view text) {
  return member(parse_shallow(text), "imageLayoutVersion").is_string();
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
