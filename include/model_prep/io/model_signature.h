// SPDX-License-Identifier: Apache-2.0
// Whether a model's signature (core/model_signature.h) is that of a trusted signer. Offline, with
// OpenSSL.
//
// Keys are ECDSA on P-256, P-384 or P-521, and sign a SHA-256, SHA-384 or SHA-512, as the PyPI
// package model-signing 1.1.1 has them (`sign_ec_key.py`). A bundle's hint, if it has one, must be
// the sha256 of the key in PEM form.
//
// Certificates are judged as there (`sign_certificate.py`), and more strictly where that costs no
// signer anything:
//   - The signer's certificate must lead to a self-signed one among the trusted.
//   - The time of judgement is the beginning of the signer's own certificate: a signature has no
//     time that anybody vouches for, and must outlive the certificate. Revocation is not looked up.
//   - Its key usage must allow digital signatures, or its extended key usage code signing, and
//     neither of the two may exclude that.
//   - Each certificate of the bundle must be part of that chain, byte for byte.
//
// Any thread; OpenSSL's error queue is left empty.
#pragma once

#include <string>
#include <string_view>

#include "model_prep/core/model_signature.h"

namespace model_prep {

/// Sets the content of the file of keys or certificates, and the id. Fails with `usage` if it
/// cannot be used. The message does not name the file.
Status set_signer(TrustedSigner& signer, std::string pem);

/// Fails with `signature_mismatch`; the message has no object. The signer must have its content.
Result<ModelSignature> verify_model_signature(std::string_view bundle, const TrustedSigner& signer);

}  // namespace model_prep
