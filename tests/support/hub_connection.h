// SPDX-License-Identifier: Apache-2.0
// The test hub's sockets: listening, and one connection that reads requests and writes responses,
// with control over every byte.
//
// Whatever waits also waits for the hub's stop descriptor, which becomes readable once and stays
// readable, so a stop ends every wait. One thread per connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "support/hub_fault_book.h"
#include "support/hub_http.h"
#include "support/hub_tls.h"

namespace model_prep::testing {

/// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    reset(other.release());
    return *this;
  }

  int get() const { return number_; }
  int release();
  void reset(int number = -1);

 private:
  int number_;
};

/// A socket on 127.0.0.1 that refuses connections; port 0 for any. While it is there, the port is
/// nobody's but that of a listener with the same number. Throws std::system_error.
Descriptor bind_on_loopback(std::uint16_t port);
/// The same, and it accepts connections.
Descriptor listen_on_loopback(std::uint16_t port);
std::uint16_t port_of(const Descriptor& socket);
/// "http://127.0.0.1:<port>"
std::string origin_of(const Descriptor& listener, std::string_view scheme = "http");
Descriptor accept_connection(const Descriptor& listener);
/// An eventfd, used as stop descriptor.
Descriptor make_event();
void set_event(const Descriptor& event);

class Connection {
 public:
  /// Called with 0 before the head and with n before n bytes of the body are passed to the kernel,
  /// and with -n if the kernel did not take them.
  using CountBytes = std::function<void(std::int64_t)>;
  enum class After { next_request, close };
  struct Closed {};
  struct Malformed {};

  /// `bytes_per_second` 0: no limit.
  Connection(Descriptor socket, int stop, std::int64_t bytes_per_second);

  /// Starts TLS; false if the handshake fails.
  bool start_tls(const HubTls& tls);

  std::variant<HttpRequest, Malformed, Closed> read_request();

  /// Sends the response, or the part of it that the delivery allows.
  After send(const HttpRequest& request, const Answer& answer, const Delivery& delivery,
             const CountBytes& count);

  /// Closes so that the client still receives everything sent. A plain close() with unread input
  /// would reset the connection.
  void close_gently();

 private:
  enum class Wait { ready, gone, timeout };

  Wait wait_for(short events, std::chrono::milliseconds timeout) const;
  /// The number of bytes; 0: would block, `wanted` says on what; -1: end or error.
  std::int64_t receive_some(std::span<char> bytes, short& wanted) const;
  std::int64_t send_some(std::string_view bytes, short& wanted) const;
  bool sleep_for(std::chrono::nanoseconds duration) const;
  bool receive();
  bool send_all(std::string_view bytes) const;
  bool send_head(const HttpRequest& request, const Answer& answer, const Delivery& delivery) const;
  bool send_body(const HttpRequest& request, const Answer& answer, const Delivery& delivery,
                 const CountBytes& count);
  bool send_piece(std::span<const char> piece, Delivery::Framing framing,
                  const CountBytes& count) const;
  bool stall(const Stall& stall) const;
  void send_reset();
  std::int64_t rate_at(std::int64_t position, const Delivery& delivery) const;

  Descriptor socket_;
  std::unique_ptr<TlsSession> tls_;  ///< none: plain
  int stop_;
  std::int64_t bytes_per_second_;
  std::string input_;   ///< received and not used yet
  std::string buffer_;  ///< for pieces of bodies
};

}  // namespace model_prep::testing
