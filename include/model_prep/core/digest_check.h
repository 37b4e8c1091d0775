// SPDX-License-Identifier: Apache-2.0
// Whether the bytes on disk are the right ones. Pure.
#pragma once

#include "model_prep/base/blob_spec.h"
#include "model_prep/base/digest.h"
#include "model_prep/base/error.h"

namespace model_prep {

/// What the bytes on disk hash to. Neither digest nor error: their size was already wrong.
struct HashResult {
  std::optional<Digest> sha256{};
  std::optional<Digest> git_sha1{};
  std::optional<Error> error{};  ///< reading or syncing failed

  /// Of the open file when its hash ended. Nothing if it changed while it was hashed.
  std::optional<FileStamp> stamp{};
};

/// Why these are not the right bytes, or nothing. `object` begins the message.
std::optional<Error> check_digests(const HashResult& found, const std::string& object,
                                   const BlobSpec& expected);

}  // namespace model_prep
