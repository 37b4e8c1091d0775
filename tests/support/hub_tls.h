// SPDX-License-Identifier: Apache-2.0
// TLS for tests: generated certificates, and the server side of a connection.
//
//   const TestAuthority authority("Test Root");
//   HubOptions options;
//   options.tls = authority.certify({});                      // good for 127.0.0.1
//   options.tls = authority.certify({.expires = hours(-1)});  // expired
//   options.tls = self_signed();
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "support/hub_options.h"

namespace model_prep::testing {

struct CertificateWish {
  std::string subject = "test hub";    ///< its common name
  std::string names = "IP:127.0.0.1";  ///< in OpenSSL's spelling: "DNS:localhost,IP:127.0.0.1"
  std::chrono::seconds begins = std::chrono::hours(-48);
  std::chrono::seconds expires = std::chrono::hours(48);
};

/// A CA with a new key for each object; nothing trusts it by default.
class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name);
  ~TestAuthority();
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  const std::string& pem() const;    ///< for --ca-file
  std::string name_by_hash() const;  ///< of its file, by which OpenSSL finds it in a directory
  HubTls certify(const CertificateWish& wish) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

HubTls self_signed(const CertificateWish& wish = {});

/// The server side of TLS on a non-blocking socket.
class TlsSession {
 public:
  enum class Step { done, wants_read, wants_write, failed };

  /// Throws std::runtime_error if certificate or key cannot be used.
  TlsSession(const HubTls& tls, int socket);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  Step handshake();
  Step read(std::span<char> bytes, std::size_t& count);
  Step write(std::string_view bytes, std::size_t& count);
  void say_goodbye();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace model_prep::testing
