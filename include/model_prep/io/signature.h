// SPDX-License-Identifier: Apache-2.0
// Detached signatures: whether the owner of a public key signed these bytes.
//
// The signature is over the SHA-256 of the bytes, as `openssl dgst -sha256 -sign` writes it, or in
// base64 as `cosign sign-blob` does. The key is a PEM file with one public key, for ECDSA or RSA;
// others, such as Ed25519, which sign no digest, are refused. Any thread; OpenSSL's error queue is
// left empty.
#pragma once

#include <string_view>

#include "model_prep/base/error.h"

namespace model_prep {

/// Fails with `usage` if the key cannot be used, else with `signature_mismatch`. The message names
/// neither file.
Status check_signature(std::string_view bytes, std::string_view signature,
                       std::string_view key_pem);

}  // namespace model_prep
