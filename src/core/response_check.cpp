// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/response_check.h"

#include <algorithm>
#include <initializer_list>

#include <fmt/format.h>

#include "model_prep/base/parse_int.h"
#include "model_prep/base/text.h"
#include "model_prep/core/retry.h"

namespace model_prep {
namespace {

constexpr int kMaxRedirects = 5;

bool is_one_of(int status, std::initializer_list<int> list) {
  return std::ranges::find(list, status) != list.end();
}

bool is_redirect(int status) { return is_one_of(status, {301, 302, 303, 307, 308}); }

/// Media types are case-insensitive.
bool is_html(const ResponseHead& head) {
  return lower_case(head.content_type).starts_with("text/html");
}

/// Etags are quoted and may be weak: docs/developing/hub-protocol.md, section 3.4.
std::string_view bare_etag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"')
    etag = etag.substr(1, etag.size() - 2);
  return etag;
}

std::string server_message(const ResponseHead& head) {
  if (head.error_message.empty()) return {};
  return " (the Hub says: " + truncated(head.error_message, 300) + ")";
}

Error about(const RequestContext& context, ErrorKind kind, std::string_view what,
            std::string hint = {}) {
  return {kind, fmt::format("{}: {}", context.object, what), std::move(hint)};
}

/// What to do depends on which token the endpoint got.
std::string token_hint(const RequestContext& context, std::string with_token,
                       std::string without_token) {
  switch (context.token) {
    case TokenUse::sent: return with_token;
    case TokenUse::login: return "check the user name and the password in HF_ENDPOINT";
    case TokenUse::withheld:
      return "no token was sent, because none is configured for this endpoint: write it before the host in HF_ENDPOINT, as https://TOKEN@host";
    case TokenUse::left_home:
      return "no token is sent to where HF_ENDPOINT redirects: if that is a Hub, set HF_ENDPOINT to it; otherwise a proxy may be refusing the request";
    case TokenUse::none: break;
  }
  return without_token;
}

/// In the order of docs/developing/hub-protocol.md, section 4.2: code, message, status.
Error hub_error(const ResponseHead& head, const RequestContext& context) {
  const std::string& code = head.error_code;
  const int status = head.status;
  const std::string detail = server_message(head);
  const bool with_token = context.token == TokenUse::sent;

  if (code == "RevisionNotFound")
    return about(context, ErrorKind::revision_not_found, "no such revision" + detail,
                 "check the branch, tag or commit on the repository's page");
  if (code == "EntryNotFound")
    return about(context, ErrorKind::not_found, "no such file at this revision",
                 "the manifest and the repository disagree: check the revision");

  // The account may have access, and the token not.
  if (lower_case(head.error_message).find("fine-grained token") != std::string::npos)
    return about(
        context, ErrorKind::unauthorized, "the token may not read this repository" + detail,
        "give the token that permission on https://huggingface.co/settings/tokens, or set HF_TOKEN to another one");
  if (code == "GatedRepo") {
    const std::string page = "https://huggingface.co/" + context.repo;
    return about(context, ErrorKind::gated, "access to this repository is restricted" + detail,
                 token_hint(context,
                            "the token's account must be granted access: open " + page +
                                " and accept its conditions",
                            "accept the conditions on " + page +
                                ", then set HF_TOKEN to a token of that account"));
  }
  if (head.error_message == "Access to this resource is disabled.")
    return about(context, ErrorKind::disabled, "the Hub has disabled this repository",
                 "choose another model, or ask on the repository's page");

  // A missing repository and a private one look the same to a client that may not see it. To a
  // token that it knows, the Hub reports a missing repository as 404
  // (docs/developing/hub-protocol.md, section 4.1): a 401 is about the token.
  if (code == "RepoNotFound" || (status == 401 && !with_token)) {
    const std::string hint = "check the spelling; for a private or gated repository set HF_TOKEN";
    return about(
        context, ErrorKind::not_found, "no such repository, or it is private" + detail,
        status == 401 || with_token
            ? token_hint(context, "check the spelling, and that the token's account may read it",
                         hint)
            : hint);
  }

  // The Hub says why it refuses a token. A mere web page is that of a proxy or a web filter.
  const bool is_page = is_html(head) && code.empty() && head.error_message.empty();
  if (status == 401 || status == 403)
    return about(
        context, ErrorKind::unauthorized,
        fmt::format("{} was refused with status {}{}",
                    with_token && !is_page ? "the token" : "access", status, detail),
        is_page
            ? "the refusal is a web page, so it is probably not the Hub's: have the proxy or web filter let the request through, or check HF_ENDPOINT and HF_TOKEN"
            : token_hint(
                  context,
                  "check HF_TOKEN: it may be mistyped, expired, or without read access to this repository",
                  "set HF_TOKEN if the repository is private; otherwise a proxy may be refusing the request"));
  if (status == 404 || status == 410)
    return about(context, ErrorKind::not_found, fmt::format("not found (status {})", status),
                 "check the name, and that the endpoint is a Hub or a mirror of it");

  const ErrorKind kind = kind_of_status(status);
  std::string hint;
  if (kind == ErrorKind::rate_limited &&
      (context.token == TokenUse::none || context.token == TokenUse::withheld))
    hint = token_hint(context, {},
                      "requests without a token are limited per IP address: set HF_TOKEN");
  return about(context, kind,
               fmt::format("the {} responded with status {}{}", context.of_hub ? "Hub" : "CDN",
                           status, detail),
               hint);
}

Error html_page(const RequestContext& context, std::string_view wanted) {
  return about(
      context, ErrorKind::protocol, fmt::format("got a web page instead of {}", wanted),
      "a captive portal or a proxy may be responding in the Hub's place: check the network, HTTPS_PROXY and HF_ENDPOINT");
}

ResponseVerdict fail(const RequestContext& context, std::string_view what) {
  return {VerdictKind::failed, about(context, ErrorKind::protocol, what)};
}

ResponseVerdict restart(const RequestContext& context, ErrorKind kind, std::string_view what) {
  return {VerdictKind::restart, about(context, kind, what)};
}

ResponseVerdict check_partial(const ResponseHead& head, const PayloadRequest& request) {
  const RequestContext& context = request.context;
  const auto given = parse_content_range(head.content_range);
  const std::string shown = truncated(head.content_range);

  if (!request.range) return fail(context, "got status 206 although no range was requested");
  // A range without a total, no range at all: nobody can say which bytes these are.
  if (!given) return {VerdictKind::range_ignored};
  if (given->total != request.blob.size)
    return restart(
        context, ErrorKind::protocol,
        fmt::format("the server says {} bytes, the listing {}", given->total, request.blob.size));
  const auto [begin, end] = given->range;
  if (begin == request.range->begin && end < request.range->end)
    return {VerdictKind::range_ignored};
  if (given->range != *request.range)
    return fail(context, fmt::format("requested bytes {}-{}, got '{}'", request.range->begin,
                                     request.range->end - 1, shown));
  if (head.content_length && *head.content_length != request.range->size())
    return fail(context, fmt::format("the range has {} bytes, but its Content-Length is {}",
                                     request.range->size(), *head.content_length));
  return {VerdictKind::body};
}

ResponseVerdict check_whole(const ResponseHead& head, const PayloadRequest& request) {
  const BlobSpec& blob = request.blob;
  if (request.range) return {VerdictKind::range_ignored};
  if (head.content_length && *head.content_length != blob.size)
    return restart(request.context, blob.locked ? ErrorKind::lock_mismatch : ErrorKind::protocol,
                   fmt::format("the Content-Length is {}, {} says {}", *head.content_length,
                               blob.locked ? "the lock" : "the listing", blob.size));
  return {VerdictKind::body};
}

/// Whether the head alone says nothing against the file.
bool fits(const ResponseHead& head, const PayloadRequest& request) {
  if (head.status == 200 && !head.content_length) return !request.range;
  const auto given = parse_content_range(head.content_range);
  const Bytes total = head.status == 200 ? *head.content_length : given ? given->total : -1;
  return total == request.blob.size;
}

/// The hub names the blob before it redirects to it. A difference found here is cheaper than one
/// found after a gigabyte.
std::optional<Error> linked_etag_mismatch(const ResponseHead& head, const PayloadRequest& request) {
  if (!request.context.of_hub) return std::nullopt;
  const auto& [digest, size, locked_sha256, locked] = request.blob;
  const auto linked = Digest::parse(bare_etag(head.linked_etag));
  const bool other_blob = linked && linked->kind() == digest.kind() && *linked != digest;
  const bool other_size = head.linked_size && *head.linked_size != size;
  if (!other_blob && !other_size) return std::nullopt;

  return about(
      request.context, locked ? ErrorKind::lock_mismatch : ErrorKind::protocol,
      fmt::format(
          "the Hub's headers give {}, {} says {}",
          other_blob ? "digest " + linked->hex() : fmt::format("{} bytes", *head.linked_size),
          locked ? "the lock" : "its listing",
          other_blob ? digest.hex() : fmt::format("{} bytes", size)),
      locked ? "the repository differs from the lock: check the revision, or create a new lock"
             : "");
}

/// How the body is encoded, if we did not ask for that: its bytes are not the file's.
std::string unrequested_encoding(const ResponseHead& head) {
  if (head.content_encoding.empty() || head.content_encoding == "identity") return {};
  return "unexpected Content-Encoding '" + truncated(head.content_encoding) + "'";
}

/// `spent`: what a payload host answers if it does not accept a signed URL any more. It gives no
/// reasons in headers, as the Hub does, to which a mirror may redirect.
ResponseVerdict check_refusal(const ResponseHead& head, const RequestContext& context,
                              std::initializer_list<int> spent) {
  const bool has_reason = !head.error_code.empty() || !head.error_message.empty();
  if (context.of_hub || has_reason || !is_one_of(head.status, spent))
    return {VerdictKind::failed, hub_error(head, context)};

  return {VerdictKind::signature_spent,
          about(context, ErrorKind::protocol,
                fmt::format("the CDN rejected the Hub's signed URL (status {})", head.status),
                "a proxy may be changing the URL, or this machine's clock may be wrong")};
}

}  // namespace

std::optional<ContentRange> parse_content_range(const std::string& header) {
  const std::string lower = lower_case(header);
  std::string_view text = lower;
  const auto take_after = [&](std::string_view prefix) -> std::optional<std::int64_t> {
    if (!text.starts_with(prefix)) return std::nullopt;
    text.remove_prefix(prefix.size());
    return take_int(text);
  };

  const auto first = take_after("bytes ");
  const auto last = take_after("-");
  const auto total = take_after("/");
  if (!first || !last || !total || !text.empty()) return std::nullopt;
  if (*first > *last || *last >= *total) return std::nullopt;
  return ContentRange{{*first, *last + 1}, *total};
}

ResponseVerdict check_payload_response(const ResponseHead& head, const PayloadRequest& request) {
  const RequestContext& context = request.context;
  const bool has_body = head.status == 200 || head.status == 206;
  if (is_redirect(head.status) || has_body)
    if (auto error = linked_etag_mismatch(head, request)) return {VerdictKind::failed, *error};
  if (is_redirect(head.status)) return {VerdictKind::redirect};

  if (has_body) {
    // A file may well be served as a web page. One of another size is none of ours.
    if (is_html(head) && !fits(head, request))
      return {VerdictKind::failed, html_page(context, "the file")};
    if (const std::string encoding = unrequested_encoding(head); !encoding.empty())
      return restart(context, ErrorKind::digest_mismatch, encoding);
    return head.status == 206 ? check_partial(head, request) : check_whole(head, request);
  }

  if (head.status == 416)
    return restart(context, ErrorKind::protocol,
                   "the server rejected the requested range (status 416)");
  // 400 too: S3 reports an expired token that way.
  return check_refusal(head, context, {400, 401, 403, 404, 410});
}

Error body_cut_short(const ResponseHead& head, const RequestContext& context, const Url& from) {
  return is_html(head) ? html_page(context, "the file")
                       : describe_transport_error(
                             {ErrorKind::network, "the response body ended early"}, context, from);
}

ResponseVerdict check_api_response(const ResponseHead& head, const RequestContext& context) {
  if (is_redirect(head.status)) return {VerdictKind::redirect};
  if (head.status != 200 && is_html(head)) return {VerdictKind::failed, hub_error(head, context)};
  if (head.status != 200) return check_refusal(head, context, {400, 403});
  if (is_html(head)) return {VerdictKind::failed, html_page(context, "JSON")};
  if (const std::string encoding = unrequested_encoding(head); !encoding.empty())
    return fail(context, encoding);
  return {VerdictKind::body};
}

Error describe_transport_error(const Error& cause, const RequestContext& context, const Url& from) {
  const bool of_network = cause.kind == ErrorKind::network || cause.kind == ErrorKind::timeout;
  return {cause.kind,
          fmt::format("cannot download {} from {}: {}", context.object, from.origin, cause.message),
          of_network && cause.hint.empty()
              ? "check the network, the proxy variables and HF_ENDPOINT"
              : cause.hint};
}

Result<Url> follow(const ResponseHead& head, const Url& from, int redirects,
                   const RequestContext& context) {
  const auto refuse = [&](std::string_view why) {
    return about(
        context, ErrorKind::protocol, why,
        "a proxy or a mirror may be redirecting wrongly: check the network and HF_ENDPOINT");
  };
  if (!head.redirect)
    return refuse(fmt::format("status {} without a usable Location header", head.status));
  if (redirects >= kMaxRedirects)
    return refuse(fmt::format("redirected more than {} times", kMaxRedirects));
  if (from.https && !head.redirect->https) return refuse("refusing a redirect from https to http");
  return *head.redirect;
}

}  // namespace model_prep
