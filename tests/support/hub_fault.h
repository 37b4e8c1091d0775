// SPDX-License-Identifier: Apache-2.0
// Faults of the test hub, as values.
//
//   hub.add(Fault{.on = Fault::On::payload, .path = "model.bin", .what = Reset{.after = 70'000}});
//
// A request meets at most one fault: the first, in the order they were added, that matches, still
// has `times` left, has let its `skip` requests pass, and can be applied to this answer (there is
// no wrong Content-Range without a 206). A request that one fault takes is not counted by the
// faults behind it. Positions count bytes of *this answer's body*; a position beyond its end means
// its end. Only FlipByte counts in the file, so it hits whichever segment holds it.
//
// Members have `= {}` so that GCC 12 does not miss them in designated initializers.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace model_prep::testing {

/// As a position: nothing is sent, not even the status line. As position 0: the head, and no byte
/// of the body.
inline constexpr std::int64_t kBeforeHeaders = -1;
inline constexpr std::chrono::milliseconds kForEver = std::chrono::milliseconds::max();

using HeaderList = std::vector<std::pair<std::string, std::string>>;

/// Another answer altogether; RateLimit headers are added unless named here.
struct Status {
  int code = 503;
  HeaderList headers = {};
  std::string body = {};
};
/// TCP reset, once the bytes before it have reached the client.
struct Reset {
  std::int64_t after = kBeforeHeaders;
};
/// Silence with an open connection; then the answer goes on. A client that leaves, or the end of
/// the hub, ends it.
struct Stall {
  std::int64_t after = kBeforeHeaders;
  std::chrono::milliseconds lasting = kForEver;
};
/// The body slows down to this rate from `after` on.
struct Drip {
  std::int64_t bytes_per_second = 1000;
  std::int64_t after = 0;
};
/// The full Content-Length, and an orderly close `cut` bytes too early.
struct ShortBody {
  std::int64_t cut = 1;
};
/// No Content-Length, `extra` bytes too many, then an orderly close.
struct LongBody {
  std::int64_t extra = 1;
};
/// One byte of the file is wrong; meets only answers that contain this offset of a file.
struct FlipByte {
  std::int64_t offset = 0;
};
/// 200 and the whole file for a request that had a 206 coming.
struct RangeIgnored {};
/// 206 with bytes `shift` further on, honestly labelled; meets only 206 answers of a part of the
/// file.
struct WrongRange {
  std::int64_t shift = 1;
};
/// Content-Range claims another size of the file; on the redirect to the payload host X-Linked-Size
/// does.
struct WrongTotal {
  std::int64_t difference = 1;
};
/// 200 text/html, as a captive portal answers.
struct Html {};
struct Redirect {
  std::string location = {};
  int code = 302;
};
/// 403 with the XML of a payload host.
struct ExpiredSignature {};
/// Claims an encoding and leaves Content-Length out, as the Hub does for gzip; the bytes stay as
/// they are.
struct ContentEncoding {
  std::string name = "gzip";
};
/// The same body in chunks, without Content-Length.
struct Chunked {};
/// 200 application/json that ends in the middle of a string.
struct GarbageJson {};
/// Status and headers stay, the body is this.
struct BodyOverride {
  std::string body = {};
};
/// The answer stays, but for these headers.
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
  int times = 1;            ///< -1: for ever
  int skip = 0;             ///< this many matching requests pass first
  What what = {};
};

/// Reads a JSON array of faults, the members named as above and `what` by its type in snake_case
/// with its members next to it:
/// [{"on":"payload","path":"model.bin","times":1,"what":"reset","after":70000}]. `lasting` is in
/// milliseconds, headers are an object. Throws std::invalid_argument with the reason.
std::vector<Fault> parse_faults(std::string_view json);

}  // namespace model_prep::testing
