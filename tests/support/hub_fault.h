// SPDX-License-Identifier: Apache-2.0
// Faults of the test hub, as values.
//
//   hub.add(Fault{.on = Fault::On::payload, .path = "model.bin", .what = Reset{.after = 70'000}});
//
// At most one fault applies to a request: the first, in the order of adding, that matches, has
// `times` left, has let `skip` requests pass, and makes sense for this response (a wrong
// Content-Range needs a 206). Later faults do not count that request. Positions are offsets in
// *this response's body*; a position beyond its end means its end. Only FlipByte is an offset in
// the file, so it applies to the segment that contains it.
//
// Members have `= {}` because GCC 12 warns if a designated initializer leaves them out.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace model_prep::testing {

/// As a position: nothing is sent, not even the status line. Position 0 sends the head, but no byte
/// of the body.
inline constexpr std::int64_t kBeforeHeaders = -1;
inline constexpr std::chrono::milliseconds kForever = std::chrono::milliseconds::max();

using HeaderList = std::vector<std::pair<std::string, std::string>>;

/// Another response instead; RateLimit headers are added unless given here.
struct Status {
  int code = 503;
  HeaderList headers = {};
  std::string body = {};
};
/// TCP reset, after the bytes before it have reached the client.
struct Reset {
  std::int64_t after = kBeforeHeaders;
};
/// Sends nothing for a while on an open connection, then continues. Ends early if the client
/// closes or the hub stops.
struct Stall {
  std::int64_t after = kBeforeHeaders;
  std::chrono::milliseconds lasting = kForever;
};
/// From `after` on, the body is sent at this rate.
struct Drip {
  std::int64_t bytes_per_second = 1000;
  std::int64_t after = 0;
};
/// The full Content-Length, but an orderly close `cut` bytes too early.
struct ShortBody {
  std::int64_t cut = 1;
};
/// No Content-Length, `extra` bytes too many, then an orderly close.
struct LongBody {
  std::int64_t extra = 1;
};
/// One byte of the file is wrong; applies only to responses that contain this offset.
struct FlipByte {
  std::int64_t offset = 0;
};
/// 200 and the whole file where 206 would be right.
struct RangeIgnored {};
/// 206 with a range moved by `shift` and a matching Content-Range; applies only to 206 responses
/// with a part of the file.
struct WrongRange {
  std::int64_t shift = 1;
};
/// Another file size in Content-Range, and in X-Linked-Size of the redirect to the payload host.
struct WrongTotal {
  std::int64_t difference = 1;
};
/// 200 text/html, like a captive portal.
struct Html {};
struct Redirect {
  std::string location = {};
  int code = 302;
};
/// 403 with the payload host's XML.
struct ExpiredSignature {};
/// Claims an encoding and has no Content-Length, as the Hub does for gzip; the bytes are unchanged.
struct ContentEncoding {
  std::string name = "gzip";
};
/// The same body in chunks, without Content-Length.
struct Chunked {};
/// 200 application/json that ends in the middle of a string.
struct GarbageJson {};
/// The same status and headers, but this body.
struct BodyOverride {
  std::string body = {};
};
/// The same response, with these headers changed.
struct ChangeHeaders {
  HeaderList set = {};
  std::vector<std::string> remove = {};
};

struct Fault {
  enum class On { any, repo_info, tree, resolve, resolve_cache, payload };
  using What = std::variant<Status, Reset, Stall, Drip, ShortBody, LongBody, FlipByte, RangeIgnored,
                            WrongRange, WrongTotal, Html, Redirect, ExpiredSignature,
                            ContentEncoding, Chunked, GarbageJson, BodyOverride, ChangeHeaders>;

  On on = On::any;
  std::string path = {};  ///< part of the file's path in its repository, or of the decoded path of
                          ///< the URL; empty: all
  std::string file = {};  ///< exactly this file of a repository; empty: all
  std::string method = {};  ///< "GET", "HEAD"; empty: all
  int times = 1;            ///< -1: permanently
  int skip = 0;             ///< this many matching requests pass first
  What what = {};
};

/// Reads a JSON array of faults, the members named as above and `what` by its type in snake_case
/// with its members next to it:
/// [{"on":"payload","path":"model.bin","times":1,"what":"reset","after":70000}]. `lasting` is in
/// milliseconds, headers are an object. Throws std::invalid_argument with the reason.
std::vector<Fault> parse_faults(std::string_view json);

}  // namespace model_prep::testing
