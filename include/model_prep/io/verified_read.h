// SPDX-License-Identifier: Apache-2.0
// Reads a file from its beginning to its end, passes its bytes on, and says afterwards whether they
// were the right ones: what is made of them must not be used before that. One thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "model_prep/core/digest_check.h"

namespace model_prep {

/// Gets the bytes, a block after the other. An error of its own ends the reading.
using ByteConsumer = std::function<Status(std::string_view bytes)>;

/// The sha256 of the file. `object` begins the message of an error. A file that is too short or too
/// long is as wrong as one with other bytes (`digest_mismatch`, or `lock_mismatch`).
Result<Digest> read_verified(const std::string& path, const BlobSpec& expected,
                             const std::string& object, const ByteConsumer& consume);

}  // namespace model_prep
