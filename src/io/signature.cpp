// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/signature.h"

#include <new>
#include <string>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "model_prep/io/owned.h"

namespace model_prep {
namespace {

using Bio = Owned<BIO, BIO_free_all>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
using Digesting = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using Decoding = Owned<EVP_ENCODE_CTX, EVP_ENCODE_CTX_free>;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

/// Nothing if the text is no base64, which OpenSSL reads in lines of any length.
std::string decoded(std::string_view text) {
  const Decoding context(EVP_ENCODE_CTX_new());
  if (!context) throw std::bad_alloc();
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

bool is_signed(std::string_view bytes, std::string_view signature, EVP_PKEY* key) {
  const Digesting context(EVP_MD_CTX_new());
  if (!context) throw std::bad_alloc();
  return EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(bytes),
                          bytes.size()) == 1;
}

}  // namespace

Status check_signature(std::string_view bytes, std::string_view signature,
                       std::string_view key_pem) {
  const Bio bio(BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
  if (!bio) throw std::bad_alloc();
  const Key key(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
  const int type = key ? EVP_PKEY_get_base_id(key.get()) : EVP_PKEY_NONE;
  if (type != EVP_PKEY_EC && type != EVP_PKEY_RSA) {
    ERR_clear_error();
    return Error{ErrorKind::usage,
                 key ? "it is a key of neither ECDSA nor RSA" : "it has no public key in PEM form"};
  }

  const bool good =
      is_signed(bytes, signature, key.get()) || is_signed(bytes, decoded(signature), key.get());
  ERR_clear_error();
  if (good) return ok();
  return Error{ErrorKind::signature_mismatch, "it is not this key's signature of these bytes"};
}

}  // namespace model_prep
