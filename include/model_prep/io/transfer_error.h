// SPDX-License-Identifier: Apache-2.0
// What a transfer that libcurl reports as failed means, and whether it may be retried.
#pragma once

#include <optional>
#include <string>

#include "model_prep/base/error.h"
#include "model_prep/io/proxy.h"
#include "model_prep/io/tls.h"

namespace model_prep {

/// Of a CURLcode. An allow-list: an unknown code is `protocol`, which is final.
ErrorKind kind_of_transfer_error(int curl_code);

struct FailedTransfer {
  int curl_code;
  std::string text;    ///< libcurl's own
  int connect_status;  ///< the proxy's answer to CONNECT; 0 if there was none
  bool has_head;
  std::optional<Proxy> proxy;
  std::optional<CertificateVerdict> verdict;
  bool has_roots;  ///< the system's CA certificates were found
};

/// The message contains no secret.
Error describe_failure(const FailedTransfer& failed);

}  // namespace model_prep
