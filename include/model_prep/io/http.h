// SPDX-License-Identifier: Apache-2.0
// HTTP: the owner of libcurl, with url.h. No type of it is seen here.
//
// All calls and all callbacks of sinks happen on the thread that calls `poll`. A transfer follows
// no redirect, retries nothing and has no total time limit: those are decisions, made elsewhere.
// What a transfer does do: it verifies TLS, honours the proxy variables of the environment
// (libcurl's own support and proxy.h), gives up connecting after 30 s, and standing still after
// `stall`: not a byte, or fewer than 64 a second; and takes no more headers than 256 KiB or 1000
// lines. An error's text names no token, no password and no query.
//
// With a `rate` the bodies of payloads share it (core/rate_limiter.h): a transfer that may not take
// its bytes yet is paused, which holds up its sender in the end, and does not count as standing
// still.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model_prep/base/byte_range.h"
#include "model_prep/base/clock.h"
#include "model_prep/base/error.h"
#include "model_prep/base/response.h"

namespace model_prep {

/// A secret that cannot be printed by accident: it has no formatter and no conversion.
class Token {
 public:
  explicit Token(std::string text) : text_(std::move(text)) {}
  const std::string& reveal() const { return text_; }

 private:
  std::string text_;
};

enum class RequestKind : std::uint8_t {
  query,    ///< the hub's API: JSON, HTTP/2 where the server offers it
  payload,  ///< a file: HTTP/1.1, one TCP window per range
};

struct Request {
  Url url;
  RequestKind kind{RequestKind::query};
  std::optional<ByteRange> range;
  const Token* token{nullptr};  ///< sent as Bearer; read before `start` returns
};

/// Where the bytes of one answer go.
class BodySink {
 public:
  virtual ~BodySink() = default;
  enum class Body : std::uint8_t { wanted, ignored, refused };
  /// Called once, before the first byte: `ignored` lets a small body of no interest pass (a
  /// redirect's, an error's), `refused` ends the transfer.
  virtual Body on_head(const ResponseHead& head) = 0;
  virtual std::optional<Error> on_data(std::span<const char> bytes) = 0;
  /// No more bytes wait to be taken, or the transfer is about to end: what was gathered must not be
  /// held back longer.
  virtual std::optional<Error> on_pause() { return std::nullopt; }
};

struct TransportSettings {
  std::string user_agent;
  std::string authorities;  ///< PEM: trusted beside the system's roots
  std::chrono::seconds stall{60};
  std::optional<std::int64_t> rate{};  ///< bytes a second, over all payloads together
  int connections{8};
  int wake_fd{-1};  ///< polled beside the sockets, not read: the signalfd
};

class Transport {
 public:
  explicit Transport(TransportSettings settings);
  ~Transport();
  /// `sink` must live until the transfer has ended or was cancelled.
  void start(TransferId id, const Request& request, BodySink& sink);
  /// No callback and no end comes for it any more.
  void cancel(TransferId id);
  /// Moves bytes until something happens or `until` has come; transfers that ended.
  std::vector<TransferEnd> poll(TimePoint until);
  /// Ends a `poll` that waits; the only function here that another thread may call.
  void wake();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// What a CURLcode means for whoever decides on another try.
ErrorKind kind_of_transfer_error(int curl_code);

/// The file with the system's authorities, which every connection trusts; empty if libcurl knows of
/// none.
std::string system_authorities();

/// `libcurl/7.88.1 …`, for the user agent and the log.
std::string transport_version();

}  // namespace model_prep
