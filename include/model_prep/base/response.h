// SPDX-License-Identifier: Apache-2.0
// Addresses and answers as plain values: what the decisions need to know of an HTTP exchange.
// `io/http.h` makes them; no type of libcurl is in them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "model_prep/base/error.h"

namespace model_prep {

/// `text` is used byte for byte: a signed URL must not be re-encoded
/// (docs/developing/hub-protocol.md, section 3.8). `origin` is scheme, host and port in one
/// spelling, for comparing. A user name or password in the text makes no difference to the origin.
struct Url {
  std::string text;
  std::string origin;
  bool https{false};
  bool operator==(const Url&) const = default;
};

/// What may be shown of a URL: no query, no user name (signatures and passwords live there).
std::string display(const Url& url);
/// The same of a text that should have been a URL: without what may be a user name and a password.
std::string strip_user_info(const std::string& text);

/// The part of an answer before its body. Header values as they came, without surrounding blanks;
/// empty if absent.
struct ResponseHead {
  int status{0};
  std::optional<std::int64_t> content_length;
  std::string content_range;
  std::string content_type;
  std::string content_encoding;
  std::string link;
  std::string rate_limit;
  std::string error_code;     ///< X-Error-Code
  std::string error_message;  ///< X-Error-Message
  std::string linked_etag;    ///< X-Linked-Etag: only on the hub's own hop
  std::optional<std::int64_t> linked_size;
  std::string location;  ///< as it came
  std::optional<Url>
      redirect;  ///< `location` against the request's URL, if it is an http(s) address
  std::chrono::seconds retry_after{0};  ///< from seconds or date; 0 if absent
};

/// A header that is a count: digits and nothing else.
std::optional<std::int64_t> header_number(const std::string& text);

using TransferId = std::uint64_t;

/// How a transfer ended: with an answer (`error` empty; its body went to the sink), refused by its
/// sink (`refused`), or with a fault of the network (`error`).
struct TransferEnd {
  TransferId id{0};
  ResponseHead head;
  bool refused{false};
  bool reached{true};  ///< there was a connection, with TLS where that is asked for
  std::optional<Error> error;
};

}  // namespace model_prep
