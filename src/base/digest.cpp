// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/digest.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

/// Of a digit that `is_lower_hex` accepts.
int value_of_digit(char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; }

}  // namespace

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
  const bool is_sha256 = is_lower_hex(hex, 64);
  if (!is_sha256 && !is_lower_hex(hex, 40))
    return Error{ErrorKind::protocol,
                 fmt::format("'{}' is neither a sha256 nor a git blob sha1", truncated(hex, 80))};

  Digest digest(is_sha256 ? DigestKind::sha256 : DigestKind::git_sha1);
  for (std::size_t i = 0; i < digest.size(); ++i)
    digest.bytes_[i] = static_cast<unsigned char>(16 * value_of_digit(hex[2 * i]) +
                                                  value_of_digit(hex[2 * i + 1]));
  return digest;
}

Digest Digest::from_bytes(DigestKind kind, std::span<const unsigned char> bytes) {
  Digest digest(kind);
  std::ranges::copy(bytes.first(digest.size()), digest.bytes_.begin());
  return digest;
}

std::string Digest::hex() const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(2 * size(), '0');
  for (std::size_t i = 0; i < size(); ++i) {
    text[2 * i] = kDigits[bytes_[i] / 16];
    text[2 * i + 1] = kDigits[bytes_[i] % 16];
  }
  return text;
}

std::string lfs_pointer_text(const Digest& sha256, Bytes size) {
  return fmt::format("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n",
                     sha256.hex(), size);
}

}  // namespace model_prep
