// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/transfer_error.h"

#include <curl/curl.h>

namespace model_prep {
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

}  // namespace model_prep
