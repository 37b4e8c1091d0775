// SPDX-License-Identifier: Apache-2.0
// What is checked of a model's files before it is published, beyond their digests: one place for
// `download`, `verify` and `export`.
//
// A digest proves that the bytes are the repository's. These checks say whether the repository's
// bytes are what their names promise, and whether loading them can run code. The bytes are on disk
// and verified; where a file is not there (a dry run), its name alone decides.
//
//   a file                      fails the model with
//   Git LFS pointer as weights  not_found
//   *.safetensors, *.gguf       malformed: the library of the format would not open it
//   a pickle                    pickle_forbidden, if the model's policy says so
//
// A pickle is told by its name, or by an index of shards: transformers opens each shard as one that
// is not called .safetensors.
//
// What else looks wrong is a warning, because some loader may accept it.
#pragma once

#include <optional>

#include "model_prep/io/cache.h"

namespace model_prep {

struct FileChecks {
  /// A line each, with the model's name.
  Strings warnings{};

  /// Why the model must not be published.
  std::optional<Error> error{};

  /// The file whose contents are the reason; empty if none of them is.
  std::string file{};
};

/// A model is looked into when it is published, with all of its files, and by `verify`; nothing
/// remembers that. So a satisfied run reads no headers, and what an earlier version of this program
/// published, which looked into nothing, is looked into by `verify`. `headers` is for verified
/// bytes only: a damaged header would be taken for the repository's.
enum class Look : std::uint8_t {
  first_bytes,  ///< of a few files
  policy,       ///< the same, and all that the model's policy needs to know
  headers,      ///< of all files that have one that is known here
};

FileChecks check_files(const ResolvedSnapshot& snapshot, const Cache& cache, Look look);

}  // namespace model_prep
