// SPDX-License-Identifier: Apache-2.0
// What is checked of a model's files before it is published, beyond their digests: one place for
// `download`, `verify` and `export`.
//
// A digest proves that the bytes are the repository's. These checks say whether the repository's
// bytes are what their names promise, and whether loading them can run code. The bytes are on disk
// and verified; where a file is not there (a dry run), its name alone decides.
#pragma once

#include <optional>

#include "model_prep/io/cache.h"

namespace model_prep {

struct FileChecks {
  /// A line each, with the model's name.
  Strings warnings{};

  /// Why the model must not be published.
  std::optional<Error> error{};
};

FileChecks check_files(const ResolvedSnapshot& snapshot, const Cache& cache);

}  // namespace model_prep
