// SPDX-License-Identifier: Apache-2.0
// Additional CA certificates, and the reason why a server's certificate was refused, which libcurl
// does not report.
//
// libcurl does TLS, verifies chain and host name, and loads the system's roots. Before each
// handshake it passes us its context (CURLOPT_SSL_CTX_FUNCTION; an `SSL_CTX*`, here a `void*`). The
// additional authorities are added to the roots, never put in their place, and OpenSSL's verdict on
// the certificate is recorded for the error message. The verdict itself is never changed: nothing
// here can make an untrusted certificate trusted.
//
// One thread. A `TlsTrust` must outlive the connections whose contexts it prepared.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "model_prep/base/error.h"
#include "model_prep/base/response.h"

namespace model_prep {

/// How many certificates a PEM text contains. Fails with `usage` if one of them cannot be read.
Result<int> count_certificates(std::string_view pem);

/// `OpenSSL 3.0.17`, as it is at run time.
std::string tls_library();

struct CertificateVerdict {
  /// By its chain. libcurl, which alone checks the host name, may still have refused it.
  bool trusted{true};
  /// `unknown issuer (subject CN=a; issuer CN=b)`; for a trusted one, the hosts it is valid for.
  std::string text;
};

/// Authorities to trust in addition to the system's.
struct ExtraAuthorities {
  std::string pem;  ///< as `count_certificates` accepted it
  /// Directories separated by colons, where OpenSSL looks an authority up by the hash of its name
  /// (openssl-rehash). One that is not there does no harm.
  std::string directories;
};

class TlsTrust {
 public:
  /// What to trust in addition to the system's authorities. A run without a connection does not
  /// pay for them: they are read when a handshake needs them.
  explicit TlsTrust(ExtraAuthorities extra);
  ~TlsTrust();
  TlsTrust(const TlsTrust&) = delete;
  TlsTrust& operator=(const TlsTrust&) = delete;

  /// Adds the authorities to this context, and records verdicts on its connections under `id`.
  /// False: out of memory, or an authority cannot be read.
  bool prepare(void* ssl_context, TransferId id) noexcept;

  /// Removes and returns the verdict on the server's certificate; empty if there was none.
  std::optional<CertificateVerdict> take(TransferId id);
  void forget(TransferId id);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace model_prep
