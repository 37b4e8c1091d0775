// SPDX-License-Identifier: Apache-2.0
// Limits of a transfer: endless headers, stalls and slow responses, and what libcurl's codes mean
// for a retry.
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <functional>
#include <set>
#include <thread>

#include "model_prep/io/http.h"
#include "model_prep/io/transfer_error.h"
#include "model_prep/io/url.h"
#include "support/catch.h"
#include "support/fake_hub.h"
#include "support/hub_connection.h"

namespace model_prep {
namespace {

using testing::Descriptor;
using testing::FakeHub;
using testing::Fault;

/// Answers every connection with bytes of any kind, until the client has had enough.
class RawServer {
 public:
  /// `piece(n)` is the nth piece to send; an empty one ends the answer, and the connection stays
  /// open.
  explicit RawServer(std::function<std::string(int)> piece) : piece_(std::move(piece)) {
    thread_ = std::jthread([this] { serve(); });
  }
  ~RawServer() { testing::set_event(stop_); }
  std::string url() const { return testing::origin_of(listener_) + "/x"; }

 private:
  bool wait(int socket, short events) const {
    std::array<pollfd, 2> ready = {{{stop_.get(), POLLIN, 0}, {socket, events, 0}}};
    return ::poll(ready.data(), ready.size(), -1) > 0 && ready[0].revents == 0;
  }
  void serve() {
    while (wait(listener_.get(), POLLIN)) {
      const Descriptor socket = testing::accept_connection(listener_);
      if (socket.get() >= 0) answer(socket.get());
    }
  }
  void answer(int socket) const {
    for (int i = 0;; ++i) {
      std::string text = piece_(i);
      if (text.empty()) break;
      while (!text.empty()) {
        if (!wait(socket, POLLOUT)) return;
        const auto sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent < 0) return;
        text.erase(0, static_cast<std::size_t>(sent));
      }
    }
    static_cast<void>(wait(socket, POLLRDHUP));
  }

  std::function<std::string(int)> piece_;
  Descriptor stop_ = testing::make_event();
  Descriptor listener_ = testing::listen_on_loopback(0);
  std::jthread thread_;
};

struct Counter : BodySink {
  int heads = 0;
  std::size_t bytes = 0;
  Body on_head(const ResponseHead&) override {
    ++heads;
    return Body::wanted;
  }
  std::optional<Error> on_data(std::span<const char> data) override {
    bytes += data.size();
    return std::nullopt;
  }
};

TransferEnd end_with(const std::string& url, BodySink& sink, int stall_seconds) {
  Transport transport({.user_agent = "test/1",
                       .authorities = {},
                       .stall = std::chrono::seconds(stall_seconds),
                       .connections = 4});
  transport.start(1, {.url = *parse_url(url), .range = {}}, sink);
  const TimePoint deadline = Clock::now() + std::chrono::seconds(30);
  while (Clock::now() < deadline)
    for (TransferEnd& end : transport.poll(deadline)) return std::move(end);
  return {.id = 1,
          .head = {},
          .refused = false,
          .error = Error{ErrorKind::internal, "no end came", {}}};
}

long peak_kilobytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

double seconds_since(TimePoint begun) {
  return std::chrono::duration<double>(Clock::now() - begun).count();
}

struct Flood {
  const char* name;
  std::function<std::string(int)> piece;
  const char* said;
};

std::string times(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n";

}  // namespace

TEST_CASE("endless headers are refused within bounded memory and time") {
  const Flood flood = GENERATE(
      Flood{"lines", [](int i) { return i == 0 ? kOk : times("X-A: b\r\n", 100); },
            "256 KiB or 1000 lines"},
      Flood{"long lines",
            [](int i) { return i == 0 ? kOk : "X-A: " + std::string(50'000, 'b') + "\r\n"; },
            "256 KiB or 1000 lines"},
      Flood{"one line", [](int i) { return i == 0 ? kOk + "X-A: " : std::string(10'000, 'b'); },
            "is longer than 100 KB"},
      Flood{"a status line",
            [](int i) { return i == 0 ? std::string("HTTP/1.1 200 ") : std::string(10'000, 'b'); },
            "100 KB"},
      Flood{"interim answers",
            [](int) { return times("HTTP/1.1 103 Early Hints\r\nX-A: b\r\n\r\n", 100); },
            "256 KiB or 1000 lines"},
      Flood{"continues", [](int) { return times("HTTP/1.1 100 Continue\r\n\r\n", 100); },
            "256 KiB or 1000 lines"},
      Flood{"locations",
            [](int i) {
              return i == 0 ? std::string("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n")
                     : i == 1
                         ? times("Location: /a\r\nLink: <http://a/>; rel=\"next\"\r\n", 10'000) +
                               "\r\n"
                         : std::string();
            },
            "256 KiB or 1000 lines"},
      Flood{
          "trailers",
          [](int i) {
            return i == 0
                       ? std::string(
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n0\r\n")
                       : times("X-A: b\r\n", 100);
          },
          "256 KiB or 1000 lines"});
  CAPTURE(flood.name);
  const RawServer server(flood.piece);
  Counter sink;
  const long before = peak_kilobytes();
  const TimePoint begun = Clock::now();
  const TransferEnd end = end_with(server.url(), sink, 20);
  REQUIRE(end.error.has_value());
  CHECK(end.error->kind == ErrorKind::protocol);
  CHECK_THAT(end.error->message, Catch::Matchers::Contains(flood.said));
  CHECK(seconds_since(begun) < 10);
  CHECK(peak_kilobytes() - before < 8 * 1024);
}

TEST_CASE("as many headers as a server may reasonably send are accepted") {
  const RawServer server([](int i) {
    return i == 0 ? kOk + times("X-A: " + std::string(300, 'b') + "\r\n", 700) + "\r\nhi"
                  : std::string();
  });
  Counter sink;
  const TransferEnd end = end_with(server.url(), sink, 20);
  CHECK_FALSE(end.error.has_value());
  CHECK(end.head.status == 200);
  CHECK(sink.bytes == 2);
}

TEST_CASE("silence at any point of a transfer is a timeout after the stall time") {
  const std::int64_t after = GENERATE(-1, 0, 5, 200'000);
  CAPTURE(after);
  FakeHub hub;
  hub.add(testing::make_repo("org/name", {{"config.json", std::string(300'000, 'x')}}));
  hub.add(Fault{.on = Fault::On::resolve_cache, .what = testing::Stall{.after = after}});
  const std::string commit =
      testing::make_repo("org/name", {{"config.json", std::string(300'000, 'x')}}).refs.at("main");
  Counter sink;
  const TimePoint begun = Clock::now();
  const TransferEnd end = end_with(
      hub.endpoint() + "/api/resolve-cache/models/org/name/" + commit + "/config.json", sink, 1);
  REQUIRE(end.error.has_value());
  CHECK(end.error->kind == ErrorKind::timeout);
  CHECK(end.error->message == "no data for 1 s");
  CHECK(seconds_since(begun) >= 0.99);
  CHECK(seconds_since(begun) < 3);
}

TEST_CASE("less than 64 bytes a second is a timeout, and more is not") {
  const auto [rate, ends] = GENERATE(table<int, bool>({{1, true}, {40, true}, {300, false}}));
  CAPTURE(rate);
  FakeHub hub;
  const auto repo = testing::make_repo("org/name", {{"config.json", std::string(600, 'x')}});
  hub.add(repo);
  hub.add(Fault{.on = Fault::On::resolve_cache, .what = testing::Drip{.bytes_per_second = rate}});
  Counter sink;
  const TimePoint begun = Clock::now();
  const TransferEnd end = end_with(hub.endpoint() + "/api/resolve-cache/models/org/name/" +
                                       repo.refs.at("main") + "/config.json",
                                   sink, 1);
  CHECK(end.error.has_value() == ends);
  if (!ends) return;
  CHECK(end.error->kind == ErrorKind::timeout);
  // The head's bytes count too, so the drip's own window may be the second.
  CHECK(seconds_since(begun) < 4);
}

TEST_CASE("each libcurl code has the error kind that decides about a retry") {
  struct Meaning {
    int code;
    const char* name;
    ErrorKind kind;
  };
  // Whatever is not in this table is `protocol`: not understood, so not tried again.
  const Meaning table[] = {
      {5, "could not resolve the proxy", ErrorKind::network},
      {6, "could not resolve the host", ErrorKind::network},
      {7, "could not connect", ErrorKind::network},
      {16, "HTTP/2 framing", ErrorKind::network},
      {18, "partial file", ErrorKind::network},
      {28, "timed out", ErrorKind::timeout},
      {35, "TLS handshake", ErrorKind::network},
      {52, "got nothing", ErrorKind::network},
      {55, "send", ErrorKind::network},
      {56, "receive", ErrorKind::network},
      {92, "HTTP/2 stream", ErrorKind::network},
      {97, "SOCKS proxy", ErrorKind::network},
  };
  const std::set<int> not_tried_again = {
      1,   // unsupported protocol
      3,   // malformed URL
      8,   // weird server reply
      9,   // access denied
      23,  // write error: our own refusal
      27,  // out of memory, and a header line without end before libcurl 8.6
      33,  // range
      43,  // bad function argument
      47,  // too many redirects
      53,  // TLS engine
      58,  // client certificate
      59,  // cipher
      60,  // certificate not trusted
      61,  // content encoding
      65,  // rewind
      77,  // file of the system's roots
      80,  // TLS shutdown
      81,  // again: never leaves libcurl
      83,  // issuer
      89,  // no connection available
      90,  // pinned key
      91,  // certificate status
      95,  // HTTP/3, which is never requested
      96,  // QUIC, likewise
      98,  // the server requires a client certificate
      99,  // poll fails
      100  // too large
  };
  for (int code = 1; code <= 130; ++code) {
    const auto* found = std::find_if(std::begin(table), std::end(table),
                                     [&](const Meaning& m) { return m.code == code; });
    CAPTURE(code, found == std::end(table) ? "" : found->name);
    CHECK(kind_of_transfer_error(code) ==
          (found == std::end(table) ? ErrorKind::protocol : found->kind));
    CHECK((found == std::end(table) || !not_tried_again.contains(code)));
  }
}

}  // namespace model_prep
