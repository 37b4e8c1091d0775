// SPDX-License-Identifier: Apache-2.0
// Who must have signed a model, and who did. Values only.
#pragma once

#include <cstdint>
#include <string>

#include "model_prep/base/digest.h"
#include "model_prep/base/enum_names.h"

namespace model_prep {

/// A public key, or certificates from which the signer's own must descend. The names are those of
/// the manifest's members.
enum class SignerKind : std::uint8_t { key, certificate_chain };
template <>
inline constexpr std::string_view kNames<SignerKind>[] = {"key", "certificate_chain"};

/// Whose signature a model must have.
struct TrustedSigner {
  SignerKind kind{SignerKind::key};

  /// The PEM file: as the manifest names it, or empty if the command line does.
  std::string in_manifest;

  /// Where that file is, and its content, once it was read.
  std::string file{};
  std::string pem{};

  /// Tells signers apart in our record, 64 hex digits: the sha256 of a key's SubjectPublicKeyInfo,
  /// or of the file of certificates.
  std::string id{};

  bool operator==(const TrustedSigner&) const = default;
};

/// A signature that was verified: who was trusted (`TrustedSigner::id`), and the sha256 of the
/// SubjectPublicKeyInfo of the key that signed.
struct SignedBy {
  std::string trusted;
  Digest key;

  bool operator==(const SignedBy&) const = default;
};

}  // namespace model_prep
