// SPDX-License-Identifier: Apache-2.0
// Where `export` puts the models, as `--to` and `--prefix` say. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model_prep/base/enum_names.h"

namespace model_prep {

enum class ExportKind : std::uint8_t {
  oci,       ///< an image in an OCI image layout
  dir,       ///< plain files, in a folder for each model
  dir_flat,  ///< plain files of one model
};
template <>
inline constexpr std::string_view kNames<ExportKind>[] = {"oci", "dir", "dir-flat"};

struct ExportTarget {
  ExportKind kind{ExportKind::oci};
  std::string folder;
  std::string tag{"latest"};  ///< of an image

  /// As the user writes it.
  std::string text() const;
};

/// `oci:FOLDER[:TAG]`, `dir:FOLDER` or `dir-flat:FOLDER`. As for skopeo, which is to read it, the
/// folder of an image ends at the first colon. Nothing if it is anything else.
std::optional<ExportTarget> parse_export_target(std::string_view text);

/// The directory of an image in which the cache is, without slashes at its ends; empty for `/`.
/// Nothing for a path that leads elsewhere, such as `a/../b`.
std::optional<std::string> parse_image_prefix(std::string_view text);

}  // namespace model_prep
