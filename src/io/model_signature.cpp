// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/model_signature.h"

#include <algorithm>
#include <ctime>
#include <memory>
#include <set>
#include <vector>

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "model_prep/io/hasher.h"
#include "model_prep/io/openssl.h"

namespace model_prep {
namespace {

using Store = Owned<X509_STORE, X509_STORE_free>;
using Judging = Owned<X509_STORE_CTX, X509_STORE_CTX_free>;

/// The certificates in it belong to somebody else.
struct FreeStack {
  void operator()(STACK_OF(X509) * stack) const noexcept { sk_X509_free(stack); }
};
using Stack = std::unique_ptr<STACK_OF(X509), FreeStack>;

Error mismatch(std::string message, std::string hint = {}) {
  return {ErrorKind::signature_mismatch, std::move(message), std::move(hint)};
}

std::string der_of(const X509* certificate) {
  const int size = i2d_X509(certificate, nullptr);
  if (size <= 0) return {};
  std::string der(static_cast<std::size_t>(size), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  i2d_X509(certificate, &out);
  return der;
}

/// The sha256 of the key's SubjectPublicKeyInfo.
Digest id_of(const EVP_PKEY* key) {
  const int size = i2d_PUBKEY(key, nullptr);
  if (size <= 0) throw std::bad_alloc();
  std::string der(static_cast<std::size_t>(size), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  i2d_PUBKEY(key, &out);
  return sha256_of(der);
}

/// What a key of this kind signs; nothing if it is of another kind.
const EVP_MD* digest_for(const EVP_PKEY* key) {
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return nullptr;
  char name[80] = {};
  std::size_t size = 0;
  if (EVP_PKEY_get_group_name(key, name, sizeof name, &size) != 1) return nullptr;

  const std::string_view curve(name, size);
  if (curve == "prime256v1") return EVP_sha256();
  if (curve == "secp384r1") return EVP_sha384();
  if (curve == "secp521r1") return EVP_sha512();
  return nullptr;
}

constexpr std::string_view kCurves = "ECDSA on P-256, P-384 or P-521";

/// 112 bits: no RSA below 2048 bits in the chain, no SHA-1 (OpenSSL's SSL_CTX_set_security_level).
constexpr int kSecurityLevel = 2;

PublicKey read_key(std::string_view pem) {
  PublicKey key(PEM_read_bio_PUBKEY(reading(pem).get(), nullptr, nullptr, nullptr));

  // However it is written in the file, its hint and its id are those of the usual form.
  if (key)
    EVP_PKEY_set_utf8_string_param(key.get(), OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                   "uncompressed");
  return key;
}

/// None if one of them cannot be read: those behind it would be missing without a word.
std::vector<Certificate> read_certificates(std::string_view pem) {
  const Bio bio = reading(pem);
  std::vector<Certificate> all;
  while (Certificate one{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)})
    all.push_back(std::move(one));

  const bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  return is_end ? std::move(all) : std::vector<Certificate>();
}

/// Nothing if the bytes are not one certificate in DER, as it would be written.
Certificate read_der(std::string_view der) {
  const unsigned char* in = bytes_of(der);
  Certificate certificate(d2i_X509(nullptr, &in, static_cast<long>(der.size())));
  const bool exact = certificate && der_of(certificate.get()) == der;
  return exact ? std::move(certificate) : nullptr;
}

std::string hint_of(const EVP_PKEY* key) {
  const Bio bio = made(Bio(BIO_new(BIO_s_mem())));
  char* text = nullptr;
  if (PEM_write_bio_PUBKEY(bio.get(), key) != 1) return {};
  const long size = BIO_get_mem_data(bio.get(), &text);
  return sha256_of({text, static_cast<std::size_t>(size)}).hex();
}

Status check_by(EVP_PKEY* key, const SignatureBundle& bundle) {
  const EVP_MD* const digest = digest_for(key);
  if (digest == nullptr) return mismatch(fmt::format("the signer's key is not {}", kCurves));

  const std::string bytes = signed_bytes(bundle.payload);
  if (is_signature(bundle.signature, bytes, key, digest)) return ok();
  return mismatch("it is not the signer's signature of this statement");
}

/// See the header. The X509 functions have these facts from the certificate's extensions.
bool may_sign(X509* certificate) {
  const std::uint32_t usage = X509_get_key_usage(certificate);
  const std::uint32_t extended = X509_get_extended_key_usage(certificate);
  const bool has_usage = usage != UINT32_MAX;
  const bool has_extended = extended != UINT32_MAX;
  if ((X509_get_extension_flags(certificate) & EXFLAG_INVALID) != 0) return false;

  const bool may_sign_digests = has_usage && (usage & KU_DIGITAL_SIGNATURE) != 0;
  const bool may_sign_code = has_extended && (extended & XKU_CODE_SIGN) != 0;
  const bool may_all = has_extended && (extended & XKU_ANYEKU) != 0;
  if (has_usage && !may_sign_digests) return false;
  if (has_extended && !may_sign_code && !may_all) return false;
  return may_sign_digests || may_sign_code;
}

std::optional<std::time_t> beginning_of(const X509* certificate) {
  std::tm begin{};
  if (ASN1_TIME_to_tm(X509_get0_notBefore(certificate), &begin) != 1) return std::nullopt;
  return timegm(&begin);
}

/// Whether each of the bundle's certificates is one of the chain that was found.
bool all_in_chain(const SignatureBundle& bundle, const STACK_OF(X509) * chain) {
  std::set<std::string> used;
  for (int i = 0; i < sk_X509_num(chain); ++i) used.insert(der_of(sk_X509_value(chain, i)));
  return std::ranges::all_of(bundle.certificates,
                             [&](const std::string& der) { return used.contains(der); });
}

/// The public key of the signer's certificate, if that is to be trusted.
Result<PublicKey> certified_key(const SignatureBundle& bundle, std::string_view trusted_pem) {
  std::vector<Certificate> sent;
  for (const std::string& der : bundle.certificates) {
    sent.push_back(read_der(der));
    if (!sent.back()) return mismatch("it has a certificate that cannot be read");
  }
  X509* const signer = sent.front().get();

  const std::vector<Certificate> trusted = read_certificates(trusted_pem);
  const Store store = made(Store(X509_STORE_new()));
  for (const Certificate& one : trusted) X509_STORE_add_cert(store.get(), one.get());
  const Stack between = made(Stack(sk_X509_new_null()));
  for (std::size_t i = 1; i < sent.size(); ++i)
    if (sk_X509_push(between.get(), sent[i].get()) == 0) throw std::bad_alloc();

  const auto begin = beginning_of(signer);
  if (!begin) return mismatch("the signer's certificate has no usable time");
  const Judging judging = made(Judging(X509_STORE_CTX_new()));
  if (X509_STORE_CTX_init(judging.get(), store.get(), signer, between.get()) != 1)
    throw std::bad_alloc();
  X509_VERIFY_PARAM* const how = X509_STORE_CTX_get0_param(judging.get());
  X509_VERIFY_PARAM_set_time(how, *begin);
  X509_VERIFY_PARAM_set_auth_level(how, kSecurityLevel);

  if (X509_verify_cert(judging.get()) != 1)
    return mismatch(
        fmt::format("the signer's certificate does not lead to a trusted one ({})",
                    X509_verify_cert_error_string(X509_STORE_CTX_get_error(judging.get()))));
  if (!all_in_chain(bundle, X509_STORE_CTX_get0_chain(judging.get())))
    return mismatch("it has a certificate that is not part of the signer's chain");
  if (!may_sign(signer)) return mismatch("the signer's certificate is not one for signing");

  PublicKey key(X509_get_pubkey(signer));
  if (!key) return mismatch("the signer's certificate has no usable key");
  return key;
}

Result<PublicKey> signing_key(const SignatureBundle& bundle, const TrustedSigner& signer) {
  const bool by_key = bundle.certificates.empty();
  if (signer.kind == SignerKind::certificate_chain) {
    if (by_key) return mismatch("a bare key signed it, not one with a certificate");
    return certified_key(bundle, signer.pem);
  }
  if (!by_key) return mismatch("a key with a certificate signed it, not the bare key");

  PublicKey key = read_key(signer.pem);
  if (!key) return mismatch("the signer's key cannot be read");
  if (!bundle.key_hint.empty() && bundle.key_hint != hint_of(key.get()))
    return mismatch("another key signed it");
  return key;
}

}  // namespace

Status set_signer(TrustedSigner& signer, std::string pem) {
  const ClearedErrors cleared;
  if (signer.kind == SignerKind::certificate_chain) {
    if (read_certificates(pem).empty())
      return Error{ErrorKind::usage, "it has no certificate in PEM form"};
    signer.id = sha256_of(pem).hex();
  } else {
    const PublicKey key = read_key(pem);
    if (!key) return Error{ErrorKind::usage, "it has no public key in PEM form"};
    if (digest_for(key.get()) == nullptr)
      return Error{ErrorKind::usage, fmt::format("its key is not {}", kCurves)};
    signer.id = id_of(key.get()).hex();
  }
  signer.pem = std::move(pem);
  return ok();
}

Result<ModelSignature> verify_model_signature(std::string_view text, const TrustedSigner& signer) {
  const ClearedErrors cleared;
  if (text.size() > kMaxSignatureFile)
    return mismatch(fmt::format("it is larger than {} MiB", kMaxSignatureFile / 1024 / 1024));
  const auto bundle = parse_signature_bundle(text);
  if (!bundle) return bundle.error();

  const auto key = signing_key(*bundle, signer);
  if (!key) return key.error();
  if (Status good = check_by(key->get(), *bundle); !good) return good.error();

  // From here on it is the signer who speaks.
  auto says = parse_signed_statement(bundle->payload);
  if (!says) return says.error();
  if (sha256_of(says->digests) != says->subject)
    return mismatch("its subject is not the digest of the files that it lists");
  return ModelSignature{std::move(*says), {signer.id, id_of(key->get())}};
}

}  // namespace model_prep
