// SPDX-License-Identifier: Apache-2.0
#include "support/fake_hub.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "support/catch.h"
#include "support/hub_test_client.h"

namespace model_prep::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

}  // namespace

TEST_CASE("one connection carries many requests, also pipelined ones") {
  SampleHub hub;
  Client client(hub.endpoint());
  CHECK(client.ask(kTree).status == 200);
  const std::string request = "GET " + kTree + " HTTP/1.1\r\nHost: hub\r\n\r\n";
  client.send(request + request);
  CHECK(client.read_response().status == 200);
  CHECK(client.read_response().status == 200);
  const auto log = hub.requests();
  REQUIRE(log.size() == 3);
  CHECK(log[0].connection == log[2].connection);
}

TEST_CASE("a client's Connection: close is honoured") {
  SampleHub hub;
  Client client(hub.endpoint());
  CHECK(client.ask(kTree, "Connection: close\r\n").header("connection") == "close");
  CHECK(client.read_response().end == End::closed);
  Client old(hub.endpoint());
  old.send("GET " + kTree + " HTTP/1.0\r\n\r\n");
  CHECK(old.read_response().status == 200);
  CHECK(old.read_response().end == End::closed);
}

TEST_CASE("malformed requests are 400 and the connection closes") {
  SampleHub hub;
  const std::string too_long(20'000, 'a');
  for (const std::string& text : std::vector<std::string>{
           "nonsense\r\n\r\n", "\r\n\r\n", "GET / HTTP/2\r\n\r\n",
           "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n",
           "GET / HTTP/1.1\r\n\r\n", "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", "GET /#f HTTP/1.1\r\nHost: h\r\n\r\n",
           "GET /" + too_long + " HTTP/1.1\r\nHost: h\r\n\r\n", too_long,
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999999\r\n\r\n"}) {
    Client client(hub.endpoint());
    client.send(text);
    CHECK(client.read_response().status == 400);
    CHECK(client.read_response().end == End::closed);
  }
  CHECK(ask(hub, kTree).status == 200);
}

TEST_CASE("the log records origin, kind, file, range, status and bytes") {
  SampleHub hub;
  fetch(hub, kWeights, "Range: bytes=0-99\r\n");
  const auto log = hub.requests();
  REQUIRE(log.size() == 2);
  CHECK(log[0].origin == "hub");
  CHECK(log[0].kind == "resolve");
  CHECK(log[0].status == 302);
  CHECK(log[0].target == kWeights);
  CHECK(log[1].origin == "payload");
  CHECK(log[1].kind == "payload");
  CHECK(log[1].file == "onnx/model.bin");
  CHECK(log[1].range == "bytes=0-99");
  CHECK(log[1].status == 206);
  CHECK(log[1].body_bytes_sent == 100);
  CHECK(hub.requests("payload").size() == 1);
  hub.clear_requests();
  CHECK(hub.requests().empty());
}

TEST_CASE("the control routes show the log, take faults and are not logged") {
  SampleHub hub;
  ask(hub, kTree);
  CHECK(ask(hub, "/_hub/requests").json()[0]["kind"] == "tree");
  CHECK(ask(hub, "/_hub/faults", "", "POST",
            R"([{"on":"tree","what":"status","code":503,"headers":{"Retry-After":"1"}}])")
            .status == 200);
  CHECK(ask(hub, "/_hub/faults", "", "POST", R"([{"on":"tree","what":"nonsense"}])").status == 400);
  CHECK(ask(hub, "/_hub/faults", "", "POST", "[").status == 400);
  CHECK(ask(hub, "/_hub/faults", "", "POST", R"({"a":1})").status == 400);
  CHECK(ask(hub, kTree).header("retry-after") == "1");
  CHECK(ask(hub, "/_hub/faults", "", "POST", R"([{"what":"html","times":-1}])").status == 200);
  CHECK(ask(hub, "/_hub/faults", "", "DELETE").status == 200);
  CHECK(ask(hub, kTree).status == 200);
  CHECK(ask(hub, "/_hub/requests", "", "DELETE").status == 200);
  CHECK(ask(hub, "/_hub/requests").body == "[]");
  CHECK(ask(hub, "/_hub/what").status == 404);
}

TEST_CASE("the manifest locks every file of main") {
  SampleHub hub;
  const auto manifest = ask(hub, "/_hub/manifest").json();
  CHECK(manifest == nlohmann::json::parse(hub.manifest()));
  CHECK(manifest["version"] == 1);
  const auto& model = manifest["models"]["name"];
  CHECK(model["repo"] == "org/name");
  CHECK(model["revision"] == kSampleCommit);
  CHECK(model["ref"] == "main");
  CHECK(model["locked"] == nlohmann::json::parse(R"(["fp32","all"])"));
  CHECK(model["variants"]["fp32"]["exclude"] ==
        nlohmann::json::parse(R"(["onnx/*","openvino/*"])"));
  CHECK(model["variants"]["fp32"]["size"] == 9 + 2);
  CHECK(model["files"].size() == 4);
  const FileDigests digests = digests_of(sample_weights());
  CHECK(model["files"]["onnx/model.bin"] ==
        nlohmann::json{{"size", kWeightsSize}, {"sha256", digests.sha256}});
  CHECK(model["files"]["config.json"]["git_sha1"].get<std::string>().size() == 40);
}

TEST_CASE("the hub stops at once, even with stalled or partial responses") {
  auto hub = std::make_unique<SampleHub>();
  hub->add(Fault{.on = Fault::On::payload, .what = Stall{.after = 10}});
  hub->add(Fault{.on = Fault::On::tree, .what = Drip{.bytes_per_second = 1}});
  Client idle(hub->endpoint());
  Client half(hub->endpoint());
  half.send("GET / HT");
  Client dripping(hub->endpoint());
  dripping.send("GET " + kTree + " HTTP/1.1\r\nHost: hub\r\n\r\n");
  const std::string target = signed_target(*hub);
  Client stalled(hub->payload_origin());
  stalled.send("GET " + target + " HTTP/1.1\r\nHost: hub\r\n\r\n");
  Client slow_reader(hub->payload_origin());
  slow_reader.send("GET " + signed_target(*hub) + " HTTP/1.1\r\nHost: hub\r\n\r\n");
  REQUIRE(hub->wait_until([](const auto& log) {
    return std::count_if(log.begin(), log.end(),
                         [](const auto& request) { return request.body_bytes_sent > 0; }) >= 5;
  }));
  const auto start = steady_clock::now();
  hub.reset();
  // Some 2 ms on a free machine; a stall that was waited for would take until the test is killed.
  CHECK(steady_clock::now() - start < milliseconds(1000));
}

TEST_CASE("many clients at once get what they request") {
  SampleHub hub;
  const std::string expected = digests_of(sample_weights()).sha256;
  std::vector<std::string> digests(16);
  {
    std::vector<std::jthread> threads;
    threads.reserve(digests.size());
    for (std::string& digest : digests) {
      threads.emplace_back([&hub, &digest] { digest = sha256_hex(fetch(hub, kWeights).body); });
    }
  }
  CHECK(std::count(digests.begin(), digests.end(), expected) == 16);
  CHECK(hub.requests("payload").size() == 16);
}

TEST_CASE("waiting for the log ends with the event, or with the timeout") {
  SampleHub hub;
  const auto has_tree = [](const std::vector<LoggedRequest>& log) {
    return !log.empty() && log[0].kind == "tree";
  };
  CHECK_FALSE(hub.wait_until(has_tree, milliseconds(10)));
  const std::jthread client([&hub] { Client(hub.endpoint()).ask(kTree); });
  CHECK(hub.wait_until(has_tree));
}

TEST_CASE("a repository added again replaces the first") {
  SampleHub hub;
  hub.add(make_repo("org/name", {{"config.json", "new"}}));
  CHECK(fetch(hub, kConfig).body == "new");
  CHECK(nlohmann::json::parse(hub.manifest())["models"].size() == 1);
}

}  // namespace model_prep::testing
