// SPDX-License-Identifier: Apache-2.0
#include "support/hub_test_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

#include "support/hub_http.h"

namespace model_prep::testing {
namespace {

void read_head(const std::string& head, Response& response) {
  response.status = std::stoi(head.substr(9, 3));
  for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
    const std::size_t end = head.find("\r\n", at);
    const std::size_t colon = head.find(": ", at);
    response.headers[to_lower(head.substr(at, colon - at))] =
        head.substr(colon + 2, end - colon - 2);
    at = end + 2;
  }
}

}  // namespace

std::string Response::header(const std::string& lower_case_name) const {
  const auto place = headers.find(lower_case_name);
  return place == headers.end() ? "" : place->second;
}

Client::Client(const std::string& origin, std::chrono::milliseconds patience)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), patience_(patience) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port =
      htons(static_cast<std::uint16_t>(std::stoi(origin.substr(origin.rfind(':') + 1))));
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(socket_);
    throw std::runtime_error("cannot connect to " + origin);
  }
}

Client::~Client() { ::close(socket_); }

void Client::send(const std::string& text) const {
  const auto count = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
  if (count != static_cast<ssize_t>(text.size())) throw std::runtime_error("cannot send");
}

Response Client::ask(const std::string& target, const std::string& headers,
                     const std::string& method, const std::string& body) {
  const std::string length =
      body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n";
  send(method + " " + target + " HTTP/1.1\r\nHost: hub\r\n" + headers + length + "\r\n" + body);
  return read_response(method == "HEAD" ? Body::none : Body::expected);
}

Response Client::read_response(Body body) {
  Response response;
  std::size_t end;
  while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
    response.end = receive();
    if (response.end != End::open) return response;
  }
  read_head(input_.substr(0, end + 2), response);
  input_.erase(0, end + 4);
  if (body == Body::expected) read_body(response);
  return response;
}

End Client::receive() {
  pollfd descriptor = {socket_, POLLIN, 0};
  if (::poll(&descriptor, 1, static_cast<int>(patience_.count())) == 0) return End::silent;
  std::array<char, 65'536> bytes;
  const auto count = ::recv(socket_, bytes.data(), bytes.size(), 0);
  if (count < 0) return End::reset;
  if (count == 0) return End::closed;
  input_.append(bytes.data(), static_cast<std::size_t>(count));
  return End::open;
}

void Client::read_body(Response& response) {
  if (response.header("transfer-encoding") == "chunked") return read_chunks(response);
  const std::string length = response.header("content-length");
  const std::size_t wanted = length.empty() ? std::string::npos : std::stoul(length);
  while (input_.size() < wanted && response.end == End::open) response.end = receive();
  response.body = input_.substr(0, wanted);
  input_.erase(0, response.body.size());
}

void Client::read_chunks(Response& response) {
  while (true) {
    std::size_t line;
    while ((line = input_.find("\r\n")) == std::string::npos) {
      response.end = receive();
      if (response.end != End::open) return;
    }
    const std::size_t size = std::stoul(input_.substr(0, line), nullptr, 16);
    while (input_.size() < line + 2 + size + 2 && response.end == End::open)
      response.end = receive();
    response.body += input_.substr(line + 2, size);
    input_.erase(0, line + 2 + size + 2);
    if (size == 0 || response.end != End::open) return;
  }
}

Response ask(const FakeHub& hub, const std::string& target, const std::string& headers,
             const std::string& method, const std::string& body) {
  return Client(origin_of_url(hub.endpoint())).ask(target, headers, method, body);
}

Response fetch(const FakeHub& hub, const std::string& target, const std::string& headers,
               std::chrono::milliseconds patience) {
  std::string origin = origin_of_url(hub.endpoint());
  std::string at = target;
  while (true) {
    Response response = Client(origin, patience).ask(at, headers);
    if (response.status < 300 || response.status > 399) return response;
    at = response.header("location");
    if (at.starts_with("http")) {
      origin = origin_of_url(at);
      at = at.substr(origin.size());
    }
  }
}

std::string origin_of_url(const std::string& url) { return url.substr(0, url.find('/', 8)); }

HubFile sample_weights() { return {"onnx/model.bin", MadeUpBytes{kWeightsSize, 7}, true}; }

HubRepo sample_repo(HubRepo::Access access) {
  HubRepo repo = make_repo("org/name",
                           {{"config.json", "{\"a\": 1}\n"},
                            sample_weights(),
                            {"1_Pooling/config.json", "{}"},
                            {"README.md", "read me\n"}},
                           kSampleCommit);
  repo.access = access;
  return repo;
}

HubOptions with_tokens() {
  HubOptions options;
  options.tokens = {"secret"};
  options.tokens_without_access = {"stranger"};
  return options;
}

SampleHub::SampleHub(HubOptions options, HubRepo::Access access) : FakeHub(std::move(options)) {
  add(sample_repo(access));
}

std::string signed_target(const FakeHub& hub, const std::string& range_header) {
  const std::string location = ask(hub, kWeights, range_header).header("location");
  if (!location.starts_with(hub.payload_origin()))
    throw std::runtime_error("no signed URL: " + location);
  return location.substr(hub.payload_origin().size());
}

}  // namespace model_prep::testing
