// SPDX-License-Identifier: Apache-2.0
// What a response means, decided from its head alone, before the first byte of its body is used.
//
// libcurl delivers the body of a 200 to a ranged request, and of a 206 for another range, without
// complaint (docs/developing/architecture.md, section 9.1): status and `Content-Range` are checked
// here. Errors of the Hub are told apart by `X-Error-Code`, then the message, then the status, as
// in docs/developing/hub-protocol.md, section 4.2. Pure; sizes and offsets are bytes.
#pragma once

#include "model_prep/base/blob_spec.h"
#include "model_prep/base/byte_range.h"
#include "model_prep/base/error.h"
#include "model_prep/base/response.h"
#include "model_prep/core/source_selector.h"

namespace model_prep {

enum class VerdictKind : std::uint8_t {
  body,             ///< these are the bytes that were requested
  redirect,         ///< follow `head.redirect`
  signature_spent,  ///< the payload host wants a new signed URL: ask the hub again
  range_ignored,    ///< a 200 to a ranged request, or a 206 that does not say that it is all of it
  restart,          ///< 416, another total, or an unrequested encoding: discard what is staged
  failed,           ///< `error` says why; its kind says whether to retry
};

struct ResponseVerdict {
  VerdictKind kind{VerdictKind::failed};
  Error error{};  ///< of `restart`: to report if restarting does not help
};

/// Who is asked for what: enough to compose a message.
struct RequestContext {
  std::string object;  ///< `org/name model.safetensors`, or `org/name`: begins every message
  std::string repo;    ///< for hints: the page to visit
  bool of_hub{true};   ///< false: a payload host, after a redirect
  TokenUse token{TokenUse::none};
};

/// A request for the content of a file, or for a part of it.
struct PayloadRequest {
  RequestContext context;
  std::optional<ByteRange> range;  ///< nothing: the whole file
  BlobSpec blob;                   ///< what the hub must name in X-Linked-Etag, if it does
};

ResponseVerdict check_payload_response(const ResponseHead& head, const PayloadRequest& request);

/// The body of a response for a file ended before its time.
Error body_cut_short(const ResponseHead& head, const RequestContext& context, const Url& from);

/// For the API and small files: anything but a redirect or a 200 that is no web page is a failure.
/// A small file may have a signed URL too, which can be spent.
ResponseVerdict check_api_response(const ResponseHead& head, const RequestContext& context);

/// Adds the object and the host to the cause that a transfer without a response ended with.
Error describe_transport_error(const Error& cause, const RequestContext& context, const Url& from);

/// `bytes 0-9/100`. Units are case-insensitive (RFC 9110, section 14.1).
struct ContentRange {
  ByteRange range;
  Bytes total{0};
};
std::optional<ContentRange> parse_content_range(const std::string& header);

/// The redirect that `head` asks for, if it may be followed: at most five, http or https, never
/// from https to http.
Result<Url> follow(const ResponseHead& head, const Url& from, int redirects,
                   const RequestContext& context);

}  // namespace model_prep
