// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/digest_check.h"

#include <fmt/format.h>

namespace model_prep {

std::optional<Error> check_digests(const HashResult& found, const std::string& object,
                                   const BlobSpec& expected) {
  const auto wrong = [&](const std::string& what) {
    return Error{expected.locked ? ErrorKind::lock_mismatch : ErrorKind::digest_mismatch,
                 object + ": " + what};
  };
  const bool by_sha256 = expected.digest.kind() == DigestKind::sha256;
  const auto& digest = by_sha256 ? found.sha256 : found.git_sha1;

  if (!digest) return wrong(fmt::format("its size is not {} bytes", expected.size));
  if (digest != expected.digest)
    return wrong(
        fmt::format("its bytes hash to {}, expected {}", digest->hex(), expected.digest.hex()));
  if (expected.locked_sha256 && expected.locked_sha256 != found.sha256)
    return wrong(fmt::format("its sha256 is {}, the lock says {}", found.sha256->hex(),
                             expected.locked_sha256->hex()));
  return std::nullopt;
}

}  // namespace model_prep
