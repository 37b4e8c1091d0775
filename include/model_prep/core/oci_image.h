// SPDX-License-Identifier: Apache-2.0
// The documents of an OCI image, and the names in an OCI image layout
// (docs/developing/architecture.md, section 12.2).
//
//   <folder>/
//     oci-layout                 says that this is one; written first
//     index.json                 from tags to images; written last
//     blobs/sha256/<hex>         layers and documents, named by their digests
//     .model-prep/*.tmp          a layer before it gets its name; removed by the next export
//
// The documents hold nothing that differs from machine to machine or from day to day: the same
// layers always give the same digest. Pure text.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model_prep/base/digest.h"
#include "model_prep/base/error.h"

namespace model_prep {

/// A file in `blobs/`.
struct OciBlob {
  Digest digest;
  Bytes size{0};
  bool operator==(const OciBlob&) const = default;
};

struct OciLayer {
  OciBlob blob;
  std::string history;  ///< what it holds, for `docker history`
};

/// `sha256:…`, as references and documents have it.
std::string oci_digest(const Digest& digest);

/// There is no program in the image, so its layers are the same for every one.
inline constexpr std::string_view kOciArchitectures[] = {"amd64", "arm64"};

std::string oci_config(std::string_view architecture, std::span<const OciLayer> layers);
std::string oci_manifest(const OciBlob& config, std::span<const OciLayer> layers);

/// The image: the manifest of each architecture, in the order of `kOciArchitectures`.
std::string oci_image_index(std::span<const OciBlob> manifests);

/// The text of `index.json`, with this image under this tag. Everything else in `existing`, the
/// present text, stays as it is. An `io` error if that is not the index of a layout.
Result<std::string> oci_layout_index(const std::optional<std::string>& existing,
                                     const OciBlob& image, std::string_view tag);

/// Whether a text can be `index.json`, or `oci-layout`, of a layout.
bool is_oci_index(std::string_view text);
bool is_oci_marker(std::string_view text);

/// What a tag may be, here and in a registry: up to 128 letters, digits, `_`, `.` and `-`, not
/// beginning with one of the last two.
bool is_oci_tag(std::string_view text);

/// Whether a part of this path begins with `.wh.`: in a layer that hides a file of another name
/// (OCI image specification, "Whiteouts").
bool is_whiteout(std::string_view path);

struct OciLayoutNames {
  explicit OciLayoutNames(std::string folder) : root(std::move(folder)) {}

  std::string blob(const Digest& digest) const { return blobs + "/" + digest.hex(); }

  std::string root;
  std::string marker = root + "/oci-layout";
  std::string index = root + "/index.json";
  std::string blobs = root + "/blobs/sha256";
  std::string temporary = root + "/.model-prep";
  std::string lock = root + "/.model-prep.lock";
};

inline constexpr std::string_view kOciMarkerText = "{\"imageLayoutVersion\":\"1.0.0\"}";

}  // namespace model_prep
