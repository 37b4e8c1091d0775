// SPDX-License-Identifier: Apache-2.0
// How a body, a range and a redirect are judged; errors of the Hub are in response_errors_test.cpp.
#include "model_prep/core/response_check.h"

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

namespace {

const RequestContext kAsked{"org/name model.bin", "org/name"};

PayloadRequest whole() { return {kAsked, std::nullopt, {sha256('a'), 100}}; }
PayloadRequest part() { return {kAsked, ByteRange{10, 20}, {sha256('a'), 100}}; }

ResponseHead partial(const std::string& content_range) {
  ResponseHead answer = head(206);
  answer.content_range = content_range;
  return answer;
}

}  // namespace

TEST_CASE("a Content-Range is read") {
  const auto range = parse_content_range("bytes 5-9/2307");
  REQUIRE(range);
  CHECK(range->range == ByteRange{5, 10});
  CHECK(range->total == 2307);
  CHECK(parse_content_range("bytes 0-0/1")->range == ByteRange{0, 1});
  CHECK(parse_content_range("bytes 9223372036854775805-9223372036854775806/9223372036854775807")
            ->range.end == 9223372036854775807);
}

TEST_CASE("a Content-Range without a byte range or a total is unreadable") {
  const std::string text = GENERATE(
      as<std::string>{}, "", "bytes", "bytes ", "bytes */2307", "bytes 0-9/*", "bytes 0-9",
      "bytes 0-9/", "bytes -9/10", "bytes 0-/10", "bytes 9-0/10", "bytes 0-10/10", "bytes 10-10/10",
      "bytes 0-9/10 ", "bytes 0-9/10, 20-29/10", "bytes  0-9/10", "bytes 0-9/10\n", "items 0-9/10",
      "0-9/10", "bytes -1-9/10", "bytes -0-9/10", "bytes 0--9/10", "bytes 0-9/-10", "bytes +0-9/10",
      "bytes 0x0-9/10", "bytes 0-9/99999999999999999999", "bytes 99999999999999999999-9/10",
      "bytes 0-9223372036854775807/9223372036854775807", "bytes=0-9/10");
  CAPTURE(text);
  CHECK_FALSE(parse_content_range(text));
}

TEST_CASE("a 206 with the requested range is accepted") {
  CHECK(check_payload_response(partial("bytes 10-19/100"), part()).kind == VerdictKind::body);
  auto with_length = partial("bytes 10-19/100");
  with_length.content_length = 10;
  CHECK(check_payload_response(with_length, part()).kind == VerdictKind::body);
}

TEST_CASE("a 206 with another range than requested is refused") {
  struct Row {
    const char* content_range;
    const char* message;
  };
  const Row row = GENERATE(values<Row>({
      {"bytes 0-9/100", "org/name model.bin: requested bytes 10-19, got 'bytes 0-9/100'"},
      {"bytes 10-99/100", "org/name model.bin: requested bytes 10-19, got 'bytes 10-99/100'"},
  }));
  const ResponseVerdict answer = check_payload_response(partial(row.content_range), part());
  CHECK(answer.kind == VerdictKind::failed);
  CHECK(answer.error.kind == ErrorKind::protocol);
  CHECK(answer.error.message == row.message);
}

TEST_CASE("a 206 of which nobody can say that it is the whole range leads to the whole file") {
  const std::string given = GENERATE("", "bytes 10-19/*", "octets 10-19/100", "bytes 10-18/100");
  CHECK(check_payload_response(partial(given), part()).kind == VerdictKind::range_ignored);
}

TEST_CASE("a 206 whose length differs from its range is refused") {
  auto answer = partial("bytes 10-19/100");
  answer.content_length = 11;
  CHECK(check_payload_response(answer, part()).error.message ==
        "org/name model.bin: the range has 10 bytes, but its Content-Length is 11");
}

TEST_CASE("a 206 is refused if no range was requested") {
  const ResponseVerdict answer = check_payload_response(partial("bytes 0-99/100"), whole());
  CHECK(answer.kind == VerdictKind::failed);
  CHECK(answer.error.message ==
        "org/name model.bin: got status 206 although no range was requested");
}

TEST_CASE("another total in Content-Range restarts the file") {
  const ResponseVerdict answer = check_payload_response(partial("bytes 10-19/101"), part());
  CHECK(answer.kind == VerdictKind::restart);
  CHECK(answer.error.kind == ErrorKind::protocol);
  CHECK(answer.error.message == "org/name model.bin: the server says 101 bytes, the listing 100");
}

TEST_CASE("a 416 restarts the file") {
  const ResponseVerdict answer = check_payload_response(head(416), part());
  CHECK(answer.kind == VerdictKind::restart);
  CHECK(answer.error.kind == ErrorKind::protocol);
}

TEST_CASE("a 200 to a ranged request means that this server does not support ranges") {
  CHECK(check_payload_response(head(200), part()).kind == VerdictKind::range_ignored);
}

TEST_CASE("a 200 for the whole file is accepted, with or without a length") {
  CHECK(check_payload_response(head(200), whole()).kind == VerdictKind::body);
  auto with_length = head(200);
  with_length.content_length = 100;
  CHECK(check_payload_response(with_length, whole()).kind == VerdictKind::body);
}

TEST_CASE("another Content-Length of the whole file restarts it, or is a lock mismatch") {
  auto answer = head(200);
  answer.content_length = 99;
  const ResponseVerdict listed = check_payload_response(answer, whole());
  CHECK(listed.kind == VerdictKind::restart);
  CHECK(listed.error.kind == ErrorKind::protocol);
  CHECK(listed.error.message ==
        "org/name model.bin: the Content-Length is 99, the listing says 100");
  auto locked = whole();
  locked.blob.locked = true;
  CHECK(check_payload_response(answer, locked).error.kind == ErrorKind::lock_mismatch);
}

TEST_CASE("an unrequested Content-Encoding is treated as wrong bytes") {
  auto answer = head(200);
  answer.content_encoding = "gzip";
  CHECK(check_payload_response(answer, whole()).kind == VerdictKind::restart);
  CHECK(check_payload_response(answer, part()).kind == VerdictKind::restart);
  CHECK(check_payload_response(answer, whole()).error.kind == ErrorKind::digest_mismatch);
  answer.content_encoding = "identity";
  CHECK(check_payload_response(answer, whole()).kind == VerdictKind::body);
}

TEST_CASE("an HTML page instead of weights is refused, with a hint at captive portals") {
  auto answer = head(GENERATE(200, 206));
  answer.content_type =
      GENERATE(as<std::string>{}, "text/html", "text/html; charset=utf-8", "Text/HTML");
  const ResponseVerdict judged = check_payload_response(answer, part());
  CHECK(judged.kind == VerdictKind::failed);
  CHECK(judged.error.kind == ErrorKind::protocol);
  CHECK(judged.error.message == "org/name model.bin: got a web page instead of the file");
  CHECK(judged.error.hint.find("captive portal") != std::string::npos);
}

TEST_CASE("a file that is served as an HTML page is accepted if its size fits") {
  auto answer = head(200);
  answer.content_type = "text/html";
  CHECK(check_payload_response(answer, whole()).kind == VerdictKind::body);
  answer.content_length = 100;
  CHECK(check_payload_response(answer, whole()).kind == VerdictKind::body);
  auto ranged = partial("bytes 10-19/100");
  ranged.content_type = "text/html";
  CHECK(check_payload_response(ranged, part()).kind == VerdictKind::body);
  answer.content_length = 99;
  CHECK(check_payload_response(answer, whole()).error.message ==
        "org/name model.bin: got a web page instead of the file");
}

TEST_CASE(
    "an HTML page that ends before the file does is a web page, and not a broken connection") {
  auto answer = head(200);
  const Url from = url("https://hub.example/x");
  CHECK(body_cut_short(answer, kAsked, from).kind == ErrorKind::network);
  answer.content_type = "text/html";
  CHECK(body_cut_short(answer, kAsked, from).kind == ErrorKind::protocol);
}

TEST_CASE("an X-Linked-Etag other than the listing's digest is refused before the download") {
  auto answer = redirect("https://cdn.example/x");
  answer.linked_etag = GENERATE_COPY("\"" + sha256('b').hex() + "\"",
                                     "W/\"" + sha256('b').hex() + "\"", sha256('b').hex());
  const ResponseVerdict judged = check_payload_response(answer, whole());
  CHECK(judged.kind == VerdictKind::failed);
  CHECK(judged.error.kind == ErrorKind::protocol);
  CHECK(judged.error.message == "org/name model.bin: the Hub's headers give digest " +
                                    sha256('b').hex() + ", its listing says " + sha256('a').hex());
  auto locked = whole();
  locked.blob.locked = true;
  CHECK(check_payload_response(answer, locked).error.kind == ErrorKind::lock_mismatch);
  CHECK_FALSE(check_payload_response(answer, locked).error.hint.empty());
}

TEST_CASE("an X-Linked-Size other than the listing's is refused before the download") {
  auto answer = redirect("https://cdn.example/x");
  answer.linked_size = 99;
  const ResponseVerdict judged = check_payload_response(answer, part());
  CHECK(judged.kind == VerdictKind::failed);
  CHECK(judged.error.message ==
        "org/name model.bin: the Hub's headers give 99 bytes, its listing says 100 bytes");
}

TEST_CASE("a redirect with the right X-Linked-Etag and X-Linked-Size is followed") {
  auto answer = redirect("https://cdn.example/x");
  answer.linked_etag = "\"" + sha256('a').hex() + "\"";
  answer.linked_size = 100;
  CHECK(check_payload_response(answer, whole()).kind == VerdictKind::redirect);
}

TEST_CASE("only the Hub's own redirect is checked: a payload host's ETag is the Xet hash") {
  auto answer = head(200);
  answer.linked_etag = "\"" + sha256('b').hex() + "\"";
  answer.linked_size = 99;
  auto behind = whole();
  behind.context.of_hub = false;
  CHECK(check_payload_response(answer, behind).kind == VerdictKind::body);
}

TEST_CASE("every redirect status is followed, for payload and query") {
  const int status = GENERATE(301, 302, 303, 307, 308);
  CHECK(check_payload_response(head(status), part()).kind == VerdictKind::redirect);
  CHECK(check_api_response(head(status), kAsked).kind == VerdictKind::redirect);
}

TEST_CASE("a 3xx that is not a redirect is a protocol error") {
  const int status = GENERATE(300, 304, 305, 306);
  CHECK(check_payload_response(head(status), part()).error.kind == ErrorKind::protocol);
  CHECK(check_api_response(head(status), kAsked).error.kind == ErrorKind::protocol);
}

TEST_CASE("the response to a query is a 200 that is neither HTML nor encoded") {
  CHECK(check_api_response(head(200), kAsked).kind == VerdictKind::body);
  auto page = head(200);
  page.content_type = "text/html";
  CHECK(check_api_response(page, kAsked).error.message ==
        "org/name model.bin: got a web page instead of JSON");
  auto encoded = head(200);
  encoded.content_encoding = "br";
  CHECK(check_api_response(encoded, kAsked).error.kind == ErrorKind::protocol);
  CHECK(check_api_response(head(206), kAsked).error.kind == ErrorKind::protocol);
  CHECK(check_api_response(head(204), kAsked).error.kind == ErrorKind::protocol);
}

TEST_CASE("a small file's signed URL may be spent, unless the Hub or a web filter has spoken") {
  RequestContext context = kAsked;
  context.of_hub = false;
  const int status = GENERATE(400, 403);
  CHECK(check_api_response(head(status), context).kind == VerdictKind::signature_spent);
  CHECK(check_api_response(head(401), context).kind == VerdictKind::failed);

  ResponseHead reason = head(status);
  reason.error_message = "Access to this resource is disabled.";
  CHECK(check_api_response(reason, context).error.kind == ErrorKind::disabled);
  ResponseHead page = head(status);
  page.content_type = "text/html";
  CHECK(check_api_response(page, context).kind == VerdictKind::failed);
}

TEST_CASE("five redirects are followed and the sixth is not") {
  const Url from = url("https://hub.example/a");
  CHECK(follow(redirect("https://hub.example/b"), from, 4, kAsked));
  const auto sixth = follow(redirect("https://hub.example/b"), from, 5, kAsked);
  REQUIRE_FALSE(sixth);
  CHECK(sixth.error().kind == ErrorKind::protocol);
  CHECK(sixth.error().message == "org/name model.bin: redirected more than 5 times");
  CHECK_FALSE(sixth.error().hint.empty());
}

TEST_CASE("a redirect from https to http is refused, and one from http to https is followed") {
  CHECK_FALSE(follow(redirect("http://hub.example/b"), url("https://hub.example/a"), 0, kAsked));
  const auto up = follow(redirect("https://hub.example/b"), url("http://hub.example/a"), 0, kAsked);
  REQUIRE(up);
  CHECK(*up == url("https://hub.example/b"));
}

TEST_CASE("a redirect without a usable Location is refused") {
  const auto target = follow(head(302), url("https://hub.example/a"), 0, kAsked);
  REQUIRE_FALSE(target);
  CHECK(target.error().message ==
        "org/name model.bin: status 302 without a usable Location header");
}
