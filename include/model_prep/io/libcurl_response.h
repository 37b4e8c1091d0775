// SPDX-License-Identifier: Apache-2.0
// What a transfer of libcurl knows about its response. `easy` is the handle, a CURL*.
#pragma once

#include <string>

#include "model_prep/base/response.h"

namespace model_prep {

/// The value of a response header; empty without one.
std::string response_header(void* easy, const char* name);

/// The status and the headers. `request_url` is what a redirect refers to.
ResponseHead read_head(void* easy, const Url& request_url);

}  // namespace model_prep
