// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/export_target.h"

#include <fmt/format.h>

#include "model_prep/base/model_spec.h"
#include "model_prep/core/oci_image.h"

namespace model_prep {

std::string ExportTarget::text() const {
  const std::string end = kind == ExportKind::oci ? ":" + tag : "";
  return fmt::format("{}:{}{}", to_string(kind), folder, end);
}

std::optional<ExportTarget> parse_export_target(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto kind = value_of<ExportKind>(text.substr(0, colon));
  if (!kind) return std::nullopt;

  ExportTarget target{.kind = *kind, .folder = std::string(text.substr(colon + 1))};
  const std::size_t end = target.folder.find(':');
  if (*kind == ExportKind::oci && end != std::string::npos) {
    target.tag = target.folder.substr(end + 1);
    target.folder.resize(end);
  }
  if (target.folder.empty() || !is_oci_tag(target.tag)) return std::nullopt;
  return target;
}

std::optional<std::string> parse_image_prefix(std::string_view text) {
  if (text.empty()) return std::nullopt;

  while (text.starts_with('/')) text.remove_prefix(1);
  while (text.ends_with('/')) text.remove_suffix(1);
  if (text.empty()) return std::string();

  // The same rules as for the path of a file.
  return RepoPath::parse(text) && !is_whiteout(text) ? std::optional(std::string(text))
                                                     : std::nullopt;
}

}  // namespace model_prep
