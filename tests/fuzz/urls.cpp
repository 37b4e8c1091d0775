// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "fuzz/targets.h"
#include "model_prep/core/response_check.h"
#include "model_prep/io/hub_api.h"
#include "model_prep/io/url.h"

namespace model_prep::fuzz {
namespace {

void check_url(const Url& url) {
  require(url.https == url.origin.starts_with("https://"), "https is what the origin says");
  require(url.https || url.origin.starts_with("http://"), "an address is of http or https");
  require(url.origin.find_first_of("@?#/ \t\r\n", url.https ? 8 : 7) == std::string::npos,
          "an origin is no more than one");
  require(std::none_of(url.text.begin(), url.text.end(),
                       [](unsigned char c) { return c <= 0x20 || c == 0x7f; }),
          "an address has no blanks or control characters");
  const auto again = parse_url(url.text);
  require(again && *again == url, "an address is parsed alike twice");
  const auto origin = parse_url(url.origin);
  require(origin && origin->origin == url.origin, "an origin is an address of that origin");
  const std::string seen = display(url);
  require(seen.starts_with(url.origin), "what is shown of an address begins with the origin");
  require(seen.find_first_of("?#") == std::string::npos, "no query is shown");
}

int hex_value(char c) { return c <= '9' ? c - '0' : c - 'A' + 10; }

void check_encoding(const std::string& text) {
  const std::string encoded = percent_encode(text);
  std::string decoded;
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    const char c = encoded[i];
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("_.-~").find(c) != std::string_view::npos;
    require(plain || (c == '%' && i + 2 < encoded.size()), "what is encoded is plain");
    decoded +=
        plain ? c : static_cast<char>(hex_value(encoded[i + 1]) * 16 + hex_value(encoded[i + 2]));
    if (!plain) i += 2;
  }
  require(decoded == text, "what is encoded can be decoded");
}

void check_stays(const Url& endpoint, const Url& url) {
  const auto parsed = parse_url(url.text);
  require(parsed && parsed->origin == endpoint.origin && url.origin == endpoint.origin &&
              url.https == endpoint.https,
          "an address of the hub is at the endpoint");
}

void check_hub(const Hub& hub, const std::string& link, const std::string& name) {
  check_url(hub.endpoint());
  const RepoId repo = *RepoId::parse("org/name");
  const CommitId commit = *CommitId::parse("0123456789012345678901234567890123456789");
  check_stays(hub.endpoint(), hub.tree(repo, commit));
  check_stays(hub.endpoint(), hub.blobs(repo, commit));
  if (const auto path = RepoPath::parse(name))
    check_stays(hub.endpoint(), hub.resolve(repo, commit, *path));
  if (const auto revision = Revision::parse(name))
    check_stays(hub.endpoint(), hub.info(repo, *revision));
  if (const auto next = hub.next_page(link, hub.tree(repo, commit)))
    check_stays(hub.endpoint(), *next);
}

}  // namespace

void urls(std::string_view input) {
  Lines lines(input);
  const std::string base_text = lines.next();
  const std::string reference = lines.next();
  const std::string link = lines.next();
  const std::string endpoint = lines.next();
  const std::string name = lines.next();
  check_encoding(name);
  if (const auto base = parse_url(base_text)) {
    check_url(*base);
    if (const auto url = resolve_url(*base, reference)) {
      check_url(*url);
      const bool of_path = reference.starts_with('/') && !reference.starts_with("//");
      require(!of_path || url->origin == base->origin, "a path stays at the origin");
      ResponseHead head;
      head.status = 302;
      head.redirect = url;
      const auto next = follow(head, *base, 0, {.object = "a", .repo = "a"});
      require(next.has_value() == (url->https || !base->https), "https is never left for http");
    }
  }
  const auto hub = Hub::parse(endpoint);
  if (hub)
    check_hub(*hub, link, name);
  else
    check_message(hub.error());
}

}  // namespace model_prep::fuzz
