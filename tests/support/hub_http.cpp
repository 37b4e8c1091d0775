// SPDX-License-Identifier: Apache-2.0
#include "support/hub_http.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

namespace model_prep::testing {
namespace {

constexpr std::int64_t kMaximumRequestBody = 1'048'576;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_token_char(char c) {
  return is_letter(c) || is_digit(c) ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

// The characters that RFC 3986 allows in a path or a query, so that a client that does not encode a
// name is detected.
bool is_target_char(char c) {
  return is_letter(c) || is_digit(c) ||
         std::string_view("-._~:/?@!$&'()*+,;=%[]").find(c) != std::string_view::npos;
}

bool is_target(std::string_view text) {
  return text.starts_with('/') && std::all_of(text.begin(), text.end(), is_target_char) &&
         percent_decode(text);
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool parse_request_line(std::string_view line, HttpRequest& request) {
  const auto words = split(line, ' ');
  if (words.size() != 3 || !is_token(words[0]) || !is_target(words[1])) return false;
  if (words[2] != "HTTP/1.1" && words[2] != "HTTP/1.0") return false;
  request.method = words[0];
  request.target = words[1];
  const std::size_t question = request.target.find('?');
  request.path = request.target.substr(0, question);
  if (question != std::string::npos) request.query = request.target.substr(question + 1);
  request.keep_alive = words[2] == "HTTP/1.1";
  return true;
}

bool parse_header_line(std::string_view line, HttpRequest& request) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return false;
  const std::string_view value = trim(line.substr(colon + 1));
  const bool clean = std::none_of(value.begin(), value.end(), [](char c) {
    return (c >= 0 && c < ' ' && c != '\t') || c == 127;
  });
  if (!clean) return false;
  const std::string name = to_lower(line.substr(0, colon));
  const auto [place, is_new] = request.headers.try_emplace(name, value);
  if (is_new) return true;
  // Twice the same of these is an attack or a bug; the rest is a list by RFC 9110, 5.3.
  if (name == "host" || name == "content-length" || name == "range" || name == "authorization")
    return false;
  place->second += ", " + std::string(value);
  return true;
}

RangeAnswer range_between(std::int64_t first, std::int64_t last, std::int64_t size) {
  if (first > last) return WholeFile{};
  if (first >= size) return Unsatisfiable{};
  return ByteRange{first, std::min(last, size - 1)};
}

}  // namespace

std::optional<std::string> HttpRequest::header(const std::string& lower_case_name) const {
  const auto place = headers.find(lower_case_name);
  if (place == headers.end()) return std::nullopt;
  return place->second;
}

std::optional<HttpRequest> parse_request_head(std::string_view head) {
  HttpRequest request;
  bool is_first = true;
  for (std::size_t at = 0; at <= head.size();) {
    const std::size_t end = std::min(head.find("\r\n", at), head.size());
    const std::string_view line = head.substr(at, end - at);
    if (is_first ? !parse_request_line(line, request) : !parse_header_line(line, request))
      return std::nullopt;
    is_first = false;
    at = end + 2;
  }
  if (request.keep_alive && !request.headers.contains("host")) return std::nullopt;
  if (to_lower(request.header("connection").value_or("")).find("close") != std::string::npos)
    request.keep_alive = false;
  return request;
}

std::optional<std::int64_t> request_body_length(const HttpRequest& request) {
  if (request.headers.contains("transfer-encoding")) return std::nullopt;
  const auto text = request.header("content-length");
  if (!text) return 0;
  const auto length = parse_number(*text);
  if (!length || *length > kMaximumRequestBody) return std::nullopt;
  return length;
}

void set_header(HeaderList& headers, std::string_view name, std::string value) {
  remove_header(headers, name);
  headers.emplace_back(name, std::move(value));
}

void remove_header(HeaderList& headers, std::string_view name) {
  std::erase_if(headers,
                [&](const auto& header) { return to_lower(header.first) == to_lower(name); });
}

const std::string* find_header(const HeaderList& headers, std::string_view name) {
  const auto place = std::find_if(headers.begin(), headers.end(), [&](const auto& header) {
    return to_lower(header.first) == to_lower(name);
  });
  return place == headers.end() ? nullptr : &place->second;
}

RangeAnswer range_for(const std::optional<std::string>& range_header, std::int64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  if (!range_header || !range_header->starts_with(kUnit)) return WholeFile{};
  const std::string_view text = std::string_view(*range_header).substr(kUnit.size());
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return WholeFile{};
  const auto first = parse_number(text.substr(0, dash));
  const auto last = parse_number(text.substr(dash + 1));
  if (first && last) return range_between(*first, *last, size);
  if (first && dash + 1 == text.size())
    return range_between(*first, std::max(*first, size - 1), size);
  if (dash == 0 && last && *last > 0 && size > 0)
    return ByteRange{std::max<std::int64_t>(0, size - *last), size - 1};
  if (dash == 0 && last) return Unsatisfiable{};
  return WholeFile{};
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 416: return "Range Not Satisfiable";
    case 429: return "Too Many Requests";
    case 500: return "Internal Server Error";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return "Unnamed";
  }
}

std::string http_date(std::chrono::system_clock::time_point when) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  // Day and month names are English because nothing here calls setlocale.
  const std::size_t length =
      std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text.data(), length};
}

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::string_view group = bytes.substr(at, 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i)
      bits = bits << 8U | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i)
      text += i <= group.size() ? kDigits[bits >> (18 - 6 * i) & 63U] : '=';
  }
  return text;
}

std::string percent_encode(std::string_view text, std::string_view keep) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (is_letter(c) || is_digit(c) || std::string_view("-._~").find(c) != std::string_view::npos ||
        keep.find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      encoded += '%';
      encoded += kDigits[static_cast<unsigned char>(c) >> 4U];
      encoded += kDigits[static_cast<unsigned char>(c) & 15U];
    }
  }
  return encoded;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      decoded += text[at];
      continue;
    }
    if (at + 2 >= text.size()) return std::nullopt;
    const int high = hex_value(text[at + 1]);
    const int low = hex_value(text[at + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    at += 2;
  }
  return decoded;
}

HeaderList parse_query(std::string_view query) {
  HeaderList pairs;
  for (const std::string_view piece : split(query, '&')) {
    if (piece.empty()) continue;
    const std::size_t equals = piece.find('=');
    std::string value(equals == std::string_view::npos ? std::string_view()
                                                       : piece.substr(equals + 1));
    std::replace(value.begin(), value.end(), '+', ' ');
    pairs.emplace_back(percent_decode(piece.substr(0, equals)).value_or(""),
                       percent_decode(value).value_or(""));
  }
  return pairs;
}

std::optional<std::int64_t> parse_number(std::string_view digits) {
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), is_digit)) return std::nullopt;
  std::int64_t value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ec != std::errc()) return std::nullopt;
  return value;
}

bool is_commit(std::string_view text) {
  return text.size() == 40 && std::all_of(text.begin(), text.end(), [](char c) {
           return hex_value(c) >= 0 && !(c >= 'A' && c <= 'F');
         });
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    pieces.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return pieces;
}

}  // namespace model_prep::testing
