// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/signature.h"

#include <string>

#include <openssl/pem.h>

#include "model_prep/io/openssl.h"

namespace model_prep {
namespace {

using Decoding = Owned<EVP_ENCODE_CTX, EVP_ENCODE_CTX_free>;

/// Nothing if the text is no base64, which OpenSSL reads in lines of any length.
std::string decoded(std::string_view text) {
  const Decoding context = made(Decoding(EVP_ENCODE_CTX_new()));
  EVP_DecodeInit(context.get());

  std::string bytes(text.size(), '\0');
  auto* out = reinterpret_cast<unsigned char*>(bytes.data());
  int size = 0;
  int rest = 0;
  if (EVP_DecodeUpdate(context.get(), out, &size, bytes_of(text), static_cast<int>(text.size())) <
          0 ||
      EVP_DecodeFinal(context.get(), out + size, &rest) != 1)
    return {};
  bytes.resize(static_cast<std::size_t>(size) + static_cast<std::size_t>(rest));
  return bytes;
}

}  // namespace

Status check_signature(std::string_view bytes, std::string_view signature,
                       std::string_view key_pem) {
  const ClearedErrors cleared;
  const PublicKey key(PEM_read_bio_PUBKEY(reading(key_pem).get(), nullptr, nullptr, nullptr));
  const int type = key ? EVP_PKEY_get_base_id(key.get()) : EVP_PKEY_NONE;
  if (type != EVP_PKEY_EC && type != EVP_PKEY_RSA)
    return Error{ErrorKind::usage,
                 key ? "it is a key of neither ECDSA nor RSA" : "it has no public key in PEM form"};

  const auto is_good = [&](std::string_view binary) {
    return is_signature(binary, bytes, key.get(), EVP_sha256());
  };
  if (is_good(signature) || is_good(decoded(signature))) return ok();
  return Error{ErrorKind::signature_mismatch, "it is not this key's signature of these bytes"};
}

}  // namespace model_prep
