// SPDX-License-Identifier: Apache-2.0
// Who is trusted, and why somebody was not: what libcurl does not tell of a certificate.
//
// libcurl does TLS, verifies chain and host name, and loads the system's roots. Before each
// handshake it lends us the context (`SSL_CTX*`, a `void*` here): further authorities are added to
// the roots, never put in their place, and the verdict on the server's certificate is written down
// for the message. The verdict itself is never changed: nothing here can make an untrusted
// certificate trusted.
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

/// How many certificates a PEM text holds; an error if one of them cannot be read.
Result<int> count_certificates(std::string_view pem);

struct CertificateVerdict {
  /// By its chain. libcurl, which alone looks at the host name, may have refused it all the same.
  bool trusted{true};
  std::string text;  ///< `unknown issuer (subject CN=a; issuer CN=b)`; of a trusted one, the hosts
                     ///< that it is for
};

class TlsTrust {
 public:
  /// `pem`: authorities that are trusted beside the system's, as `count_certificates` has seen
  /// them. They are not read before there is a connection: a run that asks nobody shall not pay for
  /// them.
  explicit TlsTrust(std::string pem);
  ~TlsTrust();
  TlsTrust(const TlsTrust&) = delete;
  TlsTrust& operator=(const TlsTrust&) = delete;

  /// Adds the authorities to this context, and listens for what becomes of it under `id`. False:
  /// out of memory, or an authority cannot be read.
  bool prepare(void* ssl_context, TransferId id) noexcept;

  /// What was found of the server's certificate; nothing if none was seen. Forgets it.
  std::optional<CertificateVerdict> take(TransferId id);
  void forget(TransferId id);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace model_prep
