// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "fuzz/targets.h"
#include "model_prep/core/response_check.h"
#include "model_prep/core/retry.h"
#include "model_prep/io/url.h"

namespace model_prep::fuzz {
namespace {

bool is_redirect(int status) { return status >= 300 && status < 400; }

ResponseHead read_head(Lines& lines, const Url& from) {
  ResponseHead head;
  head.status = static_cast<int>(number(lines.next()).value_or(200) % 1000);
  head.content_length = number(lines.next());
  head.content_range = lines.next();
  head.content_type = lines.next();
  head.content_encoding = lines.next();
  head.link = lines.next();
  head.rate_limit = lines.next();
  head.error_code = lines.next();
  head.error_message = lines.next();
  head.linked_etag = lines.next();
  head.linked_size = number(lines.next());
  head.location = lines.next();
  if (!head.location.empty()) head.redirect = resolve_url(from, head.location);
  head.retry_after = std::chrono::seconds(number(lines.next()).value_or(0));
  return head;
}

void check_answer(const ResponseVerdict& answer, const ResponseHead& head) {
  const bool redirected = answer.kind == VerdictKind::redirect;
  require(!redirected || is_redirect(head.status), "only a redirect is one");
  require(answer.kind != VerdictKind::body || head.status == 200 || head.status == 206,
          "only a success is a body");
  require(answer.kind != VerdictKind::body || head.content_encoding.empty() ||
              head.content_encoding == "identity",
          "no body is taken in an encoding");
  const bool needs_reason = answer.kind == VerdictKind::failed ||
                            answer.kind == VerdictKind::restart ||
                            answer.kind == VerdictKind::signature_spent;
  if (needs_reason) check_message(answer.error);
}

void check_payload(const ResponseHead& head, const PayloadRequest& asked) {
  const ResponseVerdict answer = check_payload_response(head, asked);
  check_answer(answer, head);
  if (answer.kind != VerdictKind::body) return;
  require(!asked.range || (head.status == 206 &&
                           parse_content_range(head.content_range)->range == *asked.range),
          "bytes are taken only for the range that was asked for");
  require(!head.content_length ||
              *head.content_length == (asked.range ? asked.range->size() : asked.blob.size),
          "bytes are taken only if as many are announced");
  const auto etag = Digest::parse(head.linked_etag);
  require(!asked.context.of_hub || !etag || etag->kind() != asked.blob.digest.kind() ||
              *etag == asked.blob.digest,
          "the hub announces the blob that is wanted");
}

void check_follow(const ResponseHead& head, const Url& from) {
  for (const int hops : {0, 5}) {
    const auto next = follow(head, from, hops, {.object = "org/name a", .repo = "org/name"});
    if (!next) {
      check_message(next.error());
      continue;
    }
    require(hops < 5, "redirects end");
    require(next->https || !from.https, "https is never left for http");
    require(next->text.starts_with("http") || next->text.starts_with("HTTP") ||
                next->text.find("://") != std::string::npos,
            "a redirect leads to an address");
  }
}

void check_content_range(const std::string& header) {
  const auto found = parse_content_range(header);
  if (!found) return;
  require(found->range.begin >= 0 && found->range.begin < found->range.end &&
              found->range.end <= found->total,
          "a Content-Range lies within its total");
  const auto back = parse_content_range(
      fmt::format("bytes {}-{}/{}", found->range.begin, found->range.end - 1, found->total));
  require(back && back->range == found->range && back->total == found->total,
          "a Content-Range is parsed again");
}

}  // namespace

void headers(std::string_view input) {
  Lines lines(input);
  const Url from = parse_url(lines.next()).value_or(*parse_url("https://hub.example"));
  const ResponseHead head = read_head(lines, from);
  const std::int64_t size =
      std::clamp<std::int64_t>(number(lines.next()).value_or(1000), 1, kMaxFileSize);
  auto blob = Digest::parse(lines.next());
  if (!blob) blob = Digest::parse(std::string(64, '0'));
  for (const bool of_hub : {true, false})
    for (const bool ranged : {true, false}) {
      PayloadRequest asked{.context = {.object = "org/name a",
                                       .repo = "org/name",
                                       .of_hub = of_hub,
                                       .token = ranged ? TokenUse::sent : TokenUse::none},
                           .range = {},
                           .blob = {*blob, size, {}, ranged}};
      if (ranged) asked.range = ByteRange{size / 3, size};
      check_payload(head, asked);
      check_answer(check_api_response(head, asked.context), head);
    }
  check_follow(head, from);
  check_content_range(head.content_range);
  const auto wait = server_wait(head);
  require(wait.count() >= 0 && wait.count() <= 3600,
          "no server makes anybody wait for more than an hour");
  if (const auto limit = parse_rate_limit(head.rate_limit))
    require(limit->remaining >= 0 && limit->reset.count() >= 0, "a rate limit is not negative");
  if (const auto next = next_link(head.link))
    require(head.link.find("<" + *next + ">") != std::string::npos, "a link is in its header");
}

}  // namespace model_prep::fuzz
