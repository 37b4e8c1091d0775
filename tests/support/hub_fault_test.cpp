// SPDX-License-Identifier: Apache-2.0
#include "support/hub_fault.h"

#include <algorithm>
#include <chrono>

#include "support/catch.h"
#include "support/hub_test_client.h"

namespace model_prep::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

}  // namespace

TEST_CASE("a fault applies to matching requests, after `skip` of them and `times` times") {
  SampleHub hub;
  hub.add(Fault{
      .on = Fault::On::tree, .times = 2, .skip = 1, .what = Status{.code = 503, .body = "later"}});
  CHECK(ask(hub, "/api/models/org/name").status == 200);
  CHECK(ask(hub, kTree).status == 200);
  const Response refused = ask(hub, kTree);
  CHECK(refused.status == 503);
  CHECK(refused.body == "later");
  CHECK_FALSE(refused.header("ratelimit").empty());
  CHECK(ask(hub, kTree).status == 503);
  CHECK(ask(hub, kTree).status == 200);
}

TEST_CASE("a fault selects by part of a path, by exact file and by method") {
  SampleHub hub;
  hub.add(Fault{.path = "Pooling", .times = -1, .what = Status{.code = 500}});
  hub.add(Fault{.file = "config.json", .method = "HEAD", .times = -1, .what = Status{.code = 502}});
  CHECK(ask(hub, "/org/name/resolve/main/1_Pooling/config.json").status == 500);
  CHECK(ask(hub, "/org/name/resolve/main/1_Pooling/config.json", "", "HEAD").status == 500);
  CHECK(ask(hub, kConfig).status == 307);
  CHECK(ask(hub, kConfig, "", "HEAD").status == 502);
  hub.clear_faults();
  CHECK(ask(hub, kConfig, "", "HEAD").status == 307);
}

TEST_CASE("a status fault can set its own headers, including rate limits") {
  SampleHub hub;
  hub.add(Fault{.what = Status{.code = 429, .headers = {{"RateLimit", "\"api\";r=0;t=7"}}}});
  const Response response = ask(hub, kTree);
  CHECK(response.status == 429);
  CHECK(response.header("ratelimit") == "\"api\";r=0;t=7");
}

TEST_CASE("a reset happens after exactly the given number of bytes") {
  SampleHub hub;
  for (const std::int64_t after : {0, 1, 70'000, 700'000, 5'000'000}) {
    hub.add(Fault{.on = Fault::On::payload, .what = Reset{.after = after}});
    const Response response = fetch(hub, kWeights);
    CHECK(response.status == 200);
    CHECK(static_cast<std::int64_t>(response.body.size()) == std::min(after, kWeightsSize));
    CHECK(response.end == (after < kWeightsSize ? End::reset : End::open));
    CHECK(hub.requests().back().body_bytes_sent == std::min(after, kWeightsSize));
  }
}

TEST_CASE("a reset before the headers sends nothing") {
  SampleHub hub;
  hub.add(Fault{.what = Reset{}});
  const Response response = ask(hub, kTree);
  CHECK(response.status == 0);
  CHECK(response.end == End::reset);
  CHECK(hub.requests()[0].status == 0);
}

TEST_CASE("a stall sends the given number of bytes and keeps the connection open") {
  SampleHub hub;
  hub.add(Fault{.on = Fault::On::payload, .what = Stall{.after = 70'000}});
  const Response response = fetch(hub, kWeights, "", kSilence);
  CHECK(response.body.size() == 70'000);
  CHECK(response.end == End::silent);
  hub.add(Fault{.what = Stall{}});
  CHECK(Client(hub.endpoint(), kSilence).ask(kTree).end == End::silent);
  CHECK(hub.requests().back().status == 0);
}

TEST_CASE("a stall with an end is followed by the rest") {
  SampleHub hub;
  const auto start = steady_clock::now();
  hub.add(
      Fault{.on = Fault::On::payload, .what = Stall{.after = 1000, .lasting = milliseconds(50)}});
  CHECK(sha256_hex(fetch(hub, kWeights).body) == digests_of(sample_weights()).sha256);
  CHECK(steady_clock::now() - start >= milliseconds(50));
  hub.add(Fault{.on = Fault::On::tree, .what = Stall{.lasting = milliseconds(20)}});
  CHECK(ask(hub, kTree).status == 200);
  CHECK(hub.requests().back().status == 200);
}

TEST_CASE("a drip is slow from its position on") {
  SampleHub hub;
  hub.add(Fault{.on = Fault::On::payload,
                .what = Drip{.bytes_per_second = 1000, .after = kWeightsSize - 100}});
  const auto start = steady_clock::now();
  CHECK(fetch(hub, kWeights).body.size() == static_cast<std::size_t>(kWeightsSize));
  CHECK(steady_clock::now() - start >= milliseconds(75));
}

TEST_CASE("a limited hub sends at its rate") {
  HubOptions options;
  options.bytes_per_second_per_connection = 5'000'000;
  SampleHub hub(options);
  const auto start = steady_clock::now();
  CHECK(sha256_hex(fetch(hub, kWeights).body) == digests_of(sample_weights()).sha256);
  CHECK(steady_clock::now() - start >= milliseconds(150));
}

TEST_CASE("a short body has the full Content-Length and closes early") {
  SampleHub hub;
  hub.add(Fault{.on = Fault::On::payload, .what = ShortBody{.cut = 10}});
  const Response response = fetch(hub, kWeights);
  CHECK(response.header("content-length") == "1000000");
  CHECK(response.body.size() == 999'990);
  CHECK(response.end == End::closed);
}

TEST_CASE("a long body has no Content-Length and too many bytes") {
  SampleHub hub;
  hub.add(Fault{.on = Fault::On::payload, .what = LongBody{.extra = 10}});
  const Response response = fetch(hub, kWeights);
  CHECK(response.header("content-length").empty());
  CHECK(response.body.size() == 1'000'010);
  CHECK(response.end == End::closed);
}

TEST_CASE("a flipped byte applies to the first range that contains it") {
  SampleHub hub;
  const std::string whole = content_text(sample_weights().content);
  hub.add(Fault{.on = Fault::On::payload, .what = FlipByte{.offset = 500'000}});
  CHECK(fetch(hub, kWeights, "Range: bytes=0-499999\r\n").body == whole.substr(0, 500'000));
  std::string expected = whole.substr(500'000);
  expected[0] = static_cast<char>(expected[0] ^ 1);
  CHECK((fetch(hub, kWeights, "Range: bytes=500000-999999\r\n").body == expected));
  CHECK((fetch(hub, kWeights).body == whole));
}

TEST_CASE("an ignored range is a 200 with the whole file") {
  SampleHub hub;
  hub.add(Fault{.on = Fault::On::payload, .what = RangeIgnored{}});
  CHECK(fetch(hub, kWeights).status == 200);  // does not use the fault up
  const Response response = fetch(hub, kWeights, "Range: bytes=5-9\r\n");
  CHECK(response.status == 200);
  CHECK(response.header("content-range").empty());
  CHECK(response.body.size() == 1'000'000);
}

TEST_CASE("a wrong range has a matching Content-Range") {
  SampleHub hub;
  const std::string whole = content_text(sample_weights().content);
  hub.add(Fault{.on = Fault::On::payload, .times = 2, .what = WrongRange{.shift = 3}});
  const Response response = fetch(hub, kWeights, "Range: bytes=5-9\r\n");
  CHECK(response.header("content-range") == "bytes 8-12/1000000");
  CHECK(response.body == whole.substr(8, 5));
  CHECK(fetch(hub, kWeights, "Range: bytes=999990-\r\n").header("content-range") ==
        "bytes 999987-999996/1000000");
}

TEST_CASE("a wrong total is in Content-Range or X-Linked-Size") {
  SampleHub hub;
  hub.add(Fault{.on = Fault::On::payload, .what = WrongTotal{.difference = 5}});
  CHECK(fetch(hub, kWeights, "Range: bytes=5-9\r\n").header("content-range") ==
        "bytes 5-9/1000005");
  hub.add(Fault{.on = Fault::On::resolve, .what = WrongTotal{.difference = -5}});
  CHECK(ask(hub, kWeights).header("x-linked-size") == "999995");
}

TEST_CASE("faults can send HTML, a redirect, truncated JSON, another body or other headers") {
  SampleHub hub;
  hub.add(Fault{.what = Html{}});
  const Response html = ask(hub, kTree);
  CHECK(html.status == 200);
  CHECK(html.header("content-type").starts_with("text/html"));
  hub.add(Fault{.what = Redirect{.location = "http://127.0.0.1:1/x", .code = 308}});
  const Response redirect = ask(hub, kTree);
  CHECK(redirect.status == 308);
  CHECK(redirect.header("location") == "http://127.0.0.1:1/x");
  hub.add(Fault{.what = GarbageJson{}});
  CHECK_THROWS(ask(hub, kTree).json());
  hub.add(Fault{.what = BodyOverride{.body = "[]"}});
  CHECK(ask(hub, kTree).body == "[]");
  hub.add(Fault{
      .what = ChangeHeaders{.set = {{"x-repo-commit", "none"}}, .remove = {"X-Linked-Etag"}}});
  const Response changed = ask(hub, kWeights);
  CHECK(changed.header("x-repo-commit") == "none");
  CHECK(changed.header("x-linked-etag").empty());
}

TEST_CASE("an expired signature is 403 with XML from the payload host") {
  SampleHub hub;
  hub.add(Fault{.on = Fault::On::payload, .what = ExpiredSignature{}});
  const Response response = fetch(hub, kWeights);
  CHECK(response.status == 403);
  CHECK(response.body.starts_with("<?xml"));
  CHECK(fetch(hub, kWeights).status == 200);
}

TEST_CASE("a claimed encoding has no length, and chunked responses keep the connection") {
  SampleHub hub;
  hub.add(Fault{.on = Fault::On::tree, .what = ContentEncoding{}});
  Client client(hub.endpoint());
  const Response encoded = client.ask(kTree);
  CHECK(encoded.header("content-encoding") == "gzip");
  CHECK(encoded.header("content-length").empty());
  CHECK(encoded.json().size() == 6);
  hub.add(Fault{.on = Fault::On::payload, .what = Chunked{}});
  CHECK(sha256_hex(fetch(hub, kWeights).body) == digests_of(sample_weights()).sha256);
  CHECK(client.ask(kTree).status == 200);
}

TEST_CASE("every fault can be written as JSON") {
  const auto faults = parse_faults(R"([
    {"what":"status","code":418,"headers":{"A":"b"},"body":"x"}, {"what":"reset","after":5}, {"what":"stall","after":6,"lasting":7},
    {"what":"drip","bytes_per_second":8,"after":9}, {"what":"short_body","cut":10}, {"what":"long_body","extra":11}, {"what":"flip_byte","offset":12},
    {"what":"range_ignored"}, {"what":"wrong_range","shift":13}, {"what":"wrong_total","difference":14}, {"what":"html"},
    {"what":"redirect","location":"/y","code":301}, {"what":"expired_signature"}, {"what":"content_encoding","name":"br"}, {"what":"chunked"},
    {"what":"garbage_json"}, {"what":"body_override","body":"[]"}, {"what":"change_headers","set":{"C":"d"},"remove":["E"]},
    {"on":"payload","path":"p","file":"f","method":"GET","times":-1,"skip":2,"what":"html"}])");
  REQUIRE(faults.size() == std::variant_size_v<Fault::What> + 1);
  for (std::size_t i = 0; i + 1 < faults.size(); ++i) CHECK(faults[i].what.index() == i);
  CHECK(std::get<Status>(faults[0].what).headers == HeaderList{{"A", "b"}});
  CHECK(std::get<Stall>(faults[2].what).lasting == milliseconds(7));
  CHECK(faults.back().on == Fault::On::payload);
  CHECK(faults.back().file == "f");
  CHECK(faults.back().times == -1);
  CHECK(faults.back().skip == 2);
}

}  // namespace model_prep::testing
