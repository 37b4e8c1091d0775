// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/response_check.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/core/retry.h"

namespace model_prep {
namespace {

constexpr int kMostRedirects = 5;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// Media types are case-insensitive.
bool is_html(const ResponseHead& head) {
  constexpr std::string_view kHtml = "text/html";
  return head.content_type.size() >= kHtml.size() &&
         std::equal(kHtml.begin(), kHtml.end(), head.content_type.begin(), [](char a, char b) {
           return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b | 0x20) : b);
         });
}

/// Etags are quoted and may be weak: docs/developing/hub-protocol.md, section 3.4.
std::string_view bare_etag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"')
    etag = etag.substr(1, etag.size() - 2);
  return etag;
}

std::string server_message(const ResponseHead& head) {
  return head.error_message.empty()
             ? std::string()
             : fmt::format(" (the hub says: {})", truncated(head.error_message, 300));
}

/// There is a token, and it was not sent.
constexpr const char* kWithheld =
    "the token was not sent there, since it is not said to be this endpoint's: write it before the host in "
    "HF_ENDPOINT, "
    "https://TOKEN@host";

Error gated(const ResponseHead& head, const RequestContext& asked) {
  Error error{ErrorKind::gated,
              fmt::format("{}: access to this repository is restricted{}", asked.object,
                          server_message(head)),
              {}};
  error.hint =
      asked.with_token
          ? fmt::format(
                "the token's account must be granted access: open https://huggingface.co/{} and accept "
                "its conditions",
                asked.repo)
          : fmt::format(
                "accept the conditions on https://huggingface.co/{}, then set HF_TOKEN to a token of "
                "that account",
                asked.repo);
  if (asked.token_withheld) error.hint = kWithheld;
  return error;
}

Error unauthorized(const ResponseHead& head, const RequestContext& asked) {
  return {
      ErrorKind::unauthorized,
      fmt::format("{}: {} was refused with status {}{}", asked.object,
                  asked.with_token ? "the token" : "access", head.status, server_message(head)),
      asked.with_token
          ? "check HF_TOKEN: it may be mistyped, expired, or without read access to this repository"
      : asked.token_withheld
          ? kWithheld
          : "set HF_TOKEN if the repository is private; else a proxy may be refusing the request"};
}

/// A missing repository and a private one look the same to who may not see it.
Error missing_repository(const ResponseHead& head, const RequestContext& asked) {
  return {
      ErrorKind::not_found,
      fmt::format("{}: no such repository, or it is private{}", asked.object, server_message(head)),
      asked.with_token ? "check the spelling, and that the token's account may read it"
      : asked.token_withheld && head.status == 401
          ? kWithheld
          : "check the spelling; for a private or gated repository set HF_TOKEN"};
}

Error hub_error(const ResponseHead& head, const RequestContext& asked) {
  if (head.error_code == "RevisionNotFound")
    return {ErrorKind::revision_not_found,
            fmt::format("{}: no such revision{}", asked.object, server_message(head)),
            "check the branch, tag or commit on the repository's page"};
  if (head.error_code == "EntryNotFound")
    return {ErrorKind::not_found, fmt::format("{}: no such file at this revision", asked.object),
            "the manifest and the repository disagree: check the revision"};
  if (head.error_code == "GatedRepo") return gated(head, asked);
  if (head.error_message == "Access to this resource is disabled.")
    return {ErrorKind::disabled,
            fmt::format("{}: the Hub has disabled this repository", asked.object),
            "choose another model, or ask on the repository's page"};
  if (head.error_code == "RepoNotFound") return missing_repository(head, asked);
  // With a token that it knows the Hub calls a missing repository 404
  // (docs/developing/hub-protocol.md, section 4.1): a 401 is about the token.
  if (head.status == 401 && asked.with_token) return unauthorized(head, asked);
  if (head.status == 401) return missing_repository(head, asked);
  if (head.status == 403) return unauthorized(head, asked);
  if (head.status == 404 || head.status == 410)
    return {ErrorKind::not_found,
            fmt::format("{}: not found (status {})", asked.object, head.status),
            "check the name, and that the endpoint is a Hub or a mirror of it"};
  const ErrorKind kind = kind_of_status(head.status);
  std::string hint;
  if (kind == ErrorKind::rate_limited && asked.token_withheld)
    hint = kWithheld;
  else if (kind == ErrorKind::rate_limited && !asked.with_token)
    hint = "requests without a token are limited per address: set HF_TOKEN";
  return {kind,
          fmt::format("{}: the {} answered with status {}{}", asked.object,
                      asked.of_hub ? "hub" : "payload host", head.status, server_message(head)),
          hint};
}

Error html_page(const RequestContext& asked, std::string_view wanted) {
  return {
      ErrorKind::protocol,
      fmt::format("{}: a web page came where {} should be", asked.object, wanted),
      "a captive portal or a proxy answers in the Hub's place: check the network, HTTPS_PROXY and HF_ENDPOINT"};
}

ResponseVerdict fail(const RequestContext& asked, std::string message) {
  return {VerdictKind::failed,
          {ErrorKind::protocol, fmt::format("{}: {}", asked.object, message), {}}};
}

ResponseVerdict wrong_bytes(const RequestContext& asked, std::string message) {
  return {VerdictKind::restart,
          {ErrorKind::digest_mismatch, fmt::format("{}: {}", asked.object, message), {}}};
}

ResponseVerdict judge_partial(const ResponseHead& head, const PayloadRequest& request) {
  const auto given = parse_content_range(head.content_range);
  if (!request.range)
    return fail(request.context, "a part came where the whole file was asked for");
  if (!given)
    return fail(request.context,
                fmt::format("unreadable Content-Range '{}'", truncated(head.content_range)));
  if (given->total != request.blob.size)
    return {VerdictKind::restart,
            {ErrorKind::protocol,
             fmt::format("{}: the server says {} bytes, the listing {}", request.context.object,
                         given->total, request.blob.size),
             {}}};
  if (given->range != *request.range)
    return fail(request.context,
                fmt::format("asked for bytes {}-{}, offered '{}'", request.range->begin,
                            request.range->end - 1, truncated(head.content_range)));
  if (head.content_length && *head.content_length != request.range->size())
    return fail(request.context, fmt::format("a range of {} bytes is announced with {}",
                                             request.range->size(), *head.content_length));
  return {VerdictKind::body, {}};
}

ResponseVerdict judge_whole(const ResponseHead& head, const PayloadRequest& request) {
  if (request.range) return {VerdictKind::range_ignored, {}};
  if (head.content_length && *head.content_length != request.blob.size)
    return {VerdictKind::restart,
            {request.blob.locked ? ErrorKind::lock_mismatch : ErrorKind::protocol,
             fmt::format("{}: the server announces {} bytes, {} says {}", request.context.object,
                         *head.content_length, request.blob.locked ? "the lock" : "the listing",
                         request.blob.size),
             {}}};
  return {VerdictKind::body, {}};
}

/// The hub names the blob before it sends anybody to it: a difference is cheaper found here than
/// after a gigabyte.
std::optional<Error> linked_etag_mismatch(const ResponseHead& head, const PayloadRequest& request) {
  const auto linked = Digest::parse(bare_etag(head.linked_etag));
  const bool other_blob =
      linked && linked->kind() == request.blob.digest.kind() && *linked != request.blob.digest;
  const bool other_size = head.linked_size && *head.linked_size != request.blob.size;
  if (!request.context.of_hub || (!other_blob && !other_size)) return std::nullopt;
  const std::string found = other_blob ? linked->hex() : fmt::format("{} bytes", *head.linked_size);
  const std::string wanted =
      other_blob ? request.blob.digest.hex() : fmt::format("{} bytes", request.blob.size);
  return Error{
      request.blob.locked ? ErrorKind::lock_mismatch : ErrorKind::protocol,
      fmt::format("{}: the hub announces {}, {} says {}", request.context.object, found,
                  request.blob.locked ? "the lock" : "its listing", wanted),
      request.blob.locked
          ? "the repository is not what the lock describes: check the revision, or make a new lock"
          : ""};
}

}  // namespace

std::optional<ContentRange> parse_content_range(const std::string& header) {
  std::string_view text = header;
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  std::int64_t values[3] = {};
  constexpr std::string_view kAfter = "-/";
  for (std::size_t i = 0; i < 3; ++i) {
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), values[i]);
    if (error != std::errc{} || text.front() == '-') return std::nullopt;  // "-0" too
    text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
    if (i < kAfter.size()) {
      if (text.empty() || text.front() != kAfter[i]) return std::nullopt;
      text.remove_prefix(1);
    }
  }
  if (!text.empty() || values[0] > values[1] || values[1] >= values[2]) return std::nullopt;
  return ContentRange{{values[0], values[1] + 1}, values[2]};
}

ResponseVerdict check_payload_response(const ResponseHead& head, const PayloadRequest& request) {
  const RequestContext& asked = request.context;
  if (is_redirect(head.status) || head.status == 200 || head.status == 206) {
    if (auto error = linked_etag_mismatch(head, request))
      return {VerdictKind::failed, std::move(*error)};
  }
  if (is_redirect(head.status)) return {VerdictKind::redirect, {}};
  if (head.status == 200 || head.status == 206) {
    if (is_html(head) && !request.html) return {VerdictKind::failed, html_page(asked, "the file")};
    if (!head.content_encoding.empty() && head.content_encoding != "identity")
      return wrong_bytes(asked, fmt::format("the bytes came as '{}', which nobody asked for",
                                            truncated(head.content_encoding)));
    return head.status == 206 ? judge_partial(head, request) : judge_whole(head, request);
  }
  if (head.status == 416)
    return {VerdictKind::restart,
            {ErrorKind::protocol,
             fmt::format("{}: the server refuses the range, and again from "
                         "the start",
                         asked.object),
             {}}};
  // 400 too: S3 says so of a token that has run out.
  const bool refused = head.status == 400 || head.status == 401 || head.status == 403 ||
                       head.status == 404 || head.status == 410;
  if (!asked.of_hub && refused)
    return {VerdictKind::signature_spent,
            {ErrorKind::protocol,
             fmt::format("{}: the payload host refuses the hub's signed address (status {})",
                         asked.object, head.status),
             "a proxy may be changing the address, or the clock of this machine may be wrong"}};
  return {VerdictKind::failed, hub_error(head, asked)};
}

ResponseVerdict check_api_response(const ResponseHead& head, const RequestContext& asked) {
  if (is_redirect(head.status)) return {VerdictKind::redirect, {}};
  if (head.status != 200) return {VerdictKind::failed, hub_error(head, asked)};
  if (is_html(head)) return {VerdictKind::failed, html_page(asked, "JSON")};
  if (!head.content_encoding.empty() && head.content_encoding != "identity")
    return fail(asked, fmt::format("the answer came as '{}', which nobody asked for",
                                   truncated(head.content_encoding)));
  return {VerdictKind::body, {}};
}

Error describe_transport_error(const Error& cause, const RequestContext& asked, const Url& from) {
  const bool of_network = cause.kind == ErrorKind::network || cause.kind == ErrorKind::timeout;
  return {cause.kind,
          fmt::format("cannot fetch {} from {}: {}", asked.object, from.origin, cause.message),
          of_network && cause.hint.empty()
              ? "check the network, the proxy variables and HF_ENDPOINT"
              : cause.hint};
}

std::optional<Error> check_digests(const HashResult& found, const std::string& object,
                                   const BlobSpec& expected) {
  const auto wrong = [&](const std::string& what) {
    return Error{expected.locked ? ErrorKind::lock_mismatch : ErrorKind::digest_mismatch,
                 fmt::format("{}: {}", object, what),
                 {}};
  };
  const bool by_sha256 = expected.digest.kind() == DigestKind::sha256;
  const auto& digest = by_sha256 ? found.sha256 : found.git_sha1;

  if (!digest) return wrong(fmt::format("its size is not {} bytes", expected.size));
  if (digest != expected.digest)
    return wrong(
        fmt::format("its bytes hash to {}, expected {}", digest->hex(), expected.digest.hex()));
  if (expected.expected_sha256 && expected.expected_sha256 != found.sha256)
    return wrong(fmt::format("its sha256 is {}, the lock says {}", found.sha256->hex(),
                             expected.expected_sha256->hex()));
  return std::nullopt;
}

Result<Url> follow(const ResponseHead& head, const Url& from, int hops,
                   const RequestContext& asked) {
  const auto refuse = [&](std::string why) {
    return Error{ErrorKind::protocol, fmt::format("{}: {}", asked.object, why),
                 "a proxy or a mirror misdirects: check the network and HF_ENDPOINT"};
  };
  if (!head.redirect)
    return refuse(fmt::format("status {} without an http address to go to", head.status));
  if (hops >= kMostRedirects)
    return refuse(fmt::format("redirected more than {} times", kMostRedirects));
  if (from.https && !head.redirect->https)
    return refuse("redirected from https to http, which is refused");
  return *head.redirect;
}

}  // namespace model_prep
