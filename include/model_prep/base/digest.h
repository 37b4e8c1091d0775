// SPDX-License-Identifier: Apache-2.0
// The two digests that the Hub uses: sha256 of the content for LFS and Xet files, and for all other
// files the git blob sha1, which is sha1("blob <size>\0" + content).
//
// A blob in the cache is named by its digest, so the length of the hex text tells which kind it is
// (docs/developing/hub-protocol.md, section 1.2).
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "model_prep/base/error.h"
#include "model_prep/base/types.h"

namespace model_prep {

enum class DigestKind : std::uint8_t { sha256, git_sha1 };

/// Holds bytes, not text: each copy of a text would be an allocation, and a run copies several
/// digests for every file.
class Digest {
 public:
  /// 64 lower-case hex digits are a sha256, 40 a git blob sha1. Anything else fails with
  /// `protocol`: the text becomes a file name.
  static Result<Digest> parse(std::string_view hex);
  static Digest from_bytes(DigestKind kind, std::span<const unsigned char> bytes);

  DigestKind kind() const { return kind_; }
  std::string hex() const;
  std::span<const unsigned char> bytes() const { return std::span(bytes_).first(size()); }
  auto operator<=>(const Digest&) const = default;

 private:
  explicit Digest(DigestKind kind) : kind_(kind) {}

  std::size_t size() const { return kind_ == DigestKind::sha256 ? 32 : 20; }

  std::array<unsigned char, 32> bytes_{};  // those of a sha1 are followed by zeros
  DigestKind kind_;
};

/// Only lower-case hex digits, and exactly `length` of them.
bool is_lower_hex(std::string_view text, std::size_t length);

/// The canonical pointer that git stores in place of an LFS file. Its git blob sha1 is the `oid`
/// that the tree lists for the file (docs/developing/hub-protocol.md, section 8.1).
std::string lfs_pointer_text(const Digest& sha256, Bytes size);

}  // namespace model_prep
