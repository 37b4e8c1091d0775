// SPDX-License-Identifier: Apache-2.0
// What every user of OpenSSL in this layer needs: owners for what it allocates, texts as it reads
// them, and the check of one signature. Without memory these throw std::bad_alloc.
//
// OpenSSL keeps the errors of a thread in a queue, and libcurl would find ours there. So whoever
// parses or verifies leaves that queue empty: with a `ClearedErrors` at the beginning.
#pragma once

#include <new>
#include <string_view>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "model_prep/io/owned.h"

namespace model_prep {

using Bio = Owned<BIO, BIO_free_all>;
using Certificate = Owned<X509, X509_free>;
using DigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using PublicKey = Owned<EVP_PKEY, EVP_PKEY_free>;

/// What was just allocated, if it was.
template <class T>
T made(T owned) {
  if (!owned) throw std::bad_alloc();
  return owned;
}

struct ClearedErrors {
  ClearedErrors() = default;
  ClearedErrors(const ClearedErrors&) = delete;
  ClearedErrors& operator=(const ClearedErrors&) = delete;
  ~ClearedErrors() { ERR_clear_error(); }
};

inline const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

/// Reads `text`, which has to live as long.
inline Bio reading(std::string_view text) {
  return made(Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))));
}

/// Whether `signature` is the one of `bytes` by this key.
inline bool is_signature(std::string_view signature, std::string_view bytes, EVP_PKEY* key,
                         const EVP_MD* digest) {
  const DigestContext context = made(DigestContext(EVP_MD_CTX_new()));
  return EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(bytes),
                          bytes.size()) == 1;
}

}  // namespace model_prep
