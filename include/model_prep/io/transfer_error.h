// SPDX-License-Identifier: Apache-2.0
// What it means when libcurl reports that a transfer failed. The messages contain no secret.
#pragma once

#include <optional>
#include <string>

#include "model_prep/base/error.h"
#include "model_prep/io/proxy.h"
#include "model_prep/io/tls.h"

namespace model_prep {

struct TransferFailure {
  int code{0};            ///< the CURLcode
  std::string text;       ///< libcurl's message; may name the proxy with its password
  int connect_status{0};  ///< the proxy's answer to CONNECT; 0 if there was none
  bool has_head{false};   ///< the response's headers were complete
  std::optional<Proxy> proxy;
  std::optional<CertificateVerdict> verdict;
};

Error describe_failure(const TransferFailure& failure);

/// Whether a CURLcode may be retried. An allow-list: an unknown code is `protocol`, which is final.
ErrorKind kind_of_transfer_error(int curl_code);

}  // namespace model_prep
