// SPDX-License-Identifier: Apache-2.0
// Shared by the hub's own tests: a client on plain sockets, and a sample repository.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "support/fake_hub.h"

namespace model_prep::testing {

// How long to wait for a response, and for the absence of one, also on a loaded machine.
inline constexpr std::chrono::milliseconds kPatience{20'000};
inline constexpr std::chrono::milliseconds kSilence{500};

enum class End { open, closed, reset, silent };

struct Response {
  int status = 0;  ///< 0: no head received
  std::map<std::string, std::string> headers;
  std::string body;
  End end = End::open;  ///< why reading ended; open: the body was complete

  std::string header(const std::string& lower_case_name) const;
  nlohmann::json json() const { return nlohmann::json::parse(body); }
};

/// One connection. Throws std::runtime_error instead of using REQUIRE, because Catch2's assertions
/// are not thread-safe.
class Client {
 public:
  explicit Client(const std::string& origin, std::chrono::milliseconds patience = kPatience);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(const std::string& text) const;
  Response ask(const std::string& target, const std::string& headers = "",
               const std::string& method = "GET", const std::string& body = "");
  enum class Body { expected, none };
  Response read_response(Body body = Body::expected);

 private:
  End receive();
  void read_body(Response& response);
  void read_chunks(Response& response);

  int socket_;
  std::chrono::milliseconds patience_;
  std::string input_;
};

/// Sends one request on a new connection.
Response ask(const FakeHub& hub, const std::string& target, const std::string& headers = "",
             const std::string& method = "GET", const std::string& body = "");

/// Follows redirects to either origin, with the same headers everywhere.
Response fetch(const FakeHub& hub, const std::string& target, const std::string& headers = "",
               std::chrono::milliseconds patience = kPatience);

/// "http://host:port" of a URL.
std::string origin_of_url(const std::string& url);

/// org/name at kSampleCommit: config.json, README.md, 1_Pooling/config.json, and sample_weights().
inline constexpr std::int64_t kWeightsSize = 1'000'000;
inline const std::string kSampleCommit = "0123456789abcdef0123456789abcdef01234567";
inline const std::string kTree = "/api/models/org/name/tree/main?recursive=true&expand=false";
inline const std::string kWeights = "/org/name/resolve/main/onnx/model.bin";
inline const std::string kConfig = "/org/name/resolve/main/config.json";
inline const std::string kBearer = "Authorization: Bearer secret\r\n";

HubFile sample_weights();
HubRepo sample_repo(HubRepo::Access access = HubRepo::Access::open);

/// The token "secret" has access, "stranger" has not.
HubOptions with_tokens();

struct SampleHub : FakeHub {
  explicit SampleHub(HubOptions options = {}, HubRepo::Access access = HubRepo::Access::open);
};

/// The signed target of the weights on the payload host for a Range header ("" for none).
std::string signed_target(const FakeHub& hub, const std::string& range_header = "");

}  // namespace model_prep::testing
