// SPDX-License-Identifier: Apache-2.0
// What the content of one file must be: carried whole from the listing or the lock to the place
// where the digests are compared (`check_digests` in core/digest_check.h).
#pragma once

#include <cstdint>
#include <optional>

#include "model_prep/base/digest.h"

namespace model_prep {

/// By this a file that was verified is recognised later on without reading it.
struct FileStamp {
  Bytes size{0};
  std::int64_t mtime_ns{0};  ///< as stat(2) reports it, since the epoch
  bool operator==(const FileStamp&) const = default;
};

struct BlobSpec {
  Digest digest;                          ///< names the blob in the cache
  Bytes size{0};                          ///< bytes
  std::optional<Digest> locked_sha256{};  ///< the lock's second digest of a plain git file
  bool locked{false};                     ///< a mismatch is reported as `lock_mismatch`
};

}  // namespace model_prep
