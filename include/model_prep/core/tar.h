// SPDX-License-Identifier: Apache-2.0
// Entries of a tar archive, as the layers of an image need them: directories, files and symbolic
// links that belong to root, that everybody may read, and whose time is the epoch
// (docs/developing/architecture.md, section 12.1).
//
// The format is ustar. Where it has no room (a name of more than 100 or 255 bytes, a size from
// 8 GiB on), a pax record stands before the header. The same entry always gives the same bytes.
// An archive is, for each entry, `tar_header`, the content, and `tar_padding` zeros; then
// `kTarEnd` zeros. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "model_prep/base/types.h"

namespace model_prep {

enum class TarKind : std::uint8_t { directory, file, link };

struct TarEntry {
  std::string path;  ///< relative, and without a slash at its end
  TarKind kind{TarKind::file};
  Bytes size{0};         ///< of a file
  std::string target{};  ///< of a link
};

inline constexpr Bytes kTarEnd = 1024;

/// The header, and the pax record before it if one is needed.
std::string tar_header(const TarEntry& entry);

/// What fills the last block of a content of this size.
Bytes tar_padding(Bytes size);

/// The bytes of the whole entry in the archive.
Bytes tar_size(const TarEntry& entry);

}  // namespace model_prep
