// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/tls.h"

#include <algorithm>
#include <map>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "model_prep/io/openssl.h"

namespace model_prep {
namespace {

void free_names(GENERAL_NAMES* names) { GENERAL_NAMES_free(names); }
using Names = Owned<GENERAL_NAMES, free_names>;

constexpr std::size_t kMaxShownText = 200;  // it comes from the network and goes into one line
constexpr int kMaxHosts = 3;                // that a message lists

/// Leaves OpenSSL's error queue empty: it belongs to the thread, and libcurl would find our errors.
Result<std::vector<Certificate>> read_authorities(std::string_view pem) {
  std::vector<Certificate> found;
  const Bio bio = reading(pem);
  while (true) {
    ERR_clear_error();
    Certificate one(PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr));
    if (!one) break;
    found.push_back(std::move(one));
  }

  // The end of the text is an error too: no further certificate begins.
  const auto last = ERR_peek_last_error();
  ERR_clear_error();
  if (ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE) return found;

  return Error{ErrorKind::usage, fmt::format("certificate {} cannot be read", found.size() + 1)};
}

std::string text_of(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, std::min(static_cast<std::size_t>(std::max(size, 0L)), kMaxShownText)};
}

/// As in RFC 2253, which escapes control characters too.
std::string name_text(const X509_NAME* name) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || name == nullptr || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253) < 0)
    return "?";
  std::string text = text_of(bio);
  return text.empty() ? "(empty)" : text;
}

std::string time_text(const ASN1_TIME* time) {
  const Bio bio(BIO_new(BIO_s_mem()));
  return bio && ASN1_TIME_print(bio.get(), time) == 1 ? text_of(bio) : "?";
}

/// The hosts that a certificate is valid for.
std::string hosts_of(const X509* certificate) {
  const Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));

  Strings hosts;
  const int count = names ? sk_GENERAL_NAME_num(names.get()) : 0;
  for (int i = 0; i < std::min(count, kMaxHosts); ++i) {
    const Bio bio(BIO_new(BIO_s_mem()));
    if (!bio || GENERAL_NAME_print(bio.get(), sk_GENERAL_NAME_value(names.get(), i)) != 1) continue;

    std::string host = text_of(bio);
    std::erase_if(host, [](unsigned char c) { return c < 0x20 || c >= 0x7f; });
    hosts.push_back(std::move(host));
  }

  if (hosts.empty()) return "no host";
  return fmt::format("{}{}", fmt::join(hosts, ", "), count > kMaxHosts ? ", and others" : "");
}

std::string reason_text(int code, const X509* certificate) {
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "expired on " + time_text(X509_get0_notAfter(certificate));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return fmt::format("not valid before {}: is this machine's clock right?",
                         time_text(X509_get0_notBefore(certificate)));
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: return "self-signed";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: return "unknown issuer";
    default: return X509_verify_cert_error_string(code);
  }
}

/// A trusted chain can still be refused by libcurl, which alone checks the host name. So the
/// server's own certificate is recorded in any case.
CertificateVerdict verdict_of(bool trusted, X509_STORE_CTX* context) {
  const X509* certificate = X509_STORE_CTX_get_current_cert(context);
  const int code = X509_STORE_CTX_get_error(context);
  if (certificate == nullptr) return {trusted, X509_verify_cert_error_string(code)};

  const std::string reason = trusted ? "not valid for this host, but for: " + hosts_of(certificate)
                                     : reason_text(code, certificate);
  return {trusted, fmt::format("{} (subject {}; issuer {})", reason,
                               name_text(X509_get_subject_name(certificate)),
                               name_text(X509_get_issuer_name(certificate)))};
}

}  // namespace

struct TlsTrust::State {
  ExtraAuthorities extra;
  std::vector<Certificate> authorities;  // parsed from `extra.pem` at the first connection
  std::map<TransferId, CertificateVerdict> verdicts;

  /// Where a context stores this state and the transfer's id: OpenSSL's callback has no argument of
  /// ours.
  static int owner_index() {
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
  }
  static int id_index() {
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
  }

  /// Returns OpenSSL's own verdict unchanged. No exception may pass through OpenSSL.
  static int on_verify(int good, X509_STORE_CTX* context) noexcept {
    const auto* ssl = static_cast<SSL*>(
        X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
    const SSL_CTX* owner = ssl == nullptr ? nullptr : SSL_get_SSL_CTX(ssl);
    if (owner == nullptr || (good == 1 && X509_STORE_CTX_get_error_depth(context) != 0))
      return good;

    auto* self = static_cast<State*>(SSL_CTX_get_ex_data(owner, owner_index()));
    const auto id = static_cast<TransferId>(
        reinterpret_cast<std::uintptr_t>(SSL_CTX_get_ex_data(owner, id_index())));

    try {
      self->verdicts.insert_or_assign(id, verdict_of(good == 1, context));
    } catch (const std::exception&) {
      self->verdicts.erase(id);  // the message will be less precise
    }
    return good;
  }
};

Result<int> count_certificates(std::string_view pem) {
  const auto found = read_authorities(pem);
  if (!found) return found.error();
  return static_cast<int>(found->size());
}

std::string tls_library() {
  return fmt::format("OpenSSL {}", OpenSSL_version(OPENSSL_VERSION_STRING));
}

TlsTrust::TlsTrust(ExtraAuthorities extra) : state_(std::make_unique<State>()) {
  state_->extra = std::move(extra);
}

TlsTrust::~TlsTrust() = default;

bool TlsTrust::prepare(void* ssl_context, TransferId id) noexcept try {
  auto& [pem, directories] = state_->extra;
  if (!pem.empty()) {
    auto found = read_authorities(pem);
    if (!found) return false;
    state_->authorities = std::move(*found);
    pem.clear();
  }

  auto* context = static_cast<SSL_CTX*>(ssl_context);
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  // libcurl may use a store again: adding what is already in it succeeds and changes nothing.
  for (const Certificate& authority : state_->authorities)
    if (X509_STORE_add_cert(store, authority.get()) != 1) return false;
  if (!directories.empty() && X509_STORE_load_path(store, directories.c_str()) != 1) return false;

  void* stored_id = reinterpret_cast<void*>(static_cast<std::uintptr_t>(id));  // NOLINT
  SSL_CTX_set_verify(context, SSL_CTX_get_verify_mode(context), &State::on_verify);
  return SSL_CTX_set_ex_data(context, State::owner_index(), state_.get()) == 1 &&
         SSL_CTX_set_ex_data(context, State::id_index(), stored_id) == 1;
} catch (...) {  // out of memory; nothing may be thrown through libcurl
  return false;
}

std::optional<CertificateVerdict> TlsTrust::take(TransferId id) {
  const auto found = state_->verdicts.find(id);
  if (found == state_->verdicts.end()) return std::nullopt;

  CertificateVerdict verdict = std::move(found->second);
  state_->verdicts.erase(found);
  return verdict;
}

void TlsTrust::forget(TransferId id) { state_->verdicts.erase(id); }

}  // namespace model_prep
