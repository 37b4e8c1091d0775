// SPDX-License-Identifier: Apache-2.0
// HTTP transfers. Owns libcurl, together with url.h and transfer_error.h; no type of libcurl
// appears here.
//
// All calls, and all callbacks of sinks, happen on the thread that calls `poll`. A transfer follows
// no redirect, retries nothing and has no total time limit: core/ decides about those. It does
// verify TLS, use the environment's proxies (io/proxy.h), give up connecting after 30 s, end when
// it stalls (core/stall_detector.h), and refuse more than 256 KiB or 1000 lines of headers. The
// text of an error contains no token, no password and no query. All requests ask for the identity
// encoding; the response to a query is decoded if it has another one all the same.
//
// With a `rate` all payloads share it (core/rate_limiter.h). A transfer that may not read yet is
// paused, which in the end slows down its sender, and does not count as stalled.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model_prep/base/byte_range.h"
#include "model_prep/base/clock.h"
#include "model_prep/base/error.h"
#include "model_prep/base/response.h"
#include "model_prep/io/proxy.h"
#include "model_prep/io/tls.h"

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
  query,    ///< the Hub's API: JSON, over HTTP/2 if the server offers it
  payload,  ///< a file: HTTP/1.1, one TCP window per range
};

struct Request {
  Url url;
  RequestKind kind{RequestKind::query};
  std::optional<ByteRange> range;
  const Token* token{nullptr};  ///< sent as Bearer; not used after `start` returns
  Bytes expected{0};            ///< length of the body; 0: unknown
};

/// Takes the body of one response. A returned error ends the transfer.
class BodySink {
 public:
  virtual ~BodySink() = default;
  enum class Body : std::uint8_t { wanted, ignored, refused };
  /// Called once, before the first byte. `ignored` discards a small body, such as a redirect's or
  /// an error's; `refused` ends the transfer.
  virtual Body on_head(const ResponseHead& head) = 0;
  virtual std::optional<Error> on_data(std::span<const char> bytes) = 0;
  /// No more bytes are ready, or the transfer is about to end: write out what was gathered.
  virtual std::optional<Error> on_pause() { return std::nullopt; }
};

struct TransportSettings {
  std::string user_agent;
  ExtraAuthorities authorities;
  ProxySettings proxies{};
  std::chrono::seconds stall{60};
  std::optional<std::int64_t> rate{};  ///< bytes a second, for all payloads together
  int connections{8};
  bool counts_as_download{false};  ///< every request says so, for the Hub's statistics
  int wake_fd{-1};                 ///< polled with the sockets, never read: the signalfd
};

class Transport {
 public:
  explicit Transport(TransportSettings settings);
  ~Transport();
  /// `sink` must live until the transfer has ended or was cancelled.
  void start(TransferId id, const Request& request, BodySink& sink);
  /// Afterwards there are no callbacks and no end for this transfer.
  void cancel(TransferId id);
  /// Moves bytes until something happens, at the latest until `until`. Returns the transfers that
  /// ended.
  std::vector<TransferEnd> poll(TimePoint until);
  /// Makes a waiting `poll` return; the only function that another thread may call.
  void wake();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace model_prep
