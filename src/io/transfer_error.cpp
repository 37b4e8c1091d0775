// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/transfer_error.h"

#include <curl/curl.h>
#include <fmt/ranges.h>

#include "model_prep/io/libcurl_info.h"

namespace model_prep {
namespace {

constexpr int kTooLarge = 100;  // CURLE_TOO_LARGE, which libcurl has since 8.6

constexpr const char* kHintOtherAuthority =
    "if a proxy inspects TLS or a mirror has its own certificate authority, pass the CA certificate with --ca-file; otherwise update ca-certificates";

std::string hint_no_roots() {
  return fmt::format(
      "this system has no CA certificates (looked for {}): install ca-certificates, or pass a file of them with --ca-file",
      fmt::join(system_authority_files(), ", "));
}

}  // namespace

ErrorKind kind_of_transfer_error(int curl_code) {
  switch (curl_code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:  // the handshake; an untrusted certificate has its own code
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_PROXY: return ErrorKind::network;  // a SOCKS proxy that did not reach the host
    case CURLE_OPERATION_TIMEDOUT: return ErrorKind::timeout;
    default: return ErrorKind::protocol;
  }
}

Error describe_failure(const FailedTransfer& failed) {
  const auto& [code, text, connect_status, has_head, proxy, verdict, has_roots] = failed;
  if (code != CURLE_OPERATION_TIMEDOUT && connect_status >= 300)
    return proxy_refused(connect_status, proxy);
  if (proxy && text.starts_with("Unsupported proxy")) return proxy_unusable(*proxy);

  const std::string shown = proxy ? redact(text, *proxy) : text;

  // libcurl has one code for every failed handshake; the verdict tells a bad signature apart.
  if (code == CURLE_PEER_FAILED_VERIFICATION || (verdict && !verdict->trusted))
    return {ErrorKind::protocol,
            "its certificate is not trusted: " + (verdict ? verdict->text : shown),
            has_roots ? kHintOtherAuthority : hint_no_roots()};

  // libcurl before 8.6 reports a header line beyond its 100 KB as out of memory.
  if (!has_head && (code == CURLE_OUT_OF_MEMORY || code == kTooLarge))
    return {kind_of_transfer_error(code), "a response header line is longer than 100 KB"};

  return {kind_of_transfer_error(code), shown};
}

}  // namespace model_prep
