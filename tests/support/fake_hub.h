// SPDX-License-Identifier: Apache-2.0
// A Hugging Face Hub for tests: a strict HTTP/1.1 server on loopback, in this process.
//
// It has two origins, like the real one: the *hub* (API and /resolve/) and the *payload host*
// (signed URLs of LFS files), so that a token sent to the second is noticed. It serves as soon as
// it is constructed. The destructor stops it at once, even if a response is stalled. All functions
// may be called from any thread, also during requests.
//
//   FakeHub hub;
//   hub.add(make_repo("org/name", {{"config.json", "{}"},
//                                  {"model.bin", MadeUpBytes{1'000'000, 1}, true}}));
//   hub.add(Fault{.on = Fault::On::payload, .what = Reset{.after = 70'000}});
//   … run the program against hub.endpoint() …
//   CHECK(hub.requests("payload").size() == 2);
//
// Strict means:
//   400 and a close   raw spaces, control or non-ASCII bytes in the request line; HTTP/1.1 without
//                     Host; a head above 16 KiB
//   400               Authorization at the payload host; a revision that is not a commit at
//                     /api/resolve-cache/
//   403               a signed URL with another Range than the one it was made for
//
// On the hub's origin, and not logged: GET and DELETE /_hub/requests, POST (see parse_faults) and
// DELETE /_hub/faults, GET /_hub/manifest.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/hub_content.h"
#include "support/hub_fault.h"
#include "support/hub_options.h"

namespace model_prep::testing {

struct LoggedRequest {
  std::string origin;  ///< "hub" or "payload"
  std::string method;
  std::string target;                          ///< as it was sent: path and query
  std::string path;                            ///< of the target, decoded
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::optional<std::string> range;            ///< the Range header
  int status = 0;                              ///< 0: nothing was sent (yet)
  std::int64_t body_bytes_sent = 0;  ///< handed to the kernel; never less than the client has read
  std::string kind;  ///< "repo_info", "tree", "refs", "paths_info", "resolve", "resolve_cache",
                     ///< "payload", "other"
  std::string file;  ///< path in the repository, if the request is for a file
  std::int64_t connection = 0;                    ///< equal for requests on the same connection
  std::chrono::steady_clock::time_point at = {};  ///< when its head was read
};

class FakeHub {
 public:
  /// Throws std::system_error if it cannot listen. A client that waits for the port may ask before
  /// anything was added; `repos` are there from the first request.
  explicit FakeHub(HubOptions options = {}, std::vector<HubRepo> repos = {});
  ~FakeHub();
  FakeHub(const FakeHub&) = delete;
  FakeHub& operator=(const FakeHub&) = delete;

  std::string endpoint()
      const;  ///< "http://127.0.0.1:4711", with the path prefix: the value for HF_ENDPOINT
  std::string payload_origin() const;  ///< "http://127.0.0.1:4712"

  /// Computes the digests of all files, so it takes as long as reading them; replaces a repository
  /// of the same id.
  void add(HubRepo repo);
  void add(Fault fault);
  void clear_faults();

  /// In order of arrival, including those still in progress.
  std::vector<LoggedRequest> requests() const;
  std::vector<LoggedRequest> requests(std::string_view kind) const;
  void clear_requests();
  /// TCP connections so far: a client that closes during the TLS handshake sends no request.
  std::int64_t connections() const;

  /// Waits until the log satisfies the predicate, which is called after every change; false after
  /// `timeout`.
  bool wait_until(const std::function<bool(const std::vector<LoggedRequest>&)>& predicate,
                  std::chrono::milliseconds timeout = std::chrono::seconds(10)) const;

  /// From now on, every signed URL handed out so far gets a 403.
  void expire_signed_urls();

  /// A model-prep manifest that locks every file of main in every repository.
  std::string manifest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace model_prep::testing
