// SPDX-License-Identifier: Apache-2.0
// Options of a test hub. The defaults behave like huggingface.co.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace model_prep::testing {

/// Requests per window, then 429, for each of two buckets. All windows start with the hub.
struct RateLimit {
  std::int64_t api = 500;
  std::int64_t resolvers = 3000;
  std::chrono::seconds window{300};
};

/// A server's certificate and key, as PEM, from hub_tls.h.
struct HubTls {
  enum class Where { both, hub_only };  ///< hub_only: the payload host speaks plain http

  std::string certificate;
  std::string key;
  Where where = Where::both;
};

struct HubOptions {
  enum class Style {
    hub,  ///< /resolve/ redirects: 307 to /api/resolve-cache/ for plain files, 302 to the payload
          ///< host for LFS
    mirror,  ///< /resolve/ answers 200 itself
  };

  std::uint16_t hub_port = 0;         ///< 0: any free port
  std::uint16_t payload_port = 0;     ///< 0: any free port
  std::size_t page_size = 1000;       ///< entries of one page of /tree/
  bool lists_recursively = true;      ///< false: a mirror that ignores recursive=true
  bool lists_blobs = true;            ///< false: a mirror that ignores blobs=true
  std::vector<std::string> tokens{};  ///< valid, and granted access to gated and private
                                      ///< repositories; or logins, `user:password` in base64
  std::vector<std::string> tokens_without_access{};  ///< valid, but granted nothing
  std::string path_prefix{};                         ///< "/hf": the hub is below this path
  Style style = Style::hub;
  bool sign_ranges =
      true;  ///< a signed URL is valid for exactly the Range header of the /resolve/ that made it
  std::chrono::seconds signed_url_lifetime{3600};
  std::int64_t bytes_per_second_per_connection = 0;  ///< 0: unlimited
  std::optional<RateLimit> rate_limit{};  ///< none: the headers are sent, but nothing is refused
  std::optional<HubTls> tls{};            ///< none: plain http
  std::string link_origin{};  ///< origin in the tree's Link header, "https://huggingface.co";
                              ///< empty: the hub's own
};

}  // namespace model_prep::testing
