// SPDX-License-Identifier: Apache-2.0
// The two digests of the Hub: sha256 of the content (LFS and Xet files) and the git blob sha1 (all
// other files), which is sha1("blob <size>\0" + content). docs/developing/hub-protocol.md,
// section 1.2: a blob's file name is its digest, so the length of the hex text tells which one it
// is.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "model_prep/base/error.h"

namespace model_prep {

enum class DigestKind : std::uint8_t { sha256, git_sha1 };

class Digest {
 public:
  /// 64 lower-case hex digits make a sha256, 40 a git blob sha1; anything else is refused
  /// (`protocol`): what comes here becomes a file name.
  static Result<Digest> parse(std::string_view hex);
  static Digest from_bytes(DigestKind kind, std::span<const unsigned char> bytes);

  DigestKind kind() const { return hex_.size() == 64 ? DigestKind::sha256 : DigestKind::git_sha1; }
  const std::string& hex() const { return hex_; }
  auto operator<=>(const Digest&) const = default;

 private:
  explicit Digest(std::string hex) : hex_(std::move(hex)) {}
  std::string hex_;
};

/// Only lower-case hex digits, and exactly `length` of them.
bool is_lower_hex(std::string_view text, std::size_t length);

/// What is shown of a digest where a person reads it: the first twelve digits.
std::string_view short_hex(const Digest& digest);

/// The canonical pointer that git holds in place of an LFS file; its git blob sha1 is the tree's
/// `oid` of that file. docs/developing/hub-protocol.md, section 8.1: checked against recorded blob
/// ids.
std::string lfs_pointer_text(const Digest& sha256, std::int64_t size);

}  // namespace model_prep
