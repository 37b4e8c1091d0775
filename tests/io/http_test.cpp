// SPDX-License-Identifier: Apache-2.0
// The transport against the test hub, with real sockets.
#include "model_prep/io/http.h"
#include "model_prep/io/url.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "support/catch.h"
#include "support/fake_hub.h"

namespace model_prep {
namespace {

using testing::FakeHub;
using testing::Fault;
using Body = BodySink::Body;

/// Records everything; returns `answer` for the head.
struct Recorder : BodySink {
  Body answer = Body::wanted;
  std::optional<Error> refuse_data;
  std::optional<Error> refuse_pause;
  std::vector<ResponseHead> heads;
  std::string bytes;
  std::vector<std::size_t> let_go;  ///< how many bytes there were at each pause

  Body on_head(const ResponseHead& head) override {
    heads.push_back(head);
    return answer;
  }
  std::optional<Error> on_data(std::span<const char> data) override {
    bytes.append(data.data(), data.size());
    return refuse_data;
  }
  std::optional<Error> on_pause() override {
    let_go.push_back(bytes.size());
    return refuse_pause;
  }
};

TransportSettings settings(int stall_seconds = 10) {
  return {.user_agent = "test/1",
          .authorities = {},
          .stall = std::chrono::seconds(stall_seconds),
          .connections = 4};
}

/// A request's end; an `internal` error after 20 s.
TransferEnd end_of(Transport& transport, const Request& request, BodySink& sink,
                   TransferId id = 1) {
  transport.start(id, request, sink);
  const TimePoint deadline = Clock::now() + std::chrono::seconds(20);
  while (Clock::now() < deadline)
    for (TransferEnd& end : transport.poll(deadline))
      if (end.id == id) return std::move(end);
  return {.id = id,
          .head = {},
          .refused = false,
          .error = Error{ErrorKind::internal, "no end came", {}}};
}

Request request_for(const std::string& url) { return {.url = *parse_url(url), .range = {}}; }

struct Site {
  FakeHub hub;
  std::string commit;
  Site() {
    const auto repo = testing::make_repo(
        "org/name",
        {{"config.json", "0123456789"}, {"model.bin", testing::MadeUpBytes{300'000, 1}, true}});
    commit = repo.refs.at("main");
    hub.add(repo);
  }
  std::string api() const { return hub.endpoint() + "/api/models/org/name/revision/main"; }
  std::string file(const std::string& path) const {
    return hub.endpoint() + "/org/name/resolve/" + commit + "/" + path;
  }
  std::string cached(const std::string& path) const {
    return hub.endpoint() + "/api/resolve-cache/models/org/name/" + commit + "/" + path;
  }
};

}  // namespace

TEST_CASE("a response's head is parsed, and its body reaches the sink") {
  const Site site;
  Transport transport(settings());
  Recorder sink;
  const TransferEnd end = end_of(transport, request_for(site.api()), sink);
  CHECK_FALSE(end.error.has_value());
  CHECK(end.head.status == 200);
  CHECK(end.head.content_type == "application/json; charset=utf-8");
  CHECK(end.head.content_length == static_cast<std::int64_t>(sink.bytes.size()));
  CHECK(end.head.rate_limit.find("\"api\"") == 0);
  CHECK(sink.heads.size() == 1);
  CHECK(sink.bytes.find(site.commit) != std::string::npos);
}

TEST_CASE("a redirect is reported and not followed, with the Hub's size and digest of the file") {
  const Site site;
  Transport transport(settings());
  Recorder sink;
  sink.answer = Body::ignored;
  const TransferEnd end = end_of(transport, request_for(site.file("model.bin")), sink);
  CHECK(end.head.status == 302);
  CHECK(end.head.linked_size == 300'000);
  CHECK(end.head.linked_etag.size() == 66);
  REQUIRE(end.head.redirect.has_value());
  CHECK(end.head.redirect->origin == site.hub.payload_origin());
  CHECK(end.head.redirect->text == end.head.location);
  CHECK(sink.bytes.empty());
}

TEST_CASE("a sink is flushed when no more bytes are ready, and before the end") {
  Site site;
  Transport transport(settings());
  Recorder whole;
  CHECK_FALSE(end_of(transport, request_for(site.cached("config.json")), whole).error.has_value());
  REQUIRE_FALSE(whole.let_go.empty());
  CHECK(whole.let_go.back() == 10);
  site.hub.add(Fault{.on = Fault::On::resolve_cache, .what = testing::Stall{.after = 4}});
  Recorder stalled;
  transport.start(2, request_for(site.cached("config.json")), stalled);
  const TimePoint deadline = Clock::now() + std::chrono::seconds(20);
  while (stalled.let_go.empty() && Clock::now() < deadline)
    CHECK(transport.poll(Clock::now() + std::chrono::milliseconds(20)).empty());
  CHECK(stalled.let_go == std::vector<std::size_t>{4});
}

TEST_CASE("a sink that cannot flush ends the transfer") {
  const Site site;
  Transport transport(settings());
  Recorder sink;
  sink.refuse_pause = Error{ErrorKind::disk_full, "no space", {}};
  const TransferEnd end = end_of(transport, request_for(site.cached("config.json")), sink);
  REQUIRE(end.error.has_value());
  CHECK(end.error->kind == ErrorKind::disk_full);
  CHECK(sink.let_go.size() == 1);
}

TEST_CASE("a relative redirect stays at its origin") {
  const Site site;
  Transport transport(settings());
  Recorder sink;
  sink.answer = Body::ignored;
  const TransferEnd end = end_of(transport, request_for(site.file("config.json")), sink);
  REQUIRE(end.head.redirect.has_value());
  CHECK(end.head.redirect->text == site.hub.endpoint() + end.head.location);
}

TEST_CASE("an error's code and message are read") {
  const Site site;
  Transport transport(settings());
  Recorder sink;
  sink.answer = Body::ignored;
  const TransferEnd end = end_of(transport, request_for(site.file("nothing")), sink);
  CHECK(end.head.status == 404);
  CHECK(end.head.error_code == "EntryNotFound");
  CHECK(end.head.error_message == "Entry not found");
  CHECK_FALSE(end.error.has_value());
}

TEST_CASE("Retry-After is read as seconds") {
  Site site;
  site.hub.add(Fault{.what = testing::Status{503, {{"Retry-After", "7"}}}});
  Transport transport(settings());
  Recorder sink;
  CHECK(end_of(transport, request_for(site.api()), sink).head.retry_after ==
        std::chrono::seconds(7));
}

TEST_CASE("a body that the sink refuses is not read, and is not an error") {
  const Site site;
  Transport transport(settings());
  Recorder sink;
  sink.answer = Body::refused;
  const TransferEnd end = end_of(transport, request_for(site.cached("config.json")), sink);
  CHECK(end.refused);
  CHECK_FALSE(end.error.has_value());
  CHECK(end.head.status == 200);
  CHECK(sink.bytes.empty());
}

TEST_CASE("a large body that the sink ignores is not read to its end") {
  Site site;
  site.hub.add(Fault{.what = testing::Status{404, {}, std::string(5'000'000, 'x')}});
  Transport transport(settings());
  Recorder sink;
  sink.answer = Body::ignored;
  const TransferEnd end = end_of(transport, request_for(site.api()), sink);
  CHECK(end.refused);
  CHECK(end.head.status == 404);
}

TEST_CASE("a sink's error ends the transfer with that error") {
  const Site site;
  Transport transport(settings());
  Recorder sink;
  sink.refuse_data = Error{ErrorKind::disk_full, "full", {}};
  const TransferEnd end = end_of(transport, request_for(site.api()), sink);
  CHECK(end.error == sink.refuse_data);
}

TEST_CASE("the sink sees the head of a response without a body") {
  Site site;
  site.hub.add(Fault{.what = testing::Status{200, {}, ""}});
  Transport transport(settings());
  Recorder sink;
  end_of(transport, request_for(site.api()), sink);
  CHECK(sink.heads.size() == 1);
}

TEST_CASE("a range is requested exactly, and its bytes are those of the range") {
  const Site site;
  Transport transport(settings());
  Recorder sink;
  Request request = request_for(site.cached("config.json"));
  request.kind = RequestKind::payload;
  request.range = ByteRange{2, 6};
  const TransferEnd end = end_of(transport, request, sink);
  CHECK(site.hub.requests().at(0).range == "bytes=2-5");
  CHECK(end.head.status == 206);
  CHECK(end.head.content_range == "bytes 2-5/10");
  CHECK(sink.bytes == "2345");
}

TEST_CASE("a signed URL is sent byte for byte") {
  const Site site;
  Transport transport(settings());
  Recorder sink;
  sink.answer = Body::ignored;
  const TransferEnd hop = end_of(transport, request_for(site.file("model.bin")), sink);
  Recorder payload;
  const TransferEnd end =
      end_of(transport, {.url = *hop.head.redirect, .kind = RequestKind::payload, .range = {}},
             payload, 2);
  CHECK(end.head.status == 200);
  CHECK(payload.bytes.size() == 300'000);
}

TEST_CASE("the token is sent only with the requests that carry it") {
  const Site site;
  const Token token("hf_secret");
  Transport transport(settings());
  Recorder sink;
  Request request = request_for(site.api());
  end_of(transport, request, sink, 1);
  request.token = &token;
  end_of(transport, request, sink, 2);
  const auto requests = site.hub.requests();
  REQUIRE(requests.size() == 2);
  CHECK_FALSE(requests[0].headers.contains("authorization"));
  CHECK(requests[1].headers.at("authorization") == "Bearer hf_secret");
}

TEST_CASE("files are requested uncompressed, with our user agent") {
  const Site site;
  Transport transport(settings());
  Recorder sink;
  end_of(transport, request_for(site.api()), sink);
  const auto headers = site.hub.requests().at(0).headers;
  CHECK(headers.at("accept-encoding") == "identity");
  CHECK(headers.at("user-agent") == "test/1");
}

TEST_CASE("a connection is reused") {
  const Site site;
  Transport transport(settings());
  for (TransferId id = 1; id <= 5; ++id) {
    Recorder sink;
    end_of(transport, request_for(site.api()), sink, id);
  }
  std::set<std::int64_t> connections;
  for (const auto& request : site.hub.requests()) connections.insert(request.connection);
  CHECK(connections.size() == 1);
}

TEST_CASE("a dropped connection is a network error") {
  Site site;
  const Fault fault =
      GENERATE(Fault{.what = testing::Reset{}}, Fault{.what = testing::Reset{.after = 10}},
               Fault{.what = testing::ShortBody{5}});
  site.hub.add(fault);
  Transport transport(settings());
  Recorder sink;
  const TransferEnd end = end_of(transport, request_for(site.api()), sink);
  REQUIRE(end.error.has_value());
  CHECK(end.error->kind == ErrorKind::network);
  CHECK_FALSE(end.error->message.empty());
}

TEST_CASE("a response that breaks off before its body still counts as an answer") {
  Site site;
  site.hub.add(Fault{.what = testing::Reset{.after = 0}});
  Transport transport(settings());
  Recorder sink;
  const TransferEnd end = end_of(transport, request_for(site.api()), sink);
  CHECK(end.error.has_value());
  CHECK(end.head.status == 200);
  CHECK(sink.heads.size() == 1);
}

TEST_CASE("links to other pages are found in whichever line of the head they are") {
  Site site;
  site.hub.add(
      Fault{.what = testing::ChangeHeaders{
                .set = {{"Link", "</style.css>; rel=preload\r\nLink: <x>; rel=\"next\""}}}});
  Transport transport(settings());
  Recorder sink;
  CHECK(end_of(transport, request_for(site.api()), sink).head.link ==
        "</style.css>; rel=preload, <x>; rel=\"next\"");
}

TEST_CASE("a stalled transfer is a timeout") {
  Site site;
  const std::int64_t after = GENERATE(std::int64_t{-1}, std::int64_t{5});
  INFO(after);
  site.hub.add(Fault{.what = testing::Stall{.after = after}});
  Transport transport(settings(1));
  Recorder sink;
  const TransferEnd end = end_of(transport, request_for(site.api()), sink);
  REQUIRE(end.error.has_value());
  CHECK(end.error->kind == ErrorKind::timeout);
}

TEST_CASE("a refused connection and an unknown host are network errors") {
  const std::string gone = [] { return FakeHub().endpoint(); }();
  const std::string url = GENERATE_COPY(gone + "/x", std::string("http://no-such-host.invalid/"));
  Transport transport(settings());
  Recorder sink;
  const TransferEnd end = end_of(transport, request_for(url), sink);
  REQUIRE(end.error.has_value());
  CHECK(end.error->kind == ErrorKind::network);
  CHECK(sink.heads.empty());
}

TEST_CASE("an unanswered TLS handshake is a timeout, and nothing is sent") {
  Site site;
  std::string url = site.api();
  url.replace(0, 4, "https");
  Transport transport(settings(1));
  Recorder sink;
  const TransferEnd end = end_of(transport, request_for(url), sink);
  REQUIRE(end.error.has_value());
  CHECK(end.error->kind == ErrorKind::timeout);
  CHECK(sink.heads.empty());
  CHECK(site.hub.requests().empty());
}

TEST_CASE("a cancelled transfer gets neither callbacks nor an end") {
  Site site;
  site.hub.add(Fault{.what = testing::Stall{}});
  Transport transport(settings());
  Recorder cancelled;
  transport.start(1, request_for(site.api()), cancelled);
  const TimePoint deadline = Clock::now() + std::chrono::seconds(10);
  while (site.hub.requests().empty() && Clock::now() < deadline)
    static_cast<void>(transport.poll(Clock::now() + std::chrono::milliseconds(10)));
  transport.cancel(1);
  Recorder sink;
  const TransferEnd end = end_of(transport, request_for(site.api()), sink, 2);
  CHECK(end.id == 2);
  CHECK(cancelled.heads.empty());
}

TEST_CASE("many transfers run at once, and each ends under its own id") {
  const Site site;
  Transport transport(settings());
  std::map<TransferId, Recorder> sinks;
  for (TransferId id = 1; id <= 20; ++id)
    transport.start(id, request_for(site.cached("config.json")), sinks[id]);
  std::set<TransferId> ended;
  const TimePoint deadline = Clock::now() + std::chrono::seconds(20);
  while (ended.size() < 20 && Clock::now() < deadline)
    for (const TransferEnd& end : transport.poll(deadline)) ended.insert(end.id);
  CHECK(ended.size() == 20);
  CHECK(std::all_of(sinks.begin(), sinks.end(),
                    [](const auto& sink) { return sink.second.bytes == "0123456789"; }));
}

TEST_CASE("another thread can wake a waiting poll") {
  Transport transport(settings());
  std::jthread waker([&] { transport.wake(); });
  const TimePoint begun = Clock::now();
  const auto ends = transport.poll(begun + std::chrono::seconds(30));
  CHECK(ends.empty());
  CHECK(Clock::now() - begun < std::chrono::seconds(20));
}

TEST_CASE("a poll ends at its deadline") {
  Transport transport(settings());
  CHECK(transport.poll(Clock::now() + std::chrono::milliseconds(20)).empty());
  CHECK(transport.poll(TimePoint::min()).empty());
}

}  // namespace model_prep
