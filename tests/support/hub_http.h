// SPDX-License-Identifier: Apache-2.0
// HTTP for the test hub, without sockets: strict request parsing, responses as values, URL and form
// encoding. Pure functions; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "support/hub_content.h"
#include "support/hub_fault.h"

namespace model_prep::testing {

struct HttpRequest {
  std::string method;
  std::string target;                          ///< as sent
  std::string path;                            ///< the target without its query, still encoded
  std::string query;                           ///< after the question mark, still encoded
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
  bool keep_alive = true;

  std::optional<std::string> header(const std::string& lower_case_name) const;
};

/// Parses a request line and headers, without the empty line after them. nullopt if a strict
/// server rejects them.
std::optional<HttpRequest> parse_request_head(std::string_view head);

/// The body's length; nullopt for what the hub rejects: chunks, no number, more than 1 MiB.
std::optional<std::int64_t> request_body_length(const HttpRequest& request);

/// A response before faults; the connection adds Content-Length, Connection and Date.
struct Answer {
  int status = 200;
  HeaderList headers;
  std::string text;                      ///< the body, unless `content` is set
  const FileContent* content = nullptr;  ///< owned by the hub, which keeps every file
  std::int64_t first = 0;                ///< the part of `content` that is the body
  std::int64_t length = 0;
  std::string kind = "other";  ///< for the log and for faults
  std::string file;

  std::int64_t body_length() const {
    return content == nullptr ? static_cast<std::int64_t>(text.size()) : length;
  }
};

/// Adds a header, or replaces the one with this name, whose case does not matter.
void set_header(HeaderList& headers, std::string_view name, std::string value);
void remove_header(HeaderList& headers, std::string_view name);
const std::string* find_header(const HeaderList& headers, std::string_view name);

/// Bytes `first` to `last`, inclusive.
struct ByteRange {
  std::int64_t first = 0;
  std::int64_t last = 0;
};
struct WholeFile {};
struct Unsatisfiable {};
using RangeAnswer = std::variant<WholeFile, ByteRange, Unsatisfiable>;

/// RFC 9110, 14.2: several ranges, other units and invalid headers are ignored, as the payload host
/// does.
RangeAnswer range_for(const std::optional<std::string>& range_header, std::int64_t size);

std::string_view reason_phrase(int status);
std::string http_date(std::chrono::system_clock::time_point when);
std::string to_lower(std::string_view text);
std::string base64(std::string_view bytes);

/// Leaves letters, digits, `-._~` and the characters of `keep` unencoded.
std::string percent_encode(std::string_view text, std::string_view keep = {});
/// nullopt if a % is not followed by two hex digits.
std::optional<std::string> percent_decode(std::string_view text);
/// The decoded pairs of a query or a form, in order.
HeaderList parse_query(std::string_view query);
std::optional<std::int64_t> parse_number(std::string_view digits);
bool is_commit(std::string_view text);  ///< 40 lower-case hex digits
std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace model_prep::testing
