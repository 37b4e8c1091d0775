// SPDX-License-Identifier: Apache-2.0
// URLs and HTTP responses as plain values: what the decisions in core/ need to know of an exchange.
// `io/http.h` produces them; no type of libcurl appears here.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "model_prep/base/error.h"
#include "model_prep/base/types.h"

namespace model_prep {

/// `text` is sent byte for byte: a signed URL must not be re-encoded
/// (docs/developing/hub-protocol.md, section 3.8). `origin` is the normalized scheme, host and
/// port, for comparisons; a user name or password in `text` does not affect it.
struct Url {
  std::string text;
  std::string origin;
  bool https{false};
  bool operator==(const Url&) const = default;
};

/// The URL without query, user name and password, for messages: signatures and secrets live there.
std::string display(const Url& url);

/// A response without its body. Header values are as received, without surrounding blanks; empty if
/// absent.
struct ResponseHead {
  int status{0};
  std::optional<Bytes> content_length;
  std::string content_range;
  std::string content_type;
  std::string content_encoding;
  std::string link;
  std::string rate_limit;
  std::string error_code;     ///< X-Error-Code
  std::string error_message;  ///< X-Error-Message
  std::string linked_etag;    ///< X-Linked-Etag: only in the Hub's own response, not the CDN's
  std::optional<Bytes> linked_size;
  std::string location;  ///< as received
  std::optional<Url>
      redirect;  ///< `location`, resolved against the request, if it is an http(s) URL
  std::chrono::seconds retry_after{0};  ///< from seconds or a date; 0 if absent
};

/// A header that is a count: at most 18 digits and nothing else.
std::optional<std::int64_t> header_number(const std::string& text);

using TransferId = std::uint64_t;

/// How a transfer ended: with a response whose body went to the sink (neither `refused` nor
/// `error`), refused by its sink (`refused`), or with an error.
struct TransferEnd {
  TransferId id{0};
  ResponseHead head;
  bool refused{false};
  bool reached{true};  ///< a connection was made, including its TLS handshake
  std::optional<Error> error;
};

}  // namespace model_prep
