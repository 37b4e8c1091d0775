// SPDX-License-Identifier: Apache-2.0
// Whether a transfer that libcurl reports as failed may be retried.
#pragma once

#include "model_prep/base/error.h"

namespace model_prep {

/// Of a CURLcode. An allow-list: an unknown code is `protocol`, which is final.
ErrorKind kind_of_transfer_error(int curl_code);

}  // namespace model_prep
