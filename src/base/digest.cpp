// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/digest.h"

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {

bool is_lower_hex(std::string_view text, std::size_t length) {
  if (text.size() != length) return false;

  // Without a branch for each digit: the processor cannot predict which ones are letters, and a
  // record contains thousands.
  unsigned good = 1;
  for (const char c : text)
    good &= static_cast<unsigned>((c >= '0') & (c <= '9')) |
            static_cast<unsigned>((c >= 'a') & (c <= 'f'));
  return good == 1;
}

Result<Digest> Digest::parse(std::string_view hex) {
  if (!is_lower_hex(hex, 64) && !is_lower_hex(hex, 40))
    return Error{ErrorKind::protocol,
                 fmt::format("'{}' is neither a sha256 nor a git blob sha1", truncated(hex, 80))};

  return Digest(std::string(hex));
}

Digest Digest::from_bytes(DigestKind kind, std::span<const unsigned char> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const unsigned char byte : bytes.first(kind == DigestKind::sha256 ? 32 : 20))
    hex.append({kDigits[byte / 16], kDigits[byte % 16]});
  return Digest(std::move(hex));
}

std::string lfs_pointer_text(const Digest& sha256, Bytes size) {
  return fmt::format("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n",
                     sha256.hex(), size);
}

}  // namespace model_prep
