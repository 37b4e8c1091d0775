// SPDX-License-Identifier: Apache-2.0
#include "support/hub_tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <stdexcept>

namespace model_prep::testing {
namespace {

template <auto Fn>
struct Free {
  template <class T>
  void operator()(T* pointer) const noexcept {
    Fn(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, Free<SSL_free>>;

template <class T>
T must(T result, const char* what) {
  if (!result) throw std::runtime_error(std::string("OpenSSL: ") + what);
  return result;
}

std::string text_of(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string pem_of(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  must(PEM_write_bio_X509(bio.get(), certificate), "certificate as PEM");
  return text_of(bio);
}

std::string pem_of(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()));
  must(PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr),
       "key as PEM");
  return text_of(bio);
}

Key make_key() { return Key(must(EVP_EC_gen("P-256"), "key")); }

void add_extension(X509* certificate, X509V3_CTX& context, int nid, const std::string& value) {
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  must(X509_add_ext(certificate, must(extension.get(), "extension"), -1), "adding an extension");
}

/// `issuer` null: signed with its own key.
Certificate make_certificate(EVP_PKEY* key, const CertificateWish& wish, bool authority,
                             X509* issuer, EVP_PKEY* issuer_key) {
  Certificate made(must(X509_new(), "certificate"));
  X509* const x = made.get();
  X509_set_version(x, X509_VERSION_3);
  static_assert(sizeof(long) == 8);
  ASN1_INTEGER_set(X509_get_serialNumber(x),
                   std::chrono::steady_clock::now().time_since_epoch().count());
  X509_gmtime_adj(X509_getm_notBefore(x), wish.begins.count());
  X509_gmtime_adj(X509_getm_notAfter(x), wish.expires.count());
  must(X509_set_pubkey(x, key), "public key");
  const auto* name = reinterpret_cast<const unsigned char*>(wish.subject.c_str());
  must(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8, name, -1, -1, 0),
       "subject");
  must(X509_set_issuer_name(x, X509_get_subject_name(issuer == nullptr ? x : issuer)), "issuer");
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer == nullptr ? x : issuer, x, nullptr, nullptr, 0);
  add_extension(x, context, NID_basic_constraints, authority ? "critical,CA:TRUE" : "CA:FALSE");
  if (!authority) add_extension(x, context, NID_subject_alt_name, wish.names);
  must(X509_sign(x, issuer_key, EVP_sha256()), "signature");
  return made;
}

TlsSession::Step step_of(SSL* session, int result) {
  switch (SSL_get_error(session, result)) {
    case SSL_ERROR_WANT_READ: return TlsSession::Step::wants_read;
    case SSL_ERROR_WANT_WRITE: return TlsSession::Step::wants_write;
    default: return TlsSession::Step::failed;
  }
}

/// OpenSSL writes to sockets without MSG_NOSIGNAL.
void block_sigpipe() {
  sigset_t pipe;
  ::sigemptyset(&pipe);
  ::sigaddset(&pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
}

}  // namespace

struct TestAuthority::State {
  Key key = make_key();
  Certificate certificate;
  std::string pem;
};

TestAuthority::TestAuthority(const std::string& name) : state_(std::make_unique<State>()) {
  EVP_PKEY* key = state_->key.get();
  state_->certificate = make_certificate(key, {.subject = name}, true, nullptr, key);
  state_->pem = pem_of(state_->certificate.get());
}

TestAuthority::~TestAuthority() = default;

const std::string& TestAuthority::pem() const { return state_->pem; }

std::string TestAuthority::name_by_hash() const {
  std::array<char, 16> name{};
  std::snprintf(name.data(), name.size(), "%08lx.0",
                X509_subject_name_hash(state_->certificate.get()));
  return name.data();
}

HubTls TestAuthority::certify(const CertificateWish& wish) const {
  const Key key = make_key();
  const Certificate made =
      make_certificate(key.get(), wish, false, state_->certificate.get(), state_->key.get());
  return {.certificate = pem_of(made.get()), .key = pem_of(key.get())};
}

HubTls self_signed(const CertificateWish& wish) {
  const Key key = make_key();
  return {.certificate = pem_of(make_certificate(key.get(), wish, false, nullptr, key.get()).get()),
          .key = pem_of(key.get())};
}

struct TlsSession::State {
  Context context;
  Session session;
};

TlsSession::TlsSession(const HubTls& tls, int socket) : state_(std::make_unique<State>()) {
  block_sigpipe();
  const Bio certificate(
      BIO_new_mem_buf(tls.certificate.data(), static_cast<int>(tls.certificate.size())));
  const Bio key(BIO_new_mem_buf(tls.key.data(), static_cast<int>(tls.key.size())));
  const Certificate x509(PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr));
  const Key pkey(PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr));
  state_->context.reset(must(SSL_CTX_new(TLS_server_method()), "context"));
  must(SSL_CTX_use_certificate(state_->context.get(), x509.get()), "certificate of the server");
  must(SSL_CTX_use_PrivateKey(state_->context.get(), pkey.get()), "key of the server");
  SSL_CTX_set_mode(state_->context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  state_->session.reset(must(SSL_new(state_->context.get()), "session"));
  must(SSL_set_fd(state_->session.get(), socket), "socket");
}

TlsSession::~TlsSession() = default;

TlsSession::Step TlsSession::handshake() {
  ERR_clear_error();
  const int result = SSL_accept(state_->session.get());
  return result == 1 ? Step::done : step_of(state_->session.get(), result);
}

TlsSession::Step TlsSession::read(std::span<char> bytes, std::size_t& count) {
  ERR_clear_error();
  const int result = SSL_read_ex(state_->session.get(), bytes.data(), bytes.size(), &count);
  return result == 1 ? Step::done : step_of(state_->session.get(), result);
}

TlsSession::Step TlsSession::write(std::string_view bytes, std::size_t& count) {
  ERR_clear_error();
  const int result = SSL_write_ex(state_->session.get(), bytes.data(), bytes.size(), &count);
  return result == 1 ? Step::done : step_of(state_->session.get(), result);
}

void TlsSession::say_goodbye() {
  ERR_clear_error();
  static_cast<void>(SSL_shutdown(state_->session.get()));  // its answer is not waited for
}

}  // namespace model_prep::testing
