// SPDX-License-Identifier: Apache-2.0
// The files in a zip archive, from its central directory.
//
// Source: APPNOTE.TXT of PKWARE, sections 4.3 and 4.5.3 (zip64). Pure. Bounded: 64 MiB of central
// directory, 100,000 entries.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model_prep/core/range_reader.h"

namespace model_prep {

struct ZipEntry {
  std::string name;

  /// Where its bytes are, if they are stored as they are; else nothing, because they are compressed
  /// or encrypted, or not in the file.
  struct Stored {
    Bytes begin{0};
    Bytes end{0};
  };
  std::optional<Stored> stored{};
};

/// Whether it begins like an archive that PyTorch would open as one.
bool is_zip(const FileRange& file);

/// The entries whose names end like this, in ASCII letters of either case. Nothing if the archive
/// cannot be read.
std::optional<std::vector<ZipEntry>> zip_entries(const FileRange& file, std::string_view ending);

}  // namespace model_prep
