// SPDX-License-Identifier: Apache-2.0
#include "support/hub_connection.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

namespace model_prep::testing {
namespace {

constexpr std::size_t kMaximumHead = 16'384;
constexpr std::int64_t kSendSize = 262'144;
// Room for a few pieces, so that making bytes and copying them out overlap.
constexpr int kSendBuffer = 1024 * 1024;
// A slow body is sent in this many pieces a second.
constexpr std::int64_t kSlowPiecesPerSecond = 50;
// For a client that neither reads nor closes.
constexpr std::chrono::milliseconds kPatience{2000};

int require(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void set_option(int socket, int level, int option, int value) {
  // Only speed is lost if the kernel refuses.
  static_cast<void>(::setsockopt(socket, level, option, &value, sizeof value));
}

bool has_body(const HttpRequest& request, const Answer& answer) {
  return request.method != "HEAD" && answer.status != 204 && answer.status != 304;
}

std::int64_t bytes_to_send(const HttpRequest& request, const Answer& answer,
                           const Delivery& delivery) {
  if (!has_body(request, answer)) return 0;
  return std::max<std::int64_t>(0, answer.body_length() + delivery.extra - delivery.cut);
}

// The body's bytes from `position` on. A body that is too long continues with X's.
bool fill(const Answer& answer, const Delivery& delivery, std::int64_t position,
          std::span<char> piece) {
  const auto own = static_cast<std::size_t>(std::clamp<std::int64_t>(
      answer.body_length() - position, 0, static_cast<std::int64_t>(piece.size())));
  if (answer.content == nullptr) {
    std::copy_n(answer.text.data() + std::min<std::int64_t>(position, answer.body_length()), own,
                piece.data());
  } else if (read_content(*answer.content, answer.first + position, piece.first(own)) != own) {
    return false;
  }
  std::fill(piece.begin() + static_cast<std::ptrdiff_t>(own), piece.end(), 'X');
  const std::int64_t flipped = delivery.flipped.value_or(-1) - position;
  if (flipped >= 0 && flipped < static_cast<std::int64_t>(own)) {
    char& byte = piece[static_cast<std::size_t>(flipped)];
    byte = static_cast<char>(byte ^ 1);
  }
  return true;
}

// A signal restarts the wait with the full time, which no test minds.
int poll_through_signals(std::span<pollfd> descriptors, std::chrono::nanoseconds timeout) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(timeout);
  const timespec time = {seconds.count(), static_cast<long>((timeout - seconds).count())};
  int count;
  while ((count = ::ppoll(descriptors.data(), descriptors.size(), &time, nullptr)) < 0 &&
         errno == EINTR) {
  }
  return count;
}

std::string hex(std::size_t number) {
  std::array<char, 32> text{};
  return {text.data(),
          static_cast<std::size_t>(std::snprintf(text.data(), text.size(), "%zx", number))};
}

// The next position at which a piece has to end, because a fault happens there.
std::int64_t next_mark(std::int64_t position, std::int64_t end, const Delivery& delivery) {
  for (const std::int64_t mark :
       {delivery.stall ? delivery.stall->after : -1, delivery.drip ? delivery.drip->after : -1}) {
    if (mark > position) end = std::min(end, mark);
  }
  return end;
}

// The result of a TLS step as Connection::receive_some returns it.
std::int64_t moved(TlsSession::Step step, std::size_t count, short& wanted) {
  if (step == TlsSession::Step::done) return static_cast<std::int64_t>(count);
  wanted = step == TlsSession::Step::wants_write ? POLLOUT : POLLIN;
  return step == TlsSession::Step::failed ? -1 : 0;
}

}  // namespace

int Descriptor::release() { return std::exchange(number_, -1); }

void Descriptor::reset(int number) {
  if (number_ >= 0) ::close(number_);
  number_ = number;
}

Descriptor bind_on_loopback(std::uint16_t port) {
  Descriptor socket(
      require(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
  set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  const sockaddr_in address = loopback(port);
  require(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
          "bind");
  return socket;
}

Descriptor listen_on_loopback(std::uint16_t port) {
  Descriptor listener = bind_on_loopback(port);
  require(::listen(listener.get(), SOMAXCONN), "listen");
  return listener;
}

std::uint16_t port_of(const Descriptor& socket) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  require(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length),
          "getsockname");
  return ntohs(address.sin_port);
}

std::string origin_of(const Descriptor& listener, std::string_view scheme) {
  return std::string(scheme) + "://127.0.0.1:" + std::to_string(port_of(listener));
}

Descriptor accept_connection(const Descriptor& listener) {
  Descriptor socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (socket.get() < 0) return socket;
  set_option(socket.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(socket.get(), SOL_SOCKET, SO_SNDBUF, kSendBuffer);
  return socket;
}

Descriptor make_event() {
  return Descriptor(require(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd"));
}

void set_event(const Descriptor& event) { static_cast<void>(::eventfd_write(event.get(), 1)); }

Connection::Connection(Descriptor socket, int stop, std::int64_t bytes_per_second)
    : socket_(std::move(socket)), stop_(stop), bytes_per_second_(bytes_per_second) {}

Connection::Wait Connection::wait_for(short events, std::chrono::milliseconds timeout) const {
  std::array<pollfd, 2> descriptors = {{{stop_, POLLIN, 0}, {socket_.get(), events, 0}}};
  // kForever does not fit into nanoseconds.
  const int count = poll_through_signals(
      descriptors, std::min<std::chrono::milliseconds>(timeout, std::chrono::hours(24)));
  if (count == 0) return Wait::timeout;
  if (count < 0 || descriptors[0].revents != 0) return Wait::gone;
  return (descriptors[1].revents & (POLLERR | POLLNVAL)) != 0 ? Wait::gone : Wait::ready;
}

// False if the hub stops meanwhile.
bool Connection::sleep_for(std::chrono::nanoseconds duration) const {
  pollfd descriptor = {stop_, POLLIN, 0};
  return poll_through_signals({&descriptor, 1}, duration) == 0;
}

bool Connection::start_tls(const HubTls& tls) {
  tls_ = std::make_unique<TlsSession>(tls, socket_.get());
  while (true) {
    const TlsSession::Step step = tls_->handshake();
    if (step == TlsSession::Step::done) return true;
    if (step == TlsSession::Step::failed) return false;
    if (wait_for(step == TlsSession::Step::wants_read ? POLLIN : POLLOUT, kForever) != Wait::ready)
      return false;
  }
}

std::int64_t Connection::receive_some(std::span<char> bytes, short& wanted) const {
  wanted = POLLIN;
  if (tls_) {
    std::size_t count = 0;
    const TlsSession::Step step = tls_->read(bytes, count);
    return moved(step, count, wanted);
  }
  const auto count = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
  if (count > 0) return count;
  return count < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

std::int64_t Connection::send_some(std::string_view bytes, short& wanted) const {
  wanted = POLLOUT;
  if (tls_) {
    std::size_t count = 0;
    const TlsSession::Step step = tls_->write(bytes, count);
    return moved(step, count, wanted);
  }
  const auto count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (count > 0) return count;
  return count < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

bool Connection::receive() {
  while (true) {
    std::array<char, kMaximumHead> bytes;
    short wanted = 0;
    // First read, then wait: TLS may hold bytes of which the socket knows nothing.
    const std::int64_t count = receive_some(bytes, wanted);
    if (count < 0) return false;
    input_.append(bytes.data(), static_cast<std::size_t>(count));
    if (count > 0) return true;
    if (wait_for(wanted, kForever) != Wait::ready) return false;
  }
}

std::variant<HttpRequest, Connection::Malformed, Connection::Closed> Connection::read_request() {
  std::size_t end;
  while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
    if (input_.size() > kMaximumHead) return Malformed{};
    if (!receive()) return Closed{};
  }
  if (end > kMaximumHead) return Malformed{};
  auto request = parse_request_head(std::string_view(input_).substr(0, end));
  if (!request) return Malformed{};
  const auto length = request_body_length(*request);
  if (!length) return Malformed{};
  const std::size_t body = end + 4;
  while (input_.size() - body < static_cast<std::size_t>(*length)) {
    if (!receive()) return Closed{};
  }
  request->body = input_.substr(body, static_cast<std::size_t>(*length));
  input_.erase(0, body + static_cast<std::size_t>(*length));
  return *std::move(request);
}

bool Connection::send_all(std::string_view bytes) const {
  while (!bytes.empty()) {
    short wanted = 0;
    const std::int64_t count = send_some(bytes, wanted);
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
    if (count == 0 && wait_for(wanted, kForever) != Wait::ready) return false;
  }
  return true;
}

bool Connection::send_head(const HttpRequest& request, const Answer& answer,
                           const Delivery& delivery) const {
  std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " ";
  head.append(reason_phrase(answer.status)).append("\r\nDate: ");
  head.append(http_date(std::chrono::system_clock::now())).append("\r\n");
  for (const auto& [name, value] : answer.headers)
    head.append(name).append(": ").append(value).append("\r\n");
  const bool states_length = delivery.framing == Delivery::Framing::content_length &&
                             find_header(answer.headers, "Content-Length") == nullptr;
  if (states_length && answer.status != 204 && answer.status != 304) {
    head += "Content-Length: " + std::to_string(answer.body_length()) + "\r\n";
  }
  if (delivery.framing == Delivery::Framing::chunked) head += "Transfer-Encoding: chunked\r\n";
  const bool closes = !request.keep_alive || delivery.framing == Delivery::Framing::until_close;
  head += closes ? "Connection: close\r\n\r\n" : "Connection: keep-alive\r\n\r\n";
  return send_all(head);
}

bool Connection::send_piece(std::span<const char> piece, Delivery::Framing framing,
                            const CountBytes& count) const {
  const auto size = static_cast<std::int64_t>(piece.size());
  const bool is_chunk = framing == Delivery::Framing::chunked;
  count(size);
  if (is_chunk && !send_all(hex(piece.size()) + "\r\n")) return false;
  if (!send_all({piece.data(), piece.size()})) {
    count(-size);
    return false;
  }
  return !is_chunk || send_all("\r\n");
}

std::int64_t Connection::rate_at(std::int64_t position, const Delivery& delivery) const {
  if (delivery.drip && position >= delivery.drip->after)
    return std::max<std::int64_t>(1, delivery.drip->bytes_per_second);
  return bytes_per_second_;
}

bool Connection::send_body(const HttpRequest& request, const Answer& answer,
                           const Delivery& delivery, const CountBytes& count) {
  std::int64_t end = bytes_to_send(request, answer, delivery);
  if (delivery.reset) end = std::min(end, delivery.reset->after);
  const std::int64_t stall_at = delivery.stall ? std::min(delivery.stall->after, end) : -1;
  auto due = std::chrono::steady_clock::now();
  for (std::int64_t position = 0; position < end;) {
    if (position == stall_at && !stall(*delivery.stall)) return false;
    const std::int64_t rate = rate_at(position, delivery);
    const std::int64_t piece_size =
        rate == 0 ? kSendSize : std::clamp<std::int64_t>(rate / kSlowPiecesPerSecond, 1, kSendSize);
    const std::int64_t size = std::min(piece_size, next_mark(position, end, delivery) - position);
    buffer_.resize(static_cast<std::size_t>(kSendSize));
    const auto piece = std::span(buffer_).first(static_cast<std::size_t>(size));
    if (!fill(answer, delivery, position, piece) || !send_piece(piece, delivery.framing, count))
      return false;
    position += size;
    if (rate == 0) {
      // No credit for the slow part from a fast one.
      due = std::chrono::steady_clock::now();
      continue;
    }
    // Against a clock and not by a fixed pause, so that the time for sending does not add up.
    due = std::max(due, std::chrono::steady_clock::now() - std::chrono::milliseconds(100)) +
          std::chrono::nanoseconds(std::chrono::seconds(1)) * size / rate;
    const auto pause = due - std::chrono::steady_clock::now();
    if (pause.count() > 0 && !sleep_for(pause)) return false;
  }
  return stall_at != end || stall(*delivery.stall);
}

// False if the client left or the hub stops.
bool Connection::stall(const Stall& stall) const {
  // POLLRDHUP alone: more requests from the client do not end a silence.
  return wait_for(POLLRDHUP, stall.lasting) == Wait::timeout;
}

void Connection::send_reset() {
  // A reset discards data that the client's kernel has not received yet, so wait until it has all.
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  int unsent = 0;
  while (::ioctl(socket_.get(), SIOCOUTQ, &unsent) == 0 && unsent > 0 &&
         std::chrono::steady_clock::now() < deadline) {
    if (!sleep_for(std::chrono::milliseconds(1))) break;
  }
  const linger at_once = {1, 0};
  static_cast<void>(::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
  socket_.reset();
}

Connection::After Connection::send(const HttpRequest& request, const Answer& answer,
                                   const Delivery& delivery, const CountBytes& count) {
  const bool silent_at_first = delivery.stall && delivery.stall->after < 0;
  if (silent_at_first && !stall(*delivery.stall)) return After::close;
  const bool sends_nothing = delivery.reset && delivery.reset->after < 0;
  if (!sends_nothing) {
    count(0);
    if (!send_head(request, answer, delivery) || !send_body(request, answer, delivery, count))
      return After::close;
  }
  if (delivery.reset) {
    send_reset();
    return After::close;
  }
  const bool is_whole = delivery.cut == 0 && has_body(request, answer);
  if (delivery.framing == Delivery::Framing::chunked && is_whole && !send_all("0\r\n\r\n"))
    return After::close;
  // With a wrong length from a fault, only the close shows the client where the body ends.
  const bool says_its_end = delivery.cut == 0 &&
                            delivery.framing != Delivery::Framing::until_close &&
                            find_header(answer.headers, "Content-Length") == nullptr;
  return says_its_end && request.keep_alive ? After::next_request : After::close;
}

void Connection::close_gently() {
  if (socket_.get() < 0) return;
  if (tls_) tls_->say_goodbye();
  ::shutdown(socket_.get(), SHUT_WR);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::array<char, kMaximumHead> ignored;
  while (std::chrono::steady_clock::now() < deadline &&
         wait_for(POLLIN, kPatience) == Wait::ready) {
    const auto count = ::recv(socket_.get(), ignored.data(), ignored.size(), 0);
    if (count == 0 || (count < 0 && errno != EAGAIN)) break;
  }
  socket_.reset();
}

}  // namespace model_prep::testing
